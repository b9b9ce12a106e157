"""How surprising is a new behaviour, and how loudly may we say so?

surprise = −log10 of the estimated probability, a sum of decades:

    −log10(unseen bound)                    how rarely this class shows anything new at all (at most: it is a bound)
  + evidence × DISTANCE_WEIGHT × distance   how unlike everything known it is
  + evidence × Σ prior weights              what it touches
  − log10(instances showing it)             replicas that agree make it a change, not an intrusion

`evidence` is 1 − unseen bound: in a class about which nothing is known, neither distance nor touch say much. So
the surprise of everything starts near 0 and grows with completeness; no timer is involved.

*Strangeness* is the same without the bound and its evidence: what kind of novelty it is, however complete the profile.
Novelties of different weeks are compared by it (`conformal.py`), and the operator's budget decides by that comparison
which of them may call a person (`budget.py`). The others are reported as informational.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from math import log10
from typing import NamedTuple

from detection.baseline.budget import BudgetConfig, Ruling, rule
from detection.baseline.conformal import Calibration
from detection.baseline.priors import Touch
from detection.baseline.profile import ClassProfile, State
from detection.baseline.similarity import Index, Neighbour, Neighbourhoods
from detection.finding import Severity

DISTANCE_WEIGHT = 1.5
ELSEWHERE_WEIGHT = 0.5  # of what it touches, where the workload does the same in another phase of its life
NEARLY = 0.1  # unseen bound from which on the novelties of a class that still learns are put on record
_LEAST_UNSEEN = 1e-6


@dataclass(frozen=True, slots=True)
class ScoreConfig:
    """From surprise to severity.

    In a stable class: below `medium` low, from `high` on high, where it touches something or nothing before was as
    strange. In a class that lost events: the same up to `lossy_cap` if it was stable before the loss (flooding the
    sensor must not buy silence), else as learning. In a churning class: low. While learning: `learning_cap` (None:
    nothing is reported), and only from `learning_floor` on. A class that was nearly complete for so long that the
    budget can be proven, and still learns, may alarm up to `nearly_cap`.
    """

    medium: float = 2.0
    high: float = 3.5
    lossy_cap: Severity = Severity.MEDIUM
    learning_cap: Severity | None = Severity.INFORMATIONAL
    learning_floor: float = 2.0
    nearly_cap: Severity = Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class Novelty:
    """A behaviour its class does not know. `sentence` says so: "/bin/sh was never started by /bin/httpd".

    `elsewhere` names the phase in which the workload does the same, "" for none.
    """

    behaviour: str
    member: str
    sentence: str
    touches: tuple[Touch, ...] = ()
    instances: int = 1  # that have shown it so far, this one included
    elsewhere: str = ""


class Habits(NamedTuple):
    """What the workload's past adds to the judgement of class `key`: its record of novelties, and the budget."""

    key: str
    record: Calibration
    budget: BudgetConfig
    indexes: Neighbourhoods | None = None
    index_key: Hashable = None


@dataclass(frozen=True, slots=True)
class Score:
    """Verdict on a novelty. `severity` None: not worth a word now.

    `alarming`: surprising enough in a stable class that it should not be learned unseen, whatever the budget says of
    it. `ruling` is the budget's; None where it was not asked.
    """

    surprise: float
    severity: Severity | None
    state: State
    completeness: float
    unseen_upper: float
    nearest: tuple[Neighbour, ...]
    reasons: tuple[str, ...]
    strangeness: float = 0.0
    alarming: bool = False
    ruling: Ruling | None = None


def score(novelty: Novelty, known: ClassProfile, config: ScoreConfig, habits: Habits | None = None) -> Score:
    """Judge a novelty against what its class knows, and against the workload's habits where they are given.

    Costs some tens of microseconds where `habits` hold indexes, else a look at up to 128 members.
    """
    bound, state = known.unseen_upper, known.state
    evidence = 1.0 - bound
    touched = sum(touch.weight for touch in novelty.touches) * (ELSEWHERE_WEIGHT if novelty.elsewhere else 1.0)
    agreement = log10(max(1, novelty.instances))
    fixed = -log10(max(bound, _LEAST_UNSEEN)) + evidence * touched - agreement
    # Looking for neighbours is the costly part: a class that has just begun to learn goes without.
    judged, recorded = is_judged(known, state), is_recorded(known, state)
    matters = recorded or fixed + evidence * DISTANCE_WEIGHT >= config.learning_floor
    neighbours = _neighbours(novelty, known, habits) if matters else ()
    distance = 0.0 if novelty.elsewhere else 1.0 - (neighbours[0].similarity if neighbours else 0.0)
    surprise = max(0.0, fixed + evidence * distance * DISTANCE_WEIGHT)
    strangeness = max(0.0, touched + distance * DISTANCE_WEIGHT - agreement)
    severity = _severity(surprise, known, state, config)
    ruling = rule(habits.key, strangeness, habits.record, habits.budget) if recorded and habits else None
    if not judged and ruling is not None and ruling.proven and ruling.passes:
        judged, severity = True, min(_by_surprise(surprise, config), config.nearly_cap)
    alarming = judged and severity is not None and severity >= Severity.MEDIUM
    severity = _within(severity, ruling, touched) if judged else severity
    verdict = Score(surprise, severity, state, known.completeness, bound, neighbours, (), strangeness, alarming, ruling)
    return verdict if severity is None else replace(verdict, reasons=_reasons(novelty, known, verdict))


