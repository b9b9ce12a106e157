"""Is this window like those the workload was trained on? A p-value, held against the operator's budget, and why.

Two tests, each for half of the error. The forest looks at all rates together, and is blind to how far out a single
one is: it only knows splits between values it has seen. So each rate is also held against its own tail (`tail.Tail`),
upwards, all of them together at the same error (Bonferroni):

    p = min(1, 2 · min(p of the forest's score, features · min over features of p of its value))
"""

from dataclasses import dataclass

import numpy as np

from detection.finding import Severity, Technique
from detection.rates.features import COUNT, FEATURES, shown
from detection.rates.model import RateModel, Summary

_CLEARLY = 0.1  # of the reporting threshold: from here on it is high
_NAMED = 4  # features named in one finding
_REMARKABLE = 1e-3

_TECHNIQUES = {
    "cpu": Technique("T1496", "impact"),
    "connect_failures": Technique("T1046", "discovery"),
    "peers": Technique("T1046", "discovery"),
    "connects": Technique("T1046", "discovery"),
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


@dataclass(frozen=True, slots=True)
class Standout:
    """A rate that is out of the ordinary, and how improbable it is by itself."""

    index: int
    value: float
    p: float
    summary: Summary

    @property
    def name(self) -> str:
        """The feature's name."""
        return FEATURES[self.index].name

    def sentence(self, windows: int) -> str:
        """In words and numbers."""
        median, high, most = (
            shown(self.index, v) for v in (self.summary.median, self.summary.high, self.summary.largest)
        )
        beyond = " and was never so high" if self.value > self.summary.largest else ""
        text = FEATURES[self.index].text
        return (
            f"{text[0].upper()}{text[1:]}: {shown(self.index, self.value)}; normally {median} (99 % of windows "
            f"up to {high}, at most {most} in {windows} windows){beyond}."
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """`severity` None: within the budget's bounds, not to be reported. `standout` is the most improbable first."""

    severity: Severity | None
    p: float
    threshold: float
    score: float
    score_p: float
    rates_p: float
    standout: tuple[Standout, ...]
    reasons: tuple[str, ...]
    techniques: tuple[Technique, ...]


def judge(model: RateModel, values: tuple[float, ...], missing: int, budget: float) -> Verdict:
    """Hold one window against a model. A feature missing here or in training counts as its median: it says nothing."""
    blind = model.missing | missing
    seen = [
        s.median if blind >> i & 1 else value for i, (value, s) in enumerate(zip(values, model.summaries, strict=True))
    ]
    score = -float(model.forest.score(np.array([seen]))[0])
    ps = [s.tail.p(value) for value, s in zip(seen, model.summaries, strict=True)]
    score_p, rates_p = model.scores.p(score), min(1.0, COUNT * min(ps))
    p, threshold = min(1.0, 2.0 * min(score_p, rates_p)), model.threshold(budget)
    severity = _severity(p, threshold)
    found = tuple(_standing_out(model, seen, ps))
    if severity is not None and not found:
        severity = Severity.LOW  # less than usual, or a mixture of usual rates
    told = severity is not None
    reasons = _reasons(model, found, p, threshold, score) if told else ()
    return Verdict(severity, p, threshold, score, score_p, rates_p, found, reasons, _techniques(found) if told else ())


def _severity(p: float, threshold: float) -> Severity | None:
    if p > threshold:
        return None
    return Severity.HIGH if p <= threshold * _CLEARLY else Severity.MEDIUM


def _standing_out(model: RateModel, values: list[float], ps: list[float]) -> list[Standout]:
    """Those beyond all that was seen and improbable; else those above the 99th percentile."""
    all_ = sorted((Standout(i, values[i], ps[i], s) for i, s in enumerate(model.summaries)), key=lambda s: s.p)
    beyond = [s for s in all_ if s.value > s.summary.largest and s.p <= _REMARKABLE]
    return (beyond or [s for s in all_ if s.value > s.summary.high and s.p < 1.0])[:_NAMED]


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
    """One for each kind of thing that stands out, at most two: the most improbable rates decide."""
    named = dict.fromkeys(_TECHNIQUES.get(s.name, _OTHERWISE) for s in found)
    return tuple(named)[:2] or (_OTHERWISE,)
