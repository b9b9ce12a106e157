"""Members of a class as bytes and back: what travels between agents and collectors, and what the collector stores.

zlib (RFC 1950) of a JSON list with one list per member: name, count, units, first_ns, last_ns, instances, held,
slots, agents. Further columns of a newer version are ignored, missing ones of an older have their defaults.
Unpacking trusts nothing: sizes, types and ranges are checked, and no more is inflated than is allowed.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from detection.baseline.snapshot import ClassSnapshot, Shown, Window
from detection.errors import DetectionError

MAX_UNPACKED = 1 << 20  # in one message
MAX_STORED = 64 << 20
MAX_MEMBERS = 20_000
MAX_NAME = 4096
_LARGEST = 1 << 62
_LEVEL = 6
_LEAST = 6  # columns without which a row says nothing
_DEFAULTS = (0, 0, 1)  # of those behind them


class PackingError(DetectionError):
    """Bytes that are no packed members."""


def pack(members: Mapping[str, Shown]) -> bytes:
    """Bytes that `Unpacker` reads; the same members give the same bytes."""
    rows = [_row(name, members[name]) for name in sorted(members)]
    return zlib.compress(orjson.dumps(rows), _LEVEL)


def portions(members: Mapping[str, Shown], limit: int) -> Iterator[dict[str, Shown]]:
    """The members in portions of about `limit` bytes before compression; at least one, if only an empty one."""
    portion: dict[str, Shown] = {}
    size = 0
    for name in sorted(members):
        cost = len(name.encode("utf-8", "replace")) + 64
        if portion and size + cost > limit:
            yield portion
            portion, size = {}, 0
        portion[name] = members[name]
        size += cost
    yield portion


def pack_classes(classes: Mapping[str, ClassSnapshot]) -> bytes:
    """Whole classes, for a store of one's own; `unpack_classes` reads them."""
    plain = {
        name: {
            "windows": [list(window) for window in known.windows],
            "members": [_row(member, known.members[member]) for member in sorted(known.members)],
            "condemned": sorted(_readable(member) for member in known.condemned),
            "counts": [known.instances, known.overflow, known.loss_left, known.slots],
        }
        for name, known in classes.items()
    }
    return zlib.compress(orjson.dumps(plain), _LEVEL)


def unpack_classes(data: bytes) -> dict[str, ClassSnapshot]:
    """What `pack_classes` packed. Raises: PackingError."""
    plain = _parse(_inflate(data, MAX_STORED))
    try:
        return {name: _class(known) for name, known in plain.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PackingError(f"classes are in no form this version knows: {error!r}") from error


def _class(known: Mapping[str, Any]) -> ClassSnapshot:
    instances, overflow, loss_left, slots = known["counts"]
    return ClassSnapshot(
        windows=tuple(Window(units, novel) for units, novel in known["windows"]),
        members=dict(_member(row) for row in known["members"]),
        condemned=frozenset(known["condemned"]),
        instances=instances,
        overflow=overflow,
        loss_left=loss_left,
        slots=slots,
    )


class Unpacker:
    """Unpacks the members of one message; all of them together may inflate to `limit` bytes."""

    def __init__(self, limit: int = MAX_UNPACKED) -> None:
        self._left = limit

    def members(self, data: bytes) -> dict[str, Shown]:
        """Members that `pack` packed. Raises: PackingError."""
        if not data:
            return {}
        plain = _inflate(data, self._left)
        self._left -= len(plain)
        rows = _parse(plain)
        if not isinstance(rows, list) or len(rows) > MAX_MEMBERS:
            raise PackingError(f"members are a list of at most {MAX_MEMBERS} rows")
        return dict(_member(row) for row in rows)


def _inflate(data: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise PackingError("members are not zlib of JSON") from error
    if len(plain) > limit or not inflater.eof:
        raise PackingError(f"members do not inflate to at most {limit} bytes")
    return plain


def _parse(plain: bytes) -> Any:
    try:
        return orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        raise PackingError("members are not zlib of JSON") from error


def _readable(name: str) -> str:
    return name if name.isascii() else name.encode("utf-8", "replace").decode()


def _row(name: str, shown: Shown) -> list[Any]:
    times, units, first_ns, last_ns, instances, held, slots, agents = shown
    return [_readable(name), times, units, first_ns, last_ns, instances, int(held), slots, agents]


def _member(row: Any) -> tuple[str, Shown]:
    if not isinstance(row, list) or len(row) < _LEAST:
        raise PackingError("a member is a list of name, count, units, first_ns, last_ns, instances …")
    name = row[0]
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise PackingError(f"a member's name is text of 1 to {MAX_NAME} characters")
    numbers = row[1:9]
    if not all(type(n) is int and 0 <= n < _LARGEST for n in numbers):
        raise PackingError("a member's counts and times are whole numbers from 0")
    times, units, first_ns, last_ns, instances = numbers[:5]
    rest = [*numbers[5:8], *_DEFAULTS[len(numbers) - 5 :]]
    return name, Shown(times, units, first_ns, last_ns, instances, bool(rest[0]), rest[1], rest[2])
