"""What the operator's budget says of a novelty: may it call a person?

The budget is one for all principals of a source; novelties are ranked by strangeness among those of the source's last
weeks (`detection.baseline.conformal`), by kind of principal. What one principal does within an hour after it
raised an alarm belongs to that alarm and costs nothing more.
"""

from typing import NamedTuple

from collector.principals.state import SourceState
from detection.baseline.budget import Ruling, rule
from detection.finding import Severity
from detection.principals.access import PrincipalKind
from detection.principals.habit import HOUR_NS
from detection.principals.profile import PrincipalProfile, Shown, Unit
from detection.principals.score import AccessScore

_EPISODE_NS = HOUR_NS
_EPISODE_STRANGENESS = 1.0


class Case(NamedTuple):
    """A record that shows something new of a principal, in classes `novel`."""

    state: SourceState
    profile: PrincipalProfile
    unit: Unit
    shown: Shown
    novel: tuple[int, ...]
    time_ns: int
    condemned: bool

    @property
    def silent(self) -> bool:
        """Of the control plane itself: learned, never reported."""
        return self.profile.actor.kind is PrincipalKind.SERVICE


def ruled(case: Case, verdict: AccessScore) -> tuple[Severity | None, Ruling | None]:
    """What the budget leaves of the severity; the novelty goes on record, unless a rule condemned it."""
    state, profile, severity = case.state, case.profile, verdict.severity
    if severity is None or not verdict.strangeness or case.silent:
        return severity, None
    kind = profile.actor.kind.value
    state.trust(kind)
    ruling = rule(kind, verdict.strangeness, state.record, state.budget)
    if case.condemned:
        return severity, ruling
    same = abs(case.time_ns - profile.alarm_ns) < _EPISODE_NS and verdict.strangeness >= _EPISODE_STRANGENESS
    if not same:
        state.record.note(kind, verdict.strangeness, f"{profile.actor.name} {verdict.parts[0].member}")
    if severity <= Severity.INFORMATIONAL or not (ruling.passes or same):
        return min(severity, Severity.INFORMATIONAL), ruling
    if not same:
        profile.alarm_ns = case.time_ns
        state.record.note_alarm()
    return severity, ruling
