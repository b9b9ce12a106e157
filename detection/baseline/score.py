"""How surprising is a new behaviour, and how loudly may we say so?

surprise = −log10 of the estimated probability, a sum of decades:

    −log10(unseen bound)                    how rarely this class shows anything new at all (at most: it is a bound)
  + evidence × distance × DISTANCE_WEIGHT   how unlike everything known it is
  + evidence × Σ prior weights              what it touches
  − log10(1 + other instances showing it)   replicas that agree make it a change, not an intrusion

`evidence` is 1 − unseen bound: in a class about which nothing is known, neither distance nor touch say much. So
the surprise of everything starts near 0 and grows with completeness; no timer is involved.
"""

from dataclasses import dataclass
from math import log10

from detection.baseline.priors import Touch
from detection.baseline.profile import ClassProfile, State
from detection.baseline.similarity import Neighbour, nearest
from detection.finding import Severity

DISTANCE_WEIGHT = 1.5
_LEAST_UNSEEN = 1e-6


@dataclass(frozen=True, slots=True)
class ScoreConfig:
    """From surprise to severity.

    In a stable class: below `medium` low, from `high` on high. In a class that lost events: the same up to
    `lossy_cap` if it was stable before the loss (flooding the sensor must not buy silence), else as learning.
    While learning: `learning_cap` (None: nothing is reported), and only from `learning_floor` on.
    """

    medium: float = 2.0
    high: float = 3.5
    lossy_cap: Severity = Severity.MEDIUM
    learning_cap: Severity | None = Severity.INFORMATIONAL
    learning_floor: float = 2.0


@dataclass(frozen=True, slots=True)
class Novelty:
    """A behaviour its class does not know. `sentence` says so: "/bin/sh was never started by /bin/httpd"."""

    behaviour: str
    member: str
    sentence: str
    touches: tuple[Touch, ...] = ()
    instances: int = 1  # that have shown it so far, this one included


@dataclass(frozen=True, slots=True)
class Score:
    """Verdict on a novelty. `severity` None: not worth a word now."""

    surprise: float
    severity: Severity | None
    state: State
    completeness: float
    unseen_upper: float
    nearest: tuple[Neighbour, ...]
    reasons: tuple[str, ...]


def score(novelty: Novelty, known: ClassProfile, config: ScoreConfig) -> Score:
    """Judge a novelty against what its class knows. Costs a look at up to 512 members."""
    bound, state = known.unseen_upper, known.state
    evidence = 1.0 - bound
    fixed = -log10(max(bound, _LEAST_UNSEEN)) + evidence * sum(touch.weight for touch in novelty.touches)
    fixed -= log10(max(1, novelty.instances))
    # Looking for neighbours is the costly part: a class that has just begun to learn goes without.
    matters = _trusted(known, state) or fixed + evidence * DISTANCE_WEIGHT >= config.learning_floor
    neighbours = nearest(novelty.member, known.members) if matters else ()
    distance = 1.0 - (neighbours[0].similarity if neighbours else 0.0)
    surprise = max(0.0, fixed + evidence * distance * DISTANCE_WEIGHT)
    severity = _severity(surprise, known, state, config)
    reasons = _reasons(novelty, known, state, neighbours) if severity is not None else ()
    return Score(surprise, severity, state, known.completeness, bound, neighbours, reasons)


def _trusted(known: ClassProfile, state: State) -> bool:
    return state is State.STABLE or (state is State.LOSSY and known.was_stable)


def _severity(surprise: float, known: ClassProfile, state: State, config: ScoreConfig) -> Severity | None:
    if not _trusted(known, state):
        return config.learning_cap if surprise >= config.learning_floor and not known.overflow else None
    severity = Severity.LOW
    if surprise >= config.medium:
        severity = Severity.HIGH if surprise >= config.high else Severity.MEDIUM
    return min(severity, config.lossy_cap) if state is State.LOSSY else severity


def _reasons(novelty: Novelty, known: ClassProfile, state: State, neighbours: tuple[Neighbour, ...]) -> tuple[str, ...]:
    reasons = [
        f"{novelty.sentence} in {known.units} units of {_instances(len(known.instances))}; "
        f"{_class_sentence(novelty.behaviour, known, state)}."
    ]
    if neighbours:
        best = neighbours[0]
        reasons.append(f"The nearest known behaviour is {best.name} (similarity {best.similarity:.2f}).")
    elif not known.members:
        reasons.append(f"This workload has never shown any behaviour of class {novelty.behaviour}.")
    reasons += [f"{touch.reason}." for touch in novelty.touches]
    if novelty.instances > 1:
        reasons.append(f"{novelty.instances} instances have shown it so far, which makes a change more likely.")
    return tuple(reasons)


def _instances(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def _class_sentence(behaviour: str, known: ClassProfile, state: State) -> str:
    complete = f"{100 * known.completeness:.1f} % complete (unseen ≤ {100 * known.unseen_upper:.1f} %)"
    if state is State.LOSSY:
        before = "was stable before" if known.was_stable else "was still learning"
        return (
            f"profile {behaviour} is lossy: events were lost, {known.loss_left} clean units to go; {before}, {complete}"
        )
    return f"profile {behaviour} is {state.value}: {complete}"
