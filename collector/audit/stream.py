"""A large object's bytes → audit records, piece by piece: unzipped as they come, never whole in memory."""

import zlib
from collections.abc import Iterable, Iterator

import orjson

from collector.audit.envelope import parse_lines, parse_value
from collector.audit.format import Format
from collector.audit.record import Parsed, Problem
from collector.audit.split import MOST_ITEM, Splitter

MOST_OBJECT = 2 << 30  # unpacked
_GZIP = b"\x1f\x8b"
_PIECE = 256 * 1024


class _BrokenError(Exception):
    """The rest of the object cannot be read; the message says why, and where."""


def parse_stream(form: Format, chunks: Iterable[bytes], position: str, most: int = MOST_OBJECT) -> Iterator[Parsed]:
    """Records of an object, plain or gzipped: JSON lines, or documents and envelopes of any size.

    Ends with a problem where the object is damaged, cut off or longer than `most` bytes unpacked; what came before it
    is good. Raises: what `chunks` raises.
    """
    plain = _bounded(_unzipped(iter(chunks)), most)
    head = b""
    try:
        while len(head) < _PIECE and (more := next(plain, b"")):
            head += more
    except _BrokenError as error:
        yield from _pieces(form, iter((head,)), head, position)
        yield Parsed((), (Problem(position, str(error)),))
        return
    try:
        yield from _pieces(form, _joined(head, plain), head, position)
    except _BrokenError as error:
        yield Parsed((), (Problem(position, str(error)),))


def _pieces(form: Format, data: Iterator[bytes], head: bytes, position: str) -> Iterator[Parsed]:
    return _lines(form, data, position) if _is_lines(head) else _documents(form, data, position)


def _joined(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _is_lines(head: bytes) -> bool:
    """More than one line, and the first of them is a whole document (or no JSON at all)."""
    first, end, rest = head.lstrip().partition(b"\n")
    if not end or not rest.strip():
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return not first.lstrip().startswith((b"{", b"[")) or first.rstrip().endswith(b"}")
    return True


def _lines(form: Format, data: Iterator[bytes], position: str) -> Iterator[Parsed]:
    rest, before = b"", 0
    try:
        for chunk in data:
            whole, end, rest = (rest + chunk).rpartition(b"\n")
            if end:
                yield _numbered(form, whole.split(b"\n"), position, before)
                before += whole.count(b"\n") + 1
            if len(rest) > MOST_ITEM:
                yield Parsed((), (Problem(f"{position}, line {before + 1}", f"longer than {MOST_ITEM >> 20} MiB"),))
                rest = b""
    except _BrokenError:
        yield _numbered(form, [rest], position, before)
        raise
    yield _numbered(form, [rest], position, before)


def _numbered(form: Format, lines: list[bytes], position: str, before: int) -> Parsed:
    """Lines number `before` + 1 and on."""
    where = f"{position} after line {before}" if before else position
    return parse_lines(form, lines, where, len(lines) * 10_000)


def _documents(form: Format, data: Iterator[bytes], position: str) -> Iterator[Parsed]:
    splitter = Splitter(form.lists)
    number = 0
    try:
        for chunk in data:
            texts = list(splitter.feed(chunk))
            if texts:
                yield joint([_one(form, t, f"{position}, item {number + i}") for i, t in enumerate(texts, 1)])
            number += len(texts)
    except _BrokenError:
        splitter.end()
        yield from _faults(splitter, position, number)
        raise
    whole = splitter.end()
    yield from _faults(splitter, position, number)
    if not whole:
        reason = f"cut off after {number} whole records, at byte {splitter.taken}"
        yield Parsed((), (Problem(f"{position}, item {number + 1}", reason),))


def _one(form: Format, text: bytes, position: str) -> Parsed:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Parsed((), (Problem(position, f"not JSON at character {error.pos}: {error.msg}", text[:2048]),))
    return parse_value(form, value, position)


def joint(parts: Iterable[Parsed]) -> Parsed:
    """All of them as one."""
    held = list(parts)
    records = tuple(record for part in held for record in part.records)
    problems = tuple(problem for part in held for problem in part.problems)
    return Parsed(records, problems, sum(part.other for part in held))


def _faults(splitter: Splitter, position: str, number: int) -> Iterator[Parsed]:
    problems = []
    if splitter.too_long:
        problems.append(Problem(position, f"{splitter.too_long} records longer than {MOST_ITEM >> 20} MiB"))
    if splitter.stray:
        problems.append(Problem(position, f"{splitter.stray} bytes that are no JSON, among {number} records"))
    if problems:
        yield Parsed((), tuple(problems))


def _unzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Content of gzip, several members after one another too; other data as it is. In pieces of at most 256 KiB."""
    first = b""
    while len(first) < 2 and (more := next(chunks, b"")):
        first += more
    if not first.startswith(_GZIP):
        yield from _joined(first, chunks)
        return
    unpacker, read, inside = zlib.decompressobj(31), 0, False
    for chunk in _joined(first, chunks):
        rest = chunk
        while rest:
            if unpacker.eof:
                unpacker, inside = zlib.decompressobj(31), False
            inside = True
            try:
                content = unpacker.decompress(rest, _PIECE)
            except zlib.error as error:
                raise _BrokenError(
                    f"damaged gzip within packed bytes {read} to {read + len(chunk)}: {error}"
                ) from error
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if content:
                yield content
        read += len(chunk)
    if inside and not unpacker.eof:
        raise _BrokenError(f"the gzip is cut off after {read} packed bytes")


def _bounded(data: Iterator[bytes], most: int) -> Iterator[bytes]:
    taken = 0
    for piece in data:
        taken += len(piece)
        if taken > most:
            raise _BrokenError(f"over {most >> 20} MiB unpacked: the rest was not read")
        yield piece
