"""Messages from agents as the collector's own values. Everything here is hostile until it has been through here."""

import math
import re
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from vedette.v1 import agent_pb2, finding_pb2

from collector.errors import MessageError
from collector.receive.profiles import part_from
from collector.receive.rates import windows_from
from collector.stream import BadPayload, LedgerEntry, Record
from detection.baseline.parts import Part
from detection.finding import Entity, EntityKind, FieldValue, Finding, Kind, Role, Severity, Source, Technique
from detection.rates.window import RateWindow

MAX_MESSAGE = 2 << 20
_MAX_SEQ = 1 << 62
_CHAIN_BYTES = 32
_MAX_TEXT = 16 << 10
_MAX_ITEMS = 256
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_STREAM = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Hello:
    """Who connects, with which stream; strings are bounded."""

    agent_id: str
    stream_id: str
    version: str
    node: str
    boot_id: str
    oldest_seq: int
    newest_seq: int
    features: frozenset[str] = frozenset()
    rules_held: str = ""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something beside the records that cannot be used; records go on. `cause` is the word it is counted under."""

    cause: str
    reason: str


Aside = Part | list[RateWindow] | Unusable


def parse_message(data: bytes) -> Hello | Record | Aside:
    """One AgentMessage. Raises: MessageError for what records cannot go on after."""
    if len(data) > MAX_MESSAGE:
        raise MessageError(f"message of {len(data)} bytes; at most {MAX_MESSAGE} are taken", "too_large")
    try:
        message = agent_pb2.AgentMessage.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise MessageError("message is not a vedette.v1.AgentMessage") from error
    body = message.WhichOneof("body")
    if body == "hello":
        return _hello(message.hello)
    if body == "record":
        return _record(message.record)
    try:
        return _aside(message, body)
    except MessageError as error:
        return Unusable(error.cause, str(error))


def _aside(message: agent_pb2.AgentMessage, body: str | None) -> Aside:
    if body == "profile":
        return part_from(message.profile)
    if body == "rates":
        return windows_from(message.rates)
    return Unusable("unknown", "a message of a newer version of the agent")


def _hello(hello: agent_pb2.Hello) -> Hello:
    if not _NAME.fullmatch(hello.agent_id):
        raise MessageError("hello: agent_id must be 1 to 253 letters, digits, '.', '_' or '-'")
    if not _STREAM.fullmatch(hello.stream_id):
        raise MessageError("hello: stream_id must be 32 hex digits")
    if not hello.oldest_seq <= hello.newest_seq + 1 <= _MAX_SEQ:
        raise MessageError("hello: oldest_seq and newest_seq do not describe a spool")
    return Hello(
        agent_id=hello.agent_id,
        stream_id=hello.stream_id,
        version=hello.version[:64],
        node=hello.node[:253],
        boot_id=hello.boot_id[:64],
        oldest_seq=hello.oldest_seq,
        newest_seq=hello.newest_seq,
        features=frozenset(feature[:32] for feature in hello.features[:32]),
        rules_held=hello.rules_held[:64],
    )


def _record(record: agent_pb2.Record) -> Record:
    if not 1 <= record.seq < _MAX_SEQ:
        raise MessageError("record: seq must be at least 1")
    if len(record.chain) != _CHAIN_BYTES:
        raise MessageError(f"record {record.seq}: chain must be {_CHAIN_BYTES} bytes")
    return Record(record.seq, record.chain, record.payload, _content(record.payload))


def _content(data: bytes) -> Finding | LedgerEntry | BadPayload:
    try:
        payload = agent_pb2.Payload.FromString(data)
        body = payload.WhichOneof("body")
        if body == "finding":
            return finding_from_message(payload.finding)
        if body == "ledger":
            return _ledger(payload.ledger)
    except (DecodeError, UnicodeDecodeError):
        return BadPayload("not a vedette.v1.Payload")
    except (MessageError, ValueError) as error:
        return BadPayload(str(error)[:300])
    return BadPayload("payload has neither finding nor ledger")


def _ledger(ledger: agent_pb2.Ledger) -> LedgerEntry:
    body: dict[str, Any] = MessageToDict(ledger, preserving_proto_field_name=True)
    return LedgerEntry(ledger.time_ns, body)


def finding_from_message(message: finding_pb2.Finding) -> Finding:
    """A finding with known names only and bounded strings. Raises: MessageError, ValueError."""
    if not message.id or not message.rule_id or message.time_ns <= 0:
        raise MessageError("finding without id, rule_id or time_ns")
    return Finding(
        id=_bounded(message.id, 128),
        time_ns=message.time_ns,
        last_ns=max(message.last_ns, 0),
        source=Source(message.source),
        kind=Kind(message.kind),
        rule_id=_bounded(message.rule_id, 253),
        title=message.title[:_MAX_TEXT],
        severity=Severity(message.severity),
        reason=message.reason[:_MAX_TEXT],
        advice=message.advice[:_MAX_TEXT],
        techniques=tuple(Technique(t.id[:64], t.tactic[:64]) for t in message.techniques[:_MAX_ITEMS]),
        entities=tuple(entity_from_message(entity) for entity in message.entities[:_MAX_ITEMS]),
        fields=_fields(message),
        matched=tuple(text[:_MAX_TEXT] for text in message.matched[:_MAX_ITEMS]),
        count=min(max(message.count, 1), _MAX_SEQ),
        surprise=message.surprise if math.isfinite(message.surprise) else 0.0,
        profile=message.profile[:_MAX_TEXT],
        lossy=message.lossy,
        incomplete=message.incomplete,
    )


def _bounded(text: str, limit: int) -> str:
    if len(text) > limit:
        raise MessageError(f"identifier of {len(text)} characters; at most {limit} are taken")
    return text


def entity_from_message(entity: finding_pb2.Entity) -> Entity:
    """Raises: MessageError, ValueError for kinds and roles that are unknown."""
    return Entity(EntityKind(entity.kind), _bounded(entity.id, 4096), Role(entity.role), entity.name[:_MAX_TEXT])


def _fields(message: finding_pb2.Finding) -> dict[str, FieldValue]:
    if len(message.fields) > _MAX_ITEMS:
        raise MessageError(f"finding with {len(message.fields)} fields; at most {_MAX_ITEMS} are taken")
    return {_bounded(name, 253): _value(value) for name, value in message.fields.items()}


def _value(value: finding_pb2.FieldValue) -> FieldValue:
    match value.WhichOneof("value"):
        case "integer":
            return value.integer
        case "real":
            return value.real if math.isfinite(value.real) else str(value.real)
        case "truth":
            return value.truth
        case "list":
            return tuple(item[:_MAX_TEXT] for item in value.list.items[:_MAX_ITEMS])
        case _:
            return value.text[:_MAX_TEXT]
