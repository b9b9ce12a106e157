"""Profiles of older formats, as data of the newest one.

What is not of the old format comes back as it is, and is refused where it is read.
"""

from typing import Any

from detection.baseline.completeness import spans_of
from detection.baseline.members import INSTANCE_BITS

_SECOND_NS = 1_000_000_000
_KEPT = ("overflow", "evicted", "losses", "loss_left", "was_stable", "condemned")


def from_format_1(profile: Any) -> Any:
    """Format 1: classes exec, write and egress, no phases; members hold the ids of the instances that showed them."""
    if not isinstance(profile, dict) or not isinstance(profile.get("classes"), dict):
        return profile
    classes = {name: _class(known) for name, known in profile["classes"].items()}
    return {**profile, "classes": classes, "notes": {}}


def _class(old: Any) -> Any:
    try:
        spans, novel = spans_of(int(old["units"])), [*old["novel"]]
        novel += [0] * (len(spans) - len(novel))
        numbers = {instance: n for n, instance in enumerate(old["instances"])}
        return {
            **{name: old[name] for name in _KEPT},
            "was_churning": False,
            "slots": int(old["units"]),  # as if one replica had shown all: nobody noted how many did
            "slot_incidences": sum(row[1] for row in old["members"].values()),
            "burst_units": 0,
            "burst_slots": 0,
            "windows": [list(pair) for pair in zip(spans, novel, strict=True)],
            "instances": list(numbers),
            "members": {name: _member(row, numbers) for name, row in old["members"].items()},
            "quarantine": {name: [row[0], row[3], row[4], row[5]] for name, row in old["quarantine"].items()},
        }
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
        return old


def _member(row: Any, numbers: dict[str, int]) -> list[Any]:
    count, units, first_unit, first_ns, last_ns, instances = row
    bits = 0
    for instance in instances:
        bits |= 1 << numbers[instance] % INSTANCE_BITS if instance in numbers else 0
    return [count, units, first_unit, first_ns // _SECOND_NS, last_ns // _SECOND_NS, bits, units]
