"""A behaviour its class does not know: is it learned, held back, reported?"""

from dataclasses import replace
from typing import NamedTuple

from agent.learn.actor import Behaviour
from agent.learn.config import LearnConfig
from agent.learn.image import Images, NoImages, image_touches
from agent.learn.ports import Decisions, NoDecisions
from agent.learn.techniques import techniques_of
from agent.learn.tracked import Tracked
from agent.observation import Anomaly
from agent.workload import Identified
from detection.baseline.keys import ClassKey
from detection.baseline.profile import ClassProfile, Held, State
from detection.baseline.score import Habits, Novelty, Score, score
from detection.baseline.similarity import Neighbourhoods
from detection.finding import Severity

_NOTHING: tuple[Anomaly, ...] = ()


class Case(NamedTuple):
    """Who showed it, in which profile. `condemned`: a rule condemned the process or one it descends from."""

    identified: Identified
    tracked: Tracked
    instance: str
    condemned: bool


class Judge:
    """Decides about novelties. `total`: members known in all profiles, which are bounded together.

    Whose word counts, in this order: people's (accepted, condemned, locked), the rules' (what they condemned is never
    learned), the fleet's (what siblings show is learned), the quorum's, and then the score's.
    """

    def __init__(self, config: LearnConfig) -> None:
        self._config = config
        self._budget = config.budgeted()
        self._indexes = Neighbourhoods()
        self.decisions: Decisions = NoDecisions()
        self.images: Images = NoImages()
        self.total = 0

    def novel(self, case: Case, behaviour: Behaviour, key: ClassKey) -> tuple[int, tuple[Anomaly, ...]]:
        """The row it was learned in (-1: held back), and what is to be said of it."""
        identified, tracked, instance, condemned = case
        profile, now_ns = tracked.profile, identified.event.head.time_ns
        known, name = profile.classes[key], behaviour.member
        decided = self.decisions.of(profile.workload, profile.version)
        if decided is not None and decided.accepts(key, name):
            known.condemned.pop(name, None)
            return self._take(known, name, instance, now_ns), _NOTHING
        held = known.quarantine.get(name)
        if held is not None and instance in held.instances and known.state is not State.LEARNING:
            held.seen(instance, now_ns)  # reported before
            return -1, _NOTHING
        condemned = condemned or tracked.fleet_condemns(key.behaviour, key.phase, name)
        insisted = decided is not None and (decided.condemns(key, name) or decided.locks(key))
        if not insisted and not condemned and tracked.fleet_knows(key.behaviour, key.phase, name):
            return self._take(known, name, instance, now_ns), _NOTHING
        shown = _shown_by(held, instance)
        voices = tracked.voices(key.behaviour, key.phase, name) + (held is None)
        verdict = self._score(behaviour, key, case, max(shown, voices))
        if insisted and decided is not None:
            verdict = _at_least_high(verdict, behaviour, "condemns it" if decided.condemns(key, name) else "is locked")
        row = -1
        if not (verdict.alarming or condemned or insisted) and self._has_quorum(behaviour, key, tracked, shown):
            row = self._take(known, name, instance, now_ns)
        anomalies = _NOTHING
        if held is None or instance not in held.instances:
            anomalies = _anomalies(behaviour, key, verdict)
            if not (condemned or insisted):
                _remember(verdict, key, name, tracked)
        if row < 0:
            known.hold(name, instance, now_ns)
        return row, anomalies

    def _score(self, behaviour: Behaviour, key: ClassKey, case: Case, shown: int) -> Score:
        """What a condemned process does is no harmless novelty: the budget has no say in it."""
        tracked = case.tracked
        elsewhere = tracked.elsewhere(key.behaviour, key.phase, behaviour.member)
        touches = behaviour.touches
        if tracked.before and behaviour.kind == "exec":
            touches += image_touches(case.identified, tracked.before, self.images)
        novelty = Novelty(behaviour.kind, behaviour.member, behaviour.sentence, touches, shown, elsewhere)
        known = tracked.judge(key.behaviour, key.phase)
        habits = Habits(str(key), tracked.record, self._budget, self._indexes, (tracked.key, key, id(known)))
        return score(novelty, known, self._config.score, None if case.condemned else habits)

    def _has_quorum(self, behaviour: Behaviour, key: ClassKey, tracked: Tracked, shown: int) -> bool:
        """Whether enough replicas show it to believe that it is the workload's.

        While a class learns, what touches nothing that matters needs none: replicas differ. What does matter waits
        for a second one wherever there is one, so that one compromised replica cannot teach it to all.
        """
        needed = min(self._config.quorum, tracked.replicas(key.behaviour, key.phase))
        if shown >= needed:
            return True
        weight = sum(touch.weight for touch in behaviour.touches)
        stable = tracked.judge(key.behaviour, key.phase).state is State.STABLE
        return not stable and weight < self._config.quorum_weight

    def _take(self, known: ClassProfile, name: str, instance: str, now_ns: int) -> int:
        if self.total >= self._config.max_members:
            known.refuse()
            return -1
        row = known.take(name, instance, now_ns)
        self.total += row >= 0
        return row


def _remember(verdict: Score, key: ClassKey, name: str, tracked: Tracked) -> None:
    """A novelty whose harmlessness nobody doubts yet goes into the workload's record."""
    if verdict.ruling is None:
        return
    tracked.record.note(str(key), verdict.strangeness, name)
    if verdict.ruling.begins and verdict.severity is not None and verdict.severity > Severity.INFORMATIONAL:
        tracked.record.note_alarm()


def _shown_by(held: Held | None, instance: str) -> int:
    return len(held.instances | {instance}) if held is not None else 1


def _at_least_high(verdict: Score, behaviour: Behaviour, why: str) -> Score:
    reasons = verdict.reasons or (f"{behaviour.sentence}.",)
    severity = max(verdict.severity or Severity.HIGH, Severity.HIGH)
    return replace(verdict, severity=severity, reasons=(*reasons, f"The baseline of this workload {why}."))


def _anomalies(behaviour: Behaviour, key: ClassKey, verdict: Score) -> tuple[Anomaly, ...]:
    if verdict.severity is None:
        return _NOTHING
    anomaly = Anomaly(
        behaviour=behaviour.kind,
        member=behaviour.member,
        surprise=verdict.surprise,
        severity=verdict.severity,
        state=verdict.state.value,
        completeness=verdict.completeness,
        nearest=tuple(neighbour.name for neighbour in verdict.nearest),
        reasons=verdict.reasons,
        techniques=techniques_of(behaviour),
        phase=key.phase.value,
    )
    return (anomaly,)
