"""Is this window like those the workload was trained on? A p-value, held against the operator's budget, and why.

Four tests, each for a quarter of the error. The forest looks at all rates together, and is blind to how far out a
single one is: it only knows splits between values it has seen. So each rate is also held against its own tail
(`tail.Tail`), upwards, all together at the same error (Bonferroni): as it is; as its mean over the last windows,
because a moderate load that does not end is as telling as a burst that was never seen; and as what it is above what the
other rates make one expect, because a workload's own restlessness hides much, but not what has no cause in it:

    p = min(1, 4 · min(p of the forest's score, and for each of the three features · min p of a rate))
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from detection.finding import Severity, Technique
from detection.rates.features import COUNT, FEATURES, LASTING, shown
from detection.rates.model import RateModel, Summary
from detection.rates.window import RateWindow

_CLEARLY = 0.1  # of the reporting threshold: from here on it is high
_NAMED = 4  # features named in one finding
_REMARKABLE = 1e-3

_TECHNIQUES = {
    "cpu": Technique("T1496", "impact"),
    "connect_failures": Technique("T1046", "discovery"),
    "peers": Technique("T1046", "discovery"),
    "connects": Technique("T1046", "discovery"),
    "failed_share": Technique("T1046", "discovery"),
    "bytes_out": Technique("T1048", "exfiltration"),
    "bytes_in": Technique("T1105", "command-and-control"),
    "dns_questions": Technique("T1071.004", "command-and-control"),
    "dns_entropy": Technique("T1071.004", "command-and-control"),
    "write_opens": Technique("T1486", "impact"),
    "files_written": Technique("T1486", "impact"),
    "moves": Technique("T1486", "impact"),
    "name_entropy": Technique("T1486", "impact"),
    "disk_written": Technique("T1486", "impact"),
    "disk_read": Technique("T1005", "collection"),
}
_OTHERWISE = Technique("T1059", "execution")


class Against(StrEnum):
    """What a rate was held against."""

    NOW = "now"  # its values in single windows
    LASTING = "lasting"  # its means over the last windows
    RELATIVE = "relative"  # what the other rates make one expect


@dataclass(frozen=True, slots=True)
class Standout:
    """A rate out of the ordinary, and how improbable it is by itself.

    `measure` is what `summary` is of: the value, or how far it is above what was `expected`.
    """

    index: int
    value: float
    p: float
    summary: Summary
    measure: float
    against: Against = Against.NOW
    expected: float = 0.0

    @property
    def name(self) -> str:
        """The feature's name."""
        return FEATURES[self.index].name

    @property
    def shown(self) -> str:
        """The feature and its value."""
        return f"{FEATURES[self.index].text} {shown(self.index, self.value)}"

    @property
    def is_beyond(self) -> bool:
        """Whether it was never so high."""
        return self.measure > self.summary.largest

    def sentence(self, windows: int) -> str:
        """In words and numbers."""
        text, value = FEATURES[self.index].text, shown(self.index, self.value)
        text = text[0].upper() + text[1:]
        if self.against is Against.RELATIVE:
            never = f" and in {windows} windows was never so far above it" if self.is_beyond else ""
            return f"{text}: {value}, where what else it did lets one expect {shown(self.index, self.expected)}{never}."
        summary, over = self.summary, f" over the last {LASTING} windows" if self.against is Against.LASTING else ""
        median, high, most = (shown(self.index, v) for v in (summary.median, summary.high, summary.largest))
        never = " and was never so high" if self.is_beyond else ""
        return (
            f"{text}{over}: {value}; normally {median} (99 % of windows up to {high}, at most {most} in {windows} "
            f"windows){never}."
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """`severity` None: within the budget's bounds, not to be reported. `standout` has the most improbable first.

    `ps`: of the forest's score, then of each `Against`.
    """

    severity: Severity | None
    p: float
    threshold: float
    score: float
    ps: tuple[float, ...]
    standout: tuple[Standout, ...]
    reasons: tuple[str, ...] = ()
    techniques: tuple[Technique, ...] = ()


def judge(model: RateModel, window: RateWindow, budget: float) -> Verdict:
    """Hold one window against a model. A feature missing here or in training counts as its median: it says nothing."""
    blind = model.missing | window.missing
    now = _seen(window.values, model.summaries, blind)
    score = -float(model.forest.score(np.array([now]))[0])
    tests = (
        _standouts(now, model.summaries, Against.NOW),
        _standouts(_seen(window.lasting, model.lasting, blind), model.lasting, Against.LASTING),
        _apart(model, now, blind),
    )
    ps = (model.scores.p(score), *map(_least, tests))
    p, threshold = min(1.0, len(ps) * min(ps)), model.threshold(budget)
    severity = _severity(p, threshold)
    found = tuple(_standing_out([standout for test in tests for standout in test]))
    if severity is not None and not found:
        severity = Severity.LOW  # less than usual, or a mixture of usual rates
    if severity is None:
        return Verdict(None, p, threshold, score, ps, found)
    return Verdict(
        severity, p, threshold, score, ps, found, _reasons(model, found, p, threshold, score), _techniques(found)
    )


def _seen(values: tuple[float, ...], summaries: tuple[Summary, ...], blind: int) -> list[float]:
    pairs = zip(values, summaries, strict=False)  # () where there are none yet
    return [summary.median if blind >> i & 1 else value for i, (value, summary) in enumerate(pairs)]


def _standouts(values: list[float], summaries: tuple[Summary, ...], against: Against) -> list[Standout]:
    pairs = zip(values, summaries, strict=False)
    return [Standout(i, value, s.tail.p(value), s, value, against) for i, (value, s) in enumerate(pairs)]


def _apart(model: RateModel, values: list[float], blind: int) -> list[Standout]:
    expected = model.relation.expected(np.array(values))
    return [
        Standout(i, value, s.tail.p(value - wanted), s, value - wanted, Against.RELATIVE, wanted)
        for i, (value, wanted, s) in enumerate(zip(values, map(float, expected), model.relative, strict=True))
        if not blind >> i & 1
    ]


def _least(standouts: list[Standout]) -> float:
    """The p-value of all of them together (Bonferroni)."""
    return min(1.0, COUNT * min((s.p for s in standouts), default=1.0))


def _severity(p: float, threshold: float) -> Severity | None:
    if p > threshold:
        return None
    return Severity.HIGH if p <= threshold * _CLEARLY else Severity.MEDIUM


def _standing_out(every: list[Standout]) -> list[Standout]:
    """Those beyond all that was seen and improbable, else those above the 99th percentile; each feature once."""
    every = sorted(every, key=lambda s: s.p)
    beyond = [s for s in every if s.is_beyond and s.p <= _REMARKABLE]
    chosen = beyond or [s for s in every if s.measure > s.summary.high and s.p < 1.0]
    return list({s.name: s for s in reversed(chosen)}.values())[::-1][:_NAMED]


def _reasons(
    model: RateModel, found: tuple[Standout, ...], p: float, threshold: float, score: float
) -> tuple[str, ...]:
    sentences = [s.sentence(model.windows) for s in found]
    if not found:
        sentences.append("No single rate is high; this combination of rates was not seen before.")
    containers = f"{model.containers} container{'' if model.containers == 1 else 's'}"
    sentences.append(
        f"Learned from {model.windows} windows of {model.seconds:.3g} s of {containers}; such a window comes up by "
        f"chance with probability {p:.1e}, reported at {threshold:.1e} (forest score {score:.2f})."
    )
    if p < 1.0 / (model.windows + 1):
        sentences.append(
            f"Counting alone says only that it is rarer than 1 in {model.windows + 1}; the rest is the tail's estimate."
        )
    return tuple(sentences)


def _techniques(found: tuple[Standout, ...]) -> tuple[Technique, ...]:
    """One for each kind of thing that stands out, at most two: the most improbable rates decide.

    Whatever is done takes CPU time: that is a miner only where it stands out most.
    """
    telling = (s for n, s in enumerate(found) if n == 0 or s.name != "cpu")
    named = dict.fromkeys(_TECHNIQUES.get(s.name, _OTHERWISE) for s in telling)
    return tuple(named)[:2] or (_OTHERWISE,)
