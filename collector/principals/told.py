"""A first access in words: the finding."""

from typing import NamedTuple

from collector.audit.detector import ANOMALY, finding_id
from collector.audit.format import Format
from collector.audit.record import AuditRecord
from collector.plain import plain
from detection.baseline.budget import Ruling
from detection.finding import FieldValue, Finding, Kind, Severity
from detection.principals.access import API, CLASSES
from detection.principals.profile import PrincipalProfile
from detection.principals.score import AccessScore

_TEXT = 1500
_TITLES = {
    "api": "First use of an API by this principal",
    "resource": "First use of a kind of resource by this principal",
    "agent": "First use of a tool by this principal",
    "network": "First access from a network by this principal",
    "region": "First activity in a region by this principal",
    "hours": "First activity at these hours by this principal",
}
_ADVICE = (
    "Ask who stands behind the principal whether this was theirs. If not: revoke its credentials and sessions, and "
    "look at everything it did from this source since then."
)


class Told(NamedTuple):
    """What is to be said of a record; `ruling` is the budget's, None where it was not asked."""

    profile: PrincipalProfile
    verdict: AccessScore
    ruling: Ruling | None
    severity: Severity
    condemned: bool


def finding_of(form: Format, record: AuditRecord, told: Told) -> Finding:
    """One finding for all that the record shows for the first time."""
    profile, verdict, ruling, severity, condemned = told
    facts, key = form.facts_of(record), verdict.key
    title = _TITLES[key] if len(verdict.parts) == 1 else f"First access by this principal: {_listed(verdict)}"
    return Finding(
        id=finding_id(form.source, record.event_id, ANOMALY),
        time_ns=record.time_ns,
        source=form.source,
        kind=Kind.ANOMALY,
        rule_id=f"anomaly.{key}",
        title=title,
        severity=severity,
        reason=plain(f"{facts.summary}. {_reason(profile, verdict, ruling, condemned)}", _TEXT),
        techniques=(verdict.touch.technique,) if verdict.touch else (),
        entities=facts.entities,
        fields={**facts.fields, **_fields(profile, verdict)},
        advice=_ADVICE if severity > Severity.INFORMATIONAL else "",
        surprise=verdict.surprise,
        profile=_profile(profile, verdict),
    )


def _listed(verdict: AccessScore) -> str:
    names = [CLASSES[part.which] for part in verdict.parts]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _reason(profile: PrincipalProfile, verdict: AccessScore, ruling: Ruling | None, condemned: bool) -> str:
    parts = sorted(verdict.parts, key=lambda part: -part.decades)
    hours = profile.habits[API].units
    known = f"active in {hours} hour{'' if hours == 1 else 's'} before" if hours else "new here"
    who = f"{profile.actor.kind.value.capitalize()} {profile.actor.name}, {known}"
    sentences = [f"{who}: " + "; ".join(p.reason for p in parts)]
    if verdict.touch:
        sentences.append(f"This matters: {verdict.touch.reason}")
    if verdict.earlier:
        sentences.append(f"In the same hour it also was new with {', '.join(verdict.earlier)}")
    count = len(parts) + len(verdict.earlier)
    if count > 1:
        sentences.append(
            f"Surprise {verdict.surprise:.1f} decades is the sum over {count} classes as if they were independent, "
            "so an upper estimate"
        )
    else:
        sentences.append(f"Surprise {verdict.surprise:.1f} decades")
    if condemned:
        sentences.append("A rule condemned this record: it is not learned")
    return ". ".join(sentences) + "." + (f" {ruling.reason}" if ruling is not None else "")


def _profile(profile: PrincipalProfile, verdict: AccessScore) -> str:
    """State and completeness of the class that names the finding."""
    habit = profile.habits[CLASSES.index(verdict.key)]
    return (
        f"{verdict.key}: {habit.state.value}, {100 * habit.completeness:.1f} % complete "
        f"(unseen ≤ {100 * habit.unseen_upper:.1f} %), {habit.units} hours"
    )


def _fields(profile: PrincipalProfile, verdict: AccessScore) -> dict[str, FieldValue]:
    new = {f"new.{CLASSES[part.which]}": part.member for part in verdict.parts}
    return {
        "behaviour.principal": profile.actor.name,
        "behaviour.kind": profile.actor.kind.value,
        "behaviour.hours": profile.habits[API].units,
        "behaviour.strangeness": round(verdict.strangeness, 2),
        **new,
    }
