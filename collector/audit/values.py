"""Reading records that anybody may have written: a value of the wrong type is an absent one."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import orjson

from collector.plain import plain
from detection.finding import Entity, EntityKind
from detection.redact import redact_text

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):?(\d\d))")
MOST_ITEMS = 16
MOST_ID = 128


def text(value: Any, limit: int = 2048) -> str:
    """A text, cut; "" for anything else."""
    return value[:limit] if isinstance(value, str) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """A list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, at most 64."""
    return [item for item in items(value)[:64] if isinstance(item, dict)]


def shown(value: Any, limit: int = 256) -> str:
    """A text fit for a finding: printable, redacted, cut."""
    return plain(redact_text(text(value, limit * 2)), limit)


def shown_all(values: Any) -> tuple[str, ...]:
    """The texts of a list, each as `shown`; at most 16."""
    return tuple(shown(v) for v in items(values)[:MOST_ITEMS] if text(v))


def address(value: Any) -> Entity | None:
    """An IP address as the entity that acted, None when it is not one."""
    try:
        return Entity(EntityKind.ADDRESS, str(ip_address(text(value, 64))))
    except ValueError:
        return None


def distinct(entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    """Each kind, id and role once, the first of them."""
    return tuple({(e.kind, e.id, e.role): e for e in reversed(entities)}.values())[::-1]


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {key: value for key, value in fields.items() if value not in ("", (), None)}


def own_id(value: Any, record: Mapping[str, Any]) -> str:
    """The record's own id; without a usable one, a hash of the record."""
    if isinstance(value, str) and 0 < len(value) <= MOST_ID:
        return value
    return "sha256:" + hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def parse_time(value: Any) -> int | None:
    """An RFC 3339 time as Unix nanoseconds, None when it is not one."""
    match = _TIME.fullmatch(value) if isinstance(value, str) and len(value) <= 64 else None
    if match is None:
        return None
    try:
        whole = datetime(*(int(g) for g in match.groups()[:6]), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return None
    offset_s = int(match[9]) * 3600 + int(match[10]) * 60 if match[8] else 0
    seconds = int(whole.timestamp()) - (offset_s if match[8] == "+" else -offset_s)
    nanoseconds = seconds * 1_000_000_000 + int((match[7] or "0").ljust(9, "0"))
    return nanoseconds if nanoseconds >= 0 else None


def first_time(*values: Any) -> int | None:
    """The first of them that is a time."""
    return next((found for found in map(parse_time, values) if found is not None), None)
