"""Kubernetes audit events from bytes, in every shape the API server and its log shippers write.

Format: k8s.io/apiserver/pkg/apis/audit v1 (v1beta1 and v1alpha1 differ in the time fields only).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):?(\d\d))")
_MARKS = frozenset({"auditID", "verb", "requestURI", "stage"})


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One audit record. `time_ns` is when the request came (Unix, nanoseconds); `raw` is the record itself."""

    audit_id: str
    stage: str
    time_ns: int
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that could not be used: where it stood and what is wrong with it (never its content)."""

    position: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one piece of input held."""

    events: tuple[AuditEvent, ...]
    problems: tuple[Problem, ...]


def parse(data: bytes, position: str, max_events: int = 10_000) -> Parsed:
    """Events of a body: one event, an EventList, a list of events, or JSON lines of any of these.

    `position` names the input in problems ("request 12"). A bad record costs only itself.
    """
    try:
        return parse_value(orjson.loads(data), position, max_events)
    except orjson.JSONDecodeError as error:
        lines = data.split(b"\n")
        if len([line for line in lines if line.strip()]) < 2:
            return Parsed((), (Problem(position, _not_json(error)),))
    return parse_lines(lines, position, max_events)


def parse_lines(lines: list[bytes], position: str, max_events: int = 10_000) -> Parsed:
    """Events of JSON lines; empty lines mean nothing. Problems name the line, from 1."""
    events: list[AuditEvent] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        where = f"{position}, line {number}"
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            problems.append(Problem(where, _not_json(error)))
            continue
        part = parse_value(value, where, max_events - len(events))
        events += part.events
        problems += part.problems
    return Parsed(tuple(events), tuple(problems))


def parse_value(value: Any, position: str, max_events: int = 10_000) -> Parsed:
    """Events of a decoded JSON value."""
    events: list[AuditEvent] = []
    problems: list[Problem] = []
    for where, record in _records(value, position):
        if len(events) >= max_events:
            problems.append(Problem(where, f"more than {max_events} events in one piece: send smaller batches"))
            break
        event = event_of(record, where)
        if isinstance(event, Problem):
            problems.append(event)
        else:
            events.append(event)
    return Parsed(tuple(events), tuple(problems))


def event_of(record: Any, position: str) -> AuditEvent | Problem:
    """One record as an event, or what is wrong with it."""
    if not isinstance(record, dict):
        return Problem(position, f"an audit event is a JSON object, this is {type(record).__name__}")
    if not _MARKS & record.keys():
        return Problem(position, "no auditID, verb, requestURI or stage: not a Kubernetes audit event")
    time_ns = _event_time(record)
    if time_ns is None:
        return Problem(position, "no requestReceivedTimestamp or stageTimestamp in RFC 3339 form")
    audit_id = record.get("auditID")
    if not isinstance(audit_id, str) or not audit_id or len(audit_id) > 128:
        audit_id = "sha256:" + hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
    stage = record.get("stage")
    return AuditEvent(audit_id, stage if isinstance(stage, str) else "", time_ns, record)


def parse_time(text: Any) -> int | None:
    """An RFC 3339 time as Unix nanoseconds, None when it is not one."""
    match = _TIME.fullmatch(text) if isinstance(text, str) and len(text) <= 64 else None
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


def _records(value: Any, position: str) -> Iterator[tuple[str, Any]]:
    items = value
    if isinstance(value, dict):
        items = value.get("items")
        if not isinstance(items, list):
            yield position, value
            return
    elif not isinstance(value, list):
        yield position, value
        return
    for number, item in enumerate(items, 1):
        yield f"{position}, item {number}", item


def _event_time(record: Mapping[str, Any]) -> int | None:
    metadata = record.get("metadata")
    created = metadata.get("creationTimestamp") if isinstance(metadata, dict) else None
    for text in (
        record.get("requestReceivedTimestamp"),
        record.get("stageTimestamp"),
        record.get("timestamp"),
        created,
    ):
        found = parse_time(text)
        if found is not None:
            return found
    return None


def _not_json(error: orjson.JSONDecodeError) -> str:
    return f"not JSON at character {error.pos}: {error.msg}"
