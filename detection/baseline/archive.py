"""Profiles as plain data and back; what is kept on disk and shown for review.

Format 2. Only what was counted is kept: members whose first unit is still open are left out (the sensor
reports them again). Unknown keys are refused, so that a file from a newer version is not half understood.
Format 1 (three classes, no phases) is read, too: `detection.baseline.migration`.
"""

from typing import Any

import orjson

from detection.baseline.keys import ClassKey
from detection.baseline.members import INSTANCE_BITS, Member
from detection.baseline.profile import ClassProfile, Held, Profile, ProfileConfig
from detection.errors import DetectionError

FORMAT = 2
_COUNTERS = ("slots", "slot_incidences", "burst_units", "burst_slots", "overflow", "evicted", "losses", "loss_left")
_FLAGS = ("was_stable", "was_churning")
_CLASS_KEYS = frozenset({*_COUNTERS, *_FLAGS, "windows", "instances", "members", "quarantine", "condemned"})
_PROFILE_KEYS = frozenset({"workload", "version", "witnessed", "last_ns", "classes", "notes"})
_LARGEST = 1 << 63
_MOST_NOTES = 64 << 10  # bytes as JSON
_MOST_WINDOWS = 64
_SECOND_NS = 1_000_000_000


class ArchiveError(DetectionError):
    """Data that is not a profile of this format; says which part."""


def profile_to_dict(profile: Profile) -> dict[str, Any]:
    """Plain JSON-ready form of a profile."""
    return {
        "workload": profile.workload,
        "version": profile.version,
        "witnessed": profile.witnessed,
        "last_ns": profile.last_ns,
        "classes": {str(key): _class_to_dict(known) for key, known in profile.classes.items()},
        "notes": profile.notes,
    }


def profile_from_dict(data: Any, config: ProfileConfig) -> Profile:
    """The profile `profile_to_dict` gave. Raises: ArchiveError."""
    _expect(isinstance(data, dict) and set(data) == _PROFILE_KEYS, "a profile", data)
    workload, version, classes = data["workload"], data["version"], data["classes"]
    _expect(isinstance(workload, str) and isinstance(version, str), "workload and version", data)
    _expect(isinstance(classes, dict), f"classes of {workload}", classes)
    profile = Profile(workload, version, config)
    profile.witnessed = _number(data["witnessed"], "witnessed")
    profile.last_ns = _number(data["last_ns"], "last_ns")
    profile.notes = _notes(data["notes"], workload)
    for name, known in classes.items():
        _fill_class(profile.classes[_key(name)], known, f"{workload} {name}")
    return profile


def _class_to_dict(known: ClassProfile) -> dict[str, Any]:
    return {
        **{name: getattr(known, name) for name in (*_COUNTERS, *_FLAGS)},
        "windows": known.windows,
        "instances": list(known.instances),
        "members": {m.name: _member_to_list(m) for m in known.members.values() if m.units},
        "quarantine": {
            h.name: [h.count, h.first_ns, h.last_ns, sorted(h.instances)] for h in known.quarantine.values()
        },
        "condemned": known.condemned,
    }


def _member_to_list(member: Member) -> list[int]:
    first_s, last_s = member.first_ns // _SECOND_NS, member.last_ns // _SECOND_NS
    return [member.count, member.units, member.first_unit, first_s, last_s, member.instances, member.slots]


def _key(name: Any) -> ClassKey:
    try:
        return ClassKey.parse(_text(name, "a class"))
    except ValueError as error:
        raise ArchiveError(str(error)) from error


def _notes(data: Any, where: str) -> dict[str, Any]:
    _expect(isinstance(data, dict), f"notes of {where}", data)
    _expect(len(orjson.dumps(data)) <= _MOST_NOTES, f"at most {_MOST_NOTES} bytes of notes of {where}", "more")
    return dict(data)


def _fill_class(known: ClassProfile, data: Any, where: str) -> None:
    _expect(isinstance(data, dict) and set(data) == _CLASS_KEYS, where, data)
    for name in _COUNTERS:
        setattr(known, name, _number(data[name], f"{where} {name}"))
    for name in _FLAGS:
        setattr(known, name, data[name] is True)
    known.windows = _windows(data["windows"], where)
    known.units = sum(units for units, _ in known.windows)
    known.instances = {_text(i, where): n for n, i in enumerate(_list(data["instances"], where))}
    _expect(isinstance(data["members"], dict), f"{where} members", data["members"])
    for name, row in data["members"].items():
        known.restore(_member(name, row, where))
    _expect(isinstance(data["quarantine"], dict), f"{where} quarantine", data["quarantine"])
    known.quarantine = {name: _held(name, row, where) for name, row in data["quarantine"].items()}
    _expect(isinstance(data["condemned"], dict), f"{where} condemned", data["condemned"])
    known.condemned = {_text(k, where): _number(v, where) for k, v in data["condemned"].items()}


def _windows(data: Any, where: str) -> list[list[int]]:
    windows = [[_number(n, f"{where} windows") for n in _list(pair, f"{where} windows")] for pair in _list(data, where)]
    _expect(len(windows) <= _MOST_WINDOWS, f"{where}: at most {_MOST_WINDOWS} windows", len(windows))
    for pair in windows:
        _expect(len(pair) == 2 and pair[1] <= pair[0], f"{where}: units and novel units", pair)
    return windows


def _member(name: Any, row: Any, where: str) -> Member:
    _expect(isinstance(row, list) and len(row) == 7, f"{where} member", row)
    count, units, first_unit, first_s, last_s, instances, slots = (_number(n, f"{where} member") for n in row)
    _expect(units > 0 and instances < 1 << INSTANCE_BITS, f"{where} member", row)
    _expect(max(first_s, last_s) < _LARGEST // _SECOND_NS, f"{where} member's times", row)
    first_ns, last_ns = first_s * _SECOND_NS, last_s * _SECOND_NS
    return Member(_text(name, where), count, units, first_unit, first_ns, last_ns, instances, slots=slots)


def _held(name: Any, row: Any, where: str) -> Held:
    _expect(isinstance(row, list) and len(row) == 4, f"{where} quarantine", row)
    count, first_ns, last_ns = (_number(n, f"{where} quarantine") for n in row[:3])
    return Held(_text(name, where), first_ns, last_ns, count, {_text(i, where) for i in _list(row[3], where)})


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
