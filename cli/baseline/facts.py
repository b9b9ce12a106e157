"""What is said of a profile, as plain data: for `--format json`, and what the text is made of."""

from dataclasses import asdict
from typing import Any

from agent.learn.examples import would_raise
from agent.learn.habits import habits_of
from cli.baseline.places import Summary
from detection.baseline.budget import state_of
from detection.baseline.interval import Interval, new_behaviours, sample_coverage
from detection.baseline.profile import ClassProfile, Profile
from detection.finding import Severity

_WEEK_S = 7 * 86_400
_SLOT_S = 60.0


def summary_of(profile: Profile) -> dict[str, Any]:
    """State of every class, and of the budget."""
    return {
        "workload": profile.workload,
        "version": profile.version,
        "classes": {str(key): class_facts(known) for key, known in profile.classes.items()},
        "budget": budget_of(profile),
    }


def lines_of(summary: Summary) -> dict[str, Any]:
    """The same of a profile whose members are elsewhere."""
    classes = {line.name: {k: v for k, v in line._asdict().items() if k != "name"} for line in summary.classes}
    return {**summary._asdict(), "classes": classes}


def budget_of(profile: Profile) -> dict[str, Any] | None:
    """Whether the operator's budget is kept; None where the profile does not say."""
    habits = habits_of(profile)
    if habits is None:
        return None
    state = state_of(*habits)
    return {**asdict(state), "status": state.status.value, "sentence": state.sentence}


def slot_s(profile: Profile) -> float:
    """Length of a slot, seconds, as the profile's agent told."""
    habits = habits_of(profile)
    return _WEEK_S / habits[1].slots_per_week if habits else _SLOT_S


def class_facts(known: ClassProfile) -> dict[str, Any]:
    """How a class stands."""
    covered = sample_coverage(known.slot_incidence)
    return {
        "state": known.state.value,
        "completeness": round(known.completeness, 6),
        "completeness_95": [round(share, 6) for share in (covered.low, covered.high)],
        "unseen_upper": round(known.unseen_upper, 6),
        "unseen_items": round(known.unseen_items, 2),
        "units": known.units,
        "instances": len(known.instances),
        "members": len(known.members),
        "quarantined": len(known.quarantine),
        "condemned": len(known.condemned),
        "refused": known.overflow,
    }


def new_a_week(known: ClassProfile, seconds: float) -> Interval:
    """Behaviours the class is expected to meet for the first time within a week, between two bounds."""
    per_slot, slots = new_behaviours(known.slot_incidence), _WEEK_S / seconds
    return Interval(*(bound * slots for bound in per_slot))


def examples_of(profile: Profile) -> list[dict[str, Any]]:
    """What would raise an alarm now."""
    return [
        {"behaviour": kind, "member": member, "surprise": round(surprise, 2), "severity": label_of(severity)}
        for kind, member, surprise, severity in would_raise(profile)
    ]


def label_of(severity: Severity | None) -> str:
    """A severity in a word."""
    return severity.label if severity is not None else "not reported"
