"""Audit records from bytes, in every shape control planes and log shippers write them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from collector.audit.format import Format
from collector.audit.packages import PACKED, PackageError, opened
from collector.audit.record import AuditRecord, Parsed, Problem

MOST_RECORDS = 10_000
_DEEPEST = 4  # packages and envelopes within each other
_KEPT = 2048  # bytes of a bad record, for the dead letter


def parse(form: Format, data: bytes, position: str, most: int = MOST_RECORDS) -> Parsed:
    """Records of a body: one record, an envelope or list of records, or JSON lines of any of these.

    `position` names the input in problems ("request 12"). A bad record costs only itself.
    """
    try:
        return parse_value(form, orjson.loads(data), position, most)
    except orjson.JSONDecodeError as error:
        if data.startswith(PACKED):
            return parse_value(form, data.decode(errors="replace").strip(), position, most)
        lines = data.split(b"\n")
        if len([line for line in lines if line.strip()]) < 2:
            return Parsed((), (Problem(position, _not_json(error), data[:_KEPT]),))
    return parse_lines(form, lines, position, most)


def parse_lines(form: Format, lines: list[bytes], position: str, most: int = MOST_RECORDS) -> Parsed:
    """Records of JSON lines; empty lines mean nothing. Problems name the line, from 1."""
    records: list[AuditRecord] = []
    problems: list[Problem] = []
    other = 0
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        where = f"{position}, line {number}"
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            problems.append(Problem(where, _not_json(error), line[:_KEPT]))
            continue
        part = parse_value(form, value, where, most - len(records))
        records += part.records
        problems += part.problems
        other += part.other
    return Parsed(tuple(records), tuple(problems), other)


def parse_value(form: Format, value: Any, position: str, most: int = MOST_RECORDS) -> Parsed:
    """Records of a decoded JSON value: one, a list, an envelope, a carrier's package, or these within each other."""
    records: list[AuditRecord] = []
    problems: list[Problem] = []
    other = 0
    for where, item in _items(form, value, position):
        if len(records) >= most:
            problems.append(Problem(where, f"more than {most} records in one piece: send smaller batches"))
            break
        record = item if isinstance(item, Problem) else form.record_of(form.unwrap(item), where)
        if isinstance(record, Problem):
            problems.append(record if record.record else replace(record, record=_beginning(item)))
        elif record is None:
            other += 1
        else:
            records.append(record)
    return Parsed(tuple(records), tuple(problems), other)


def _items(form: Format, value: Any, position: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The records in a value, each with its place; a Problem for a package that cannot be opened."""
    try:
        inner = opened(value)
    except PackageError as error:
        yield position, Problem(position, str(error), _beginning(value))
        return
    held = _list_in(form, inner)
    if held is None:
        # A package in a package: SNS around EventBridge, for one.
        yield from (
            ((position, value),) if inner is value or depth >= _DEEPEST else _items(form, inner, position, depth + 1)
        )
        return
    if depth >= _DEEPEST:
        yield position, Problem(position, f"envelopes nested more than {_DEEPEST} deep")
        return
    for number, item in enumerate(held, 1):
        yield from _items(form, item, f"{position}, item {number}", depth + 1)


def _list_in(form: Format, value: Any) -> list[Any] | None:
    """A list, or the one an envelope carries."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in form.lists if isinstance(value.get(name), list)), None)


def _beginning(item: Any) -> bytes:
    try:
        return orjson.dumps(item)[:_KEPT]
    except orjson.JSONEncodeError:
        return b""


def _not_json(error: orjson.JSONDecodeError) -> str:
    return f"not JSON at character {error.pos}: {error.msg}"
