"""DNS messages (RFC 1035, section 4), read strictly and within bounds: every byte of them is the sender's."""

from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Any, NamedTuple

from agent.decode import layout
from agent.decode.malformed import MalformedError, check
from agent.decode.sockets import ADDRESS_BYTES
from agent.decode.strings import Memo
from agent.events import Address, Dns, EventType, FileId, Head

_DNS = Struct(layout.EV_DNS_FORMAT)
_HEAD = len(layout.EV_HEAD_OFFSETS)
_HEADER = Struct(">6H")  # id, flags, and how many questions, answers, authorities, additional records
_QUESTION = Struct(">HH")  # type, class
_RECORD = Struct(">HHIH")  # type, class, lifetime, length
_A, _CNAME, _AAAA = 1, 5, 28
_POINTER = 0xC0
_RESPONSE = 0x8000
MAX_QUESTIONS, MAX_ANSWERS = 4, 32
_NAME_BYTES = 253
_JUMPS = 16
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*/+=~:")


class Message(NamedTuple):
    """What could be read. `question` is "" where it could not; `answers` end where they could not be followed."""

    response: bool
    response_code: int
    question: str
    question_type: int
    answers: tuple[tuple[str, str], ...]


class _BrokenError(Exception):
    """The message cannot be followed from here on."""


def parse(raw: bytes) -> Message:
    """A message, as far as it can be read. Raises: MalformedError("dns") without a usable header."""
    if len(raw) < _HEADER.size:
        raise MalformedError("dns")
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(raw)
    asked: list[tuple[str, int]] = []
    found: list[tuple[str, str]] = []
    with suppress(_BrokenError):
        _read(raw, min(questions, MAX_QUESTIONS), asked, min(answers, MAX_ANSWERS), found)
    name, kind = asked[0] if asked else ("", 0)
    return Message(bool(flags & _RESPONSE), flags & 0xF, name, kind, tuple(found))


def _read(raw: bytes, questions: int, asked: list[tuple[str, int]], answers: int, found: list[tuple[str, str]]) -> None:
    """Fill `asked` and `found`. Raises: _BrokenError, with what was read until then in them."""
    at = _HEADER.size
    for _ in range(questions):
        name, at = _name(raw, at)
        asked.append((name, _unpack(_QUESTION, raw, at)[0]))
        at += _QUESTION.size
    for _ in range(answers):
        answer, at = _answer(raw, at)
        if answer:
            found.append(answer)


def _unpack(form: Struct, raw: bytes, at: int) -> tuple[int, ...]:
    if at + form.size > len(raw):
        raise _BrokenError
    return form.unpack_from(raw, at)


def _answer(raw: bytes, at: int) -> tuple[tuple[str, str] | None, int]:
    """(name, address or target), None for records of other types; and where the next one begins."""
    name, at = _name(raw, at)
    kind, _, _, length = _unpack(_RECORD, raw, at)
    at += _RECORD.size
    data, end = raw[at : at + length], at + length
    if len(data) != length:
        raise _BrokenError
    if kind == _A and length == 4:
        return (name, str(IPv4Address(data))), end
    if kind == _AAAA and length == 16:
        return (name, _six(data)), end
    if kind == _CNAME:
        return (name, _name(raw, at)[0]), end
    return None, end


def _six(data: bytes) -> str:
    address = IPv6Address(data)
    return str(address.ipv4_mapped or address)


def _name(raw: bytes, at: int) -> tuple[str, int]:
    """A name without its last dot, and where the message goes on behind it. The root is "."."""
    labels: list[str] = []
    total, jumps, after = 0, 0, 0
    while True:
        if at >= len(raw):
            raise _BrokenError
        length = raw[at]
        if length >= _POINTER:
            after = after or at + 2
            at, jumps = _target(raw, at), jumps + 1
            if jumps > _JUMPS:
                raise _BrokenError
            continue
        if length > 63 or at + 1 + length > len(raw):
            raise _BrokenError
        at += 1
        if not length:
            return ".".join(labels) or ".", after or at
        total += length + 1
        if total > _NAME_BYTES + 1:
            raise _BrokenError
        labels.append(_label(raw[at : at + length]))
        at += length


def _target(raw: bytes, at: int) -> int:
    """Where a pointer leads: always backwards, so that following them ends."""
    if at + 2 > len(raw):
        raise _BrokenError
    target = (raw[at] & 0x3F) << 8 | raw[at + 1]
    if target >= at:
        raise _BrokenError
    return target


def _label(raw: bytes) -> str:
    r"""Lower case; bytes that are no part of a plain name as RFC 1035, section 5.1, writes them: \DDD."""
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03d}" for byte in raw).lower()


class DnsReader:
    """Reads one record (struct ev_dns). Raises: MalformedError, struct.error."""

    def __init__(self, head: Callable[[EventType, tuple[Any, ...], int], Head], addresses: Memo[Address]) -> None:
        self._head = head
        self._addresses = addresses

    def __call__(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Dns:
        v = _DNS.unpack_from(data, at)
        *exe, server, port, family, length, received, pad = v[_HEAD:]
        check(size, layout.EV_DNS_SIZE + length, pad)
        if family not in ADDRESS_BYTES:
            raise MalformedError("family")
        message_at = at + layout.EV_DNS_SIZE
        message = parse(data[message_at : message_at + length])
        return Dns(
            self._head(EventType.DNS, v, boot_to_unix),
            FileId(*exe),
            self._addresses[server[: ADDRESS_BYTES[family]]],
            port,
            bool(received),
            message.question,
            message.question_type,
            message.response_code,
            message.answers if received and message.response else (),
        )