def is_judged(known: ClassProfile, state: State) -> bool:
    """Whether novelties of the class may alarm: it is stable, was so until events were lost, or will never be."""
    return state in (State.STABLE, State.CHURNING) or (state is State.LOSSY and known.was_stable)


def is_recorded(known: ClassProfile, state: State) -> bool:
    """Whether novelties of the class go into the workload's record: it may alarm, or is nearly complete."""
    return is_judged(known, state) or (state is State.LEARNING and known.unseen_upper <= NEARLY)


def _neighbours(novelty: Novelty, known: ClassProfile, habits: Habits | None) -> tuple[Neighbour, ...]:
    if habits is None or habits.indexes is None:
        return Index(known.members).nearest(novelty.member)
    return habits.indexes.nearest(habits.index_key, known.members, novelty.member)


def _severity(surprise: float, known: ClassProfile, state: State, config: ScoreConfig) -> Severity | None:
    if not is_judged(known, state):
        return config.learning_cap if surprise >= config.learning_floor else None
    if state is State.CHURNING:
        return Severity.LOW
    severity = _by_surprise(surprise, config)
    return min(severity, config.lossy_cap) if state is State.LOSSY else severity


def _by_surprise(surprise: float, config: ScoreConfig) -> Severity:
    if surprise < config.medium:
        return Severity.LOW
    return Severity.HIGH if surprise >= config.high else Severity.MEDIUM


def _within(severity: Severity | None, ruling: Ruling | None, touched: float) -> Severity | None:
    """The severity the budget leaves."""
    if severity is None or ruling is None:
        return severity
    if not ruling.passes:
        return min(severity, Severity.INFORMATIONAL)
    return min(severity, Severity.MEDIUM) if ruling.surpassed and not touched else severity


def _reasons(novelty: Novelty, known: ClassProfile, verdict: Score) -> tuple[str, ...]:
    instances, neighbours = len(known.instances), verdict.nearest
    reasons = [
        f"{novelty.sentence} in {known.units} units of {_instances(instances)}; "
        f"{_class_sentence(novelty.behaviour, known, verdict)}."
    ]
    if novelty.elsewhere:
        reasons.append(f"In its {novelty.elsewhere} phase this workload does the same.")
    elif neighbours:
        best = neighbours[0]
        reasons.append(f"The nearest known behaviour is {best.name} (similarity {best.similarity:.2f}).")
    elif not known.members:
        reasons.append(f"This workload has never shown any behaviour of class {novelty.behaviour}.")
    reasons += [f"{touch.reason}." for touch in novelty.touches]
    if novelty.instances > 1:
        reasons.append(f"{novelty.instances} instances have shown it so far, which makes a change more likely.")
    elif instances > 1:
        reasons.append(f"None of the {instances - 1} other instances has shown it.")
    if verdict.ruling is not None:
        reasons.append(verdict.ruling.reason)
    return tuple(reasons)


def _instances(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _class_sentence(behaviour: str, known: ClassProfile, verdict: Score) -> str:
    state = verdict.state
    complete = f"{100 * verdict.completeness:.1f} % complete (unseen ≤ {100 * verdict.unseen_upper:.1f} %)"
    if state is State.LOSSY:
        before = "was stable before" if known.was_stable else "was still learning"
        return (
            f"profile {behaviour} is lossy: events were lost, {known.loss_left} clean units to go; {before}, {complete}"
        )
    why = f"{known.churns}; " if state is State.CHURNING else ""
    return f"profile {behaviour} is {state.value}: {why}{complete}"
