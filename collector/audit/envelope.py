"""Audit records from bytes, in every shape control planes and log shippers write them."""

from collections.abc import Iterator
from typing import Any

import orjson

from collector.audit.format import Format
from collector.audit.record import AuditRecord, Parsed, Problem

MOST_RECORDS = 10_000


def parse(form: Format, data: bytes, position: str, most: int = MOST_RECORDS) -> Parsed:
    """Records of a body: one record, an envelope or list of records, or JSON lines of any of these.

    `position` names the input in problems ("request 12"). A bad record costs only itself.
    """
    try:
        return parse_value(form, orjson.loads(data), position, most)
    except orjson.JSONDecodeError as error:
        lines = data.split(b"\n")
        if len([line for line in lines if line.strip()]) < 2:
            return Parsed((), (Problem(position, _not_json(error)),))
    return parse_lines(form, lines, position, most)


def parse_lines(form: Format, lines: list[bytes], position: str, most: int = MOST_RECORDS) -> Parsed:
    """Records of JSON lines; empty lines mean nothing. Problems name the line, from 1."""
    records: list[AuditRecord] = []
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
        part = parse_value(form, value, where, most - len(records))
        records += part.records
        problems += part.problems
    return Parsed(tuple(records), tuple(problems))


def parse_value(form: Format, value: Any, position: str, most: int = MOST_RECORDS) -> Parsed:
    """Records of a decoded JSON value."""
    records: list[AuditRecord] = []
    problems: list[Problem] = []
    for where, item in _items(form, value, position):
        if len(records) >= most:
            problems.append(Problem(where, f"more than {most} records in one piece: send smaller batches"))
            break
        record = form.record_of(form.unwrap(item), where)
        if isinstance(record, Problem):
            problems.append(record)
        else:
            records.append(record)
    return Parsed(tuple(records), tuple(problems))


def _items(form: Format, value: Any, position: str) -> Iterator[tuple[str, Any]]:
    """The items of a list, of an envelope, or of a list of envelopes."""
    if isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _held(form, item, f"{position}, item {number}")
    else:
        yield from _held(form, value, position)


def _held(form: Format, value: Any, position: str) -> Iterator[tuple[str, Any]]:
    found = [value[name] for name in form.lists if isinstance(value.get(name), list)] if isinstance(value, dict) else []
    if not found:
        yield position, value
        return
    for number, item in enumerate(found[0], 1):
        yield f"{position}, item {number}", item


def _not_json(error: orjson.JSONDecodeError) -> str:
    return f"not JSON at character {error.pos}: {error.msg}"
