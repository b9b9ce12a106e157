"""Profiles as plain data and back; what is kept on disk and shown for review.

Format version 1. Only what was counted is kept: members whose first unit is still open are left out (the sensor
reports them again). Unknown keys are refused, so that a file from a newer version is not half understood.
"""

from typing import Any

from detection.baseline.profile import CLASSES, ClassProfile, Member, Profile, ProfileConfig
from detection.errors import DetectionError

FORMAT = 1
_COUNTERS = ("units", "overflow", "evicted", "losses", "loss_left")
_CLASS_KEYS = frozenset({*_COUNTERS, "was_stable", "novel", "instances", "members", "quarantine", "condemned"})
_PROFILE_KEYS = frozenset({"workload", "version", "witnessed", "last_ns", "classes"})
_LARGEST = 1 << 63


class ArchiveError(DetectionError):
    """Data that is not a profile of this format; says which part."""


def profile_to_dict(profile: Profile) -> dict[str, Any]:
    """Plain JSON-ready form of a profile."""
    return {
        "workload": profile.workload,
        "version": profile.version,
        "witnessed": profile.witnessed,
        "last_ns": profile.last_ns,
        "classes": {name: _class_to_dict(behaviours) for name, behaviours in profile.classes.items()},
    }


def profile_from_dict(data: Any, config: ProfileConfig) -> Profile:
    """The profile `profile_to_dict` gave. Raises: ArchiveError."""
    _expect(isinstance(data, dict) and set(data) == _PROFILE_KEYS, "a profile", data)
    workload, version, classes = data["workload"], data["version"], data["classes"]
    _expect(isinstance(workload, str) and isinstance(version, str), "workload and version", data)
    _expect(isinstance(classes, dict) and set(classes) == set(CLASSES), f"classes of {workload}", classes)
    profile = Profile(workload, version, config)
    profile.witnessed = _number(data["witnessed"], "witnessed")
    profile.last_ns = _number(data["last_ns"], "last_ns")
    for name in CLASSES:
        _fill_class(profile.classes[name], classes[name], f"{workload} {name}")
    return profile


def _class_to_dict(behaviours: ClassProfile) -> dict[str, Any]:
    return {
        **{name: getattr(behaviours, name) for name in _COUNTERS},
        "was_stable": behaviours.was_stable,
        "novel": behaviours.novel,
        "instances": sorted(behaviours.instances),
        "members": {m.name: _member_to_list(m) for m in behaviours.members.values() if m.units},
        "quarantine": {m.name: _member_to_list(m) for m in behaviours.quarantine.values()},
        "condemned": behaviours.condemned,
    }


def _member_to_list(member: Member) -> list[Any]:
    return [
        member.count, member.units, member.first_unit, member.first_ns, member.last_ns, sorted(member.instances)
    ]  # fmt: skip


def _fill_class(behaviours: ClassProfile, data: Any, where: str) -> None:
    _expect(isinstance(data, dict) and set(data) == _CLASS_KEYS, where, data)
    for name in _COUNTERS:
        setattr(behaviours, name, _number(data[name], f"{where} {name}"))
    behaviours.was_stable = data["was_stable"] is True
    behaviours.novel = [_number(n, f"{where} novel") for n in _list(data["novel"], where)]
    behaviours.instances = {_text(i, where) for i in _list(data["instances"], where)}
    behaviours.members = {m.name: m for m in _members(data["members"], where, known=True)}
    behaviours.quarantine = {m.name: m for m in _members(data["quarantine"], where, known=False)}
    _expect(isinstance(data["condemned"], dict), f"{where} condemned", data["condemned"])
    behaviours.condemned = {_text(k, where): _number(v, where) for k, v in data["condemned"].items()}
    _recount(behaviours)


def _recount(behaviours: ClassProfile) -> None:
    """Derive what the members determine, so that a file cannot contradict itself."""
    units = [m.units for m in behaviours.members.values()]
    behaviours.observed = len(units)
    behaviours.incidences = sum(units)
    behaviours.uniques = units.count(1)
    behaviours.duplicates = units.count(2)


def _members(data: Any, where: str, known: bool) -> list[Member]:
    _expect(isinstance(data, dict), where, data)
    return [_member(_text(name, where), row, where, known) for name, row in data.items()]


def _member(name: str, row: Any, where: str, known: bool) -> Member:
    _expect(isinstance(row, list) and len(row) == 6, f"{where} member", row)
    count, units, first_unit, first_ns, last_ns = (_number(n, f"{where} member") for n in row[:5])
    instances = {_text(i, where) for i in _list(row[5], where)}
    return Member(name, first_ns, last_ns, count, units, first_unit, instances, known)


def _number(value: Any, where: str) -> int:
    _expect(type(value) is int and 0 <= value < _LARGEST, f"{where}: a count", value)
    return int(value)


def _text(value: Any, where: str) -> str:
    _expect(isinstance(value, str) and len(value) <= 4096, f"{where}: a name", value)
    return str(value)


def _list(value: Any, where: str) -> list[Any]:
    _expect(isinstance(value, list), f"{where}: a list", value)
    return list(value)


def _expect(condition: bool, what: str, got: Any) -> None:
    if not condition:
        raise ArchiveError(f"expected {what[:200]!r}, found {repr(got)[:80]}")
