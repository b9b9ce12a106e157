"""Audit records → what is new of their principals → at most one finding a record."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from collector.audit.format import Format
from collector.audit.record import AuditRecord
from collector.principals.ruling import Case, ruled
from collector.principals.state import BehaviourConfig, SourceState
from collector.principals.told import Told, finding_of
from detection.finding import Finding, Severity, Source
from detection.principals.access import Access, Actor
from detection.principals.habit import HOUR_NS
from detection.principals.profile import PrincipalProfile, shown_of
from detection.principals.score import AccessScore, remember, score


def nowhere(_source: str, _name: str) -> PrincipalProfile | None:
    """No store: a principal that left memory begins anew."""
    return None


class PrincipalWatch:
    """Learns and judges. One thread (the event loop); a record of known behaviour costs some dictionary look-ups.

    `find` gives a stored profile by source and name; it may block for as long as one read takes.
    """

    def __init__(
        self,
        config: BehaviourConfig | None = None,
        find: Callable[[str, str], PrincipalProfile | None] = nowhere,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config or BehaviourConfig()
        self.find = find
        self.stored = False  # whether somebody takes what changed (`SourceState.dirty`)
        self._now_ns = now_ns
        self._latest = 0  # the hour after which a record's time is not believed
        self.states: dict[Source, SourceState] = {}
        self._untold: dict[str, tuple[Source, frozenset[str]]] = {}
        self._counts: Counter[str] = Counter()

    def observe(self, form: Format, record: AuditRecord, condemned: bool = False) -> Finding | None:
        """Learn from a record; a finding where it shows something new. `condemned`: a rule of medium or higher held."""
        access = form.access_of(record)
        if access is None:
            return None
        hour = record.time_ns // HOUR_NS
        state = self.states.get(form.source) or self.state(form.source)
        if hour != state.hour and not self._moved(state, hour):
            return None
        if state.closing:
            state.close_some()
        told = self._one(state, access.actor, access, record, condemned)
        if access.acting_as is not None:
            told = self._both(told, state, access, record, condemned)
        if told is None:
            return None
        self._counts["findings"] += 1
        finding = finding_of(form, record, told)
        if self.stored:
            names = {actor.name for actor in (access.actor, access.acting_as) if actor is not None}
            self._untold[finding.id] = (form.source, frozenset(names))
        return finding

    def told(self, findings: Sequence[Finding]) -> None:
        """These findings are stored."""
        if self._untold:
            for finding in findings:
                self._untold.pop(finding.id, None)

    def untold(self, source: Source) -> set[str]:
        """Principals whose newest finding is not stored yet: should it be lost, its record must be new again."""
        return {name for of, names in self._untold.values() if of is source for name in names}

    def state(self, source: Source) -> SourceState:
        """What is known of a source."""
        if source not in self.states:
            self.states[source] = SourceState(source, self.config, self._find, self._counts)
            self.states[source].stored = self.stored
        return self.states[source]

    def counters(self) -> Mapping[str, int]:
        """See the help of the metric `behaviour` for the causes."""
        return dict(self._counts)

    def settle(self) -> None:
        """Close all that is over, now."""
        for state in self.states.values():
            state.close_some(1 << 30)

    def _moved(self, state: SourceState, hour: int) -> bool:
        """The record is of another hour than the newest. False: of one that has not begun, so nothing of it is true."""
        if hour > state.hour:
            if hour > self._latest:
                self._latest = self._now_ns() // HOUR_NS + 1
                if hour > self._latest:
                    self._counts["future"] += 1
                    return False
            state.advance(hour)
        elif hour < state.oldest:
            self._counts["late"] += 1
        return True

    def _find(self, source: str, name: str) -> PrincipalProfile | None:
        return self.find(source, name)

    def _both(
        self, told: Told | None, state: SourceState, access: Access, record: AuditRecord, condemned: bool
    ) -> Told | None:
        """The record counts for whom it acts as, too; the more surprising of both is told."""
        other = self._one(state, access.acting_as or access.actor, access, record, condemned)
        if told is None or other is None:
            return told or other
        return max(told, other, key=lambda one: (one.severity, one.verdict.surprise))

    def _one(
        self, state: SourceState, actor: Actor, access: Access, record: AuditRecord, condemned: bool
    ) -> Told | None:
        shown, hour = shown_of(access), record.time_ns // HOUR_NS
        if access.acting_as is not None and actor is access.actor:
            shown = (shown[0] + " (as another)", *shown[1:])
        profile = state.profiles.get(actor.name)
        unit = profile.units.get(hour) if profile is not None else None
        if unit is not None and shown in unit.shown:
            return None  # the way of nearly all records
        profile = profile or state.profile(actor)
        novel = profile.novel(shown)
        if hour < state.oldest:
            if not novel:
                return None
            hour = state.oldest  # its own hour is closed: it counts in the oldest that is not
        if hour not in profile.units:
            state.opened(profile, hour)
        unit = profile.units[hour]
        again = all(shown[i] in unit.names[i] for i in novel)
        told = None if again else self._judge(Case(state, profile, unit, shown, novel, record.time_ns, condemned))
        unit.note(shown)
        return told

    def _judge(self, case: Case) -> Told | None:
        self._counts["novel"] += 1
        profile = case.profile
        groups = case.state.groups_of(profile.actor)
        verdict = score(profile, groups, case.shown, case.novel, case.unit, config=self.config.score)
        severity, ruling = ruled(case, verdict)
        held = any(case.shown[i] in profile.habits[i].held for i in case.novel)
        self._learn(case, verdict)
        if case.silent or severity is None:
            return None
        remember(verdict, case.unit)
        if held or case.condemned:
            # Reported before, or the rule says it better: this is for joins.
            severity = Severity.INFORMATIONAL
        if severity > Severity.INFORMATIONAL:
            self._counts["alarms"] += 1
        return Told(profile, verdict, ruling, severity, case.condemned)

    def _learn(self, case: Case, verdict: AccessScore) -> None:
        """What a rule condemned is not learned; what would alarm is held, whatever the budget says of it."""
        if case.condemned:
            self._counts["condemned"] += 1
            return
        alarming = not case.silent and verdict.severity is not None and verdict.severity >= Severity.MEDIUM
        self._counts["held"] += alarming
        for index in case.novel:
            habit, name = case.profile.habits[index], case.shown[index]
            if alarming or name in habit.held:
                habit.hold(name, case.time_ns)
            else:
                habit.learn(name)
