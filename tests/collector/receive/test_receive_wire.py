"""What agents send is hostile until parsed: bounds, names, and what becomes of each fault."""

import math

import pytest
from vedette.v1 import agent_pb2, finding_pb2

from agent.uplink.wire import finding_payload
from collector.errors import MessageError
from collector.incident import Incident, Join
from collector.publish.wire import finding_message, incident_from_message, incident_message
from collector.receive.wire import Hello, finding_from_message, parse_message
from collector.stream import BadPayload, LedgerEntry, Record
from detection.finding import Entity, EntityKind, Finding, Kind, Role, Severity, Source, Technique

FULL = Finding(
    id="f",
    time_ns=10,
    last_ns=20,
    source=Source.RUNTIME,
    kind=Kind.ANOMALY,
    rule_id="exec",
    title="t",
    severity=Severity.CRITICAL,
    reason="r",
    techniques=(Technique("T1059", "execution"),),
    entities=(Entity(EntityKind.POD, "uid", Role.TARGET, "web"),),
    fields={"text": "x", "int": -(1 << 63), "real": 1.5, "no": False, "list": ("a",), "none": ()},
    matched=("m",),
    advice="a",
    count=7,
    surprise=4.5,
    profile="97 %",
    lossy=True,
)


def hello(**changes: object) -> bytes:
    values = {"agent_id": "node-1", "stream_id": "0" * 32, "oldest_seq": 1, "newest_seq": 2, **changes}
    return bytes(agent_pb2.AgentMessage(hello=agent_pb2.Hello(**values)).SerializeToString())  # type: ignore[arg-type]


def record(payload: bytes, **changes: object) -> bytes:
    values = {"seq": 1, "chain": bytes(32), "payload": payload, **changes}
    return bytes(agent_pb2.AgentMessage(record=agent_pb2.Record(**values)).SerializeToString())  # type: ignore[arg-type]


def test_a_finding_arrives_as_it_left_and_goes_on_to_readers_so() -> None:
    parsed = parse_message(record(finding_payload(FULL)))
    assert isinstance(parsed, Record)
    assert parsed.content == FULL
    assert finding_from_message(finding_message(FULL)) == FULL


def test_an_incident_reaches_readers_as_it_is() -> None:
    incident = Incident(
        id="i",
        revision=3,
        title="T",
        severity=Severity.HIGH,
        score=42.5,
        score_parts=("p",),
        findings=(FULL,),
        joins=(Join("k", "v", "f", "f", 0.5, "why"),),
        actors=(Entity(EntityKind.USER, "alice"),),
        tactics=("execution",),
        sources=("runtime",),
        superseded_by="j",
    )
    assert incident_from_message(incident_message(incident)) == incident


@pytest.mark.parametrize(
    "change",
    [
        {"agent_id": ""},
        {"agent_id": "../x"},
        {"agent_id": "a\nb"},
        {"agent_id": "x" * 254},
        {"stream_id": "0" * 31},
        {"stream_id": "G" * 32},
        {"oldest_seq": 4, "newest_seq": 2},
        {"newest_seq": 2**64 - 1},
        {"oldest_seq": 2**64 - 1, "newest_seq": 2**64 - 1},
    ],
)
def test_a_hello_that_describes_nothing_possible_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MessageError, match="hello: "):
        parse_message(hello(**change))


def test_a_hello_is_bounded() -> None:
    parsed = parse_message(hello(version="v" * 1000, node="n" * 1000))
    assert isinstance(parsed, Hello)
    assert (len(parsed.version), len(parsed.node)) == (64, 253)


@pytest.mark.parametrize("change", [{"seq": 0}, {"seq": 2**63}, {"chain": b""}, {"chain": bytes(33)}])
def test_a_record_out_of_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MessageError, match="record"):
        parse_message(record(b"", **change))


def test_a_message_too_large_is_counted_as_such() -> None:
    with pytest.raises(MessageError) as raised:
        parse_message(bytes((2 << 20) + 1))
    assert raised.value.cause == "too_large"


def payload(**changes: object) -> bytes:
    message = finding_message(FULL)
    for name, value in changes.items():
        setattr(message, name, value)
    return bytes(agent_pb2.Payload(finding=message).SerializeToString())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xff", "not a vedette.v1.Payload"),
        (b"", "neither finding nor ledger"),
        (payload(id=""), "without id"),
        (payload(time_ns=0), "without id"),
        (payload(source="elsewhere"), "'elsewhere' is not a valid Source"),
        (payload(kind="guess"), "not a valid Kind"),
        (payload(severity=0), "not a valid Severity"),
        (payload(severity=9), "not a valid Severity"),
        (payload(id="x" * 129), "identifier of 129 characters"),
    ],
)
def test_a_bad_payload_keeps_its_place_and_says_why(data: bytes, reason: str) -> None:
    parsed = parse_message(record(data))
    assert isinstance(parsed, Record)
    assert isinstance(parsed.content, BadPayload)
    assert reason in parsed.content.reason


def test_texts_and_lists_are_cut_and_numbers_are_numbers() -> None:
    message = finding_message(FULL)
    message.title = "t" * 100_000
    message.matched.extend(["m"] * 1000)
    message.count = 2**64 - 1
    message.surprise = math.nan
    message.fields["real"].real = math.inf
    message.fields["empty"].CopyFrom(finding_pb2.FieldValue())
    parsed = finding_from_message(message)
    assert (len(parsed.title), len(parsed.matched), parsed.count) == (16 << 10, 256, 1 << 62)
    assert (parsed.surprise, parsed.fields["real"], parsed.fields["empty"]) == (0.0, "inf", "")


def test_a_ledger_keeps_every_name() -> None:
    ledger = agent_pb2.Ledger(time_ns=7, run_id="r", event=agent_pb2.LEDGER_EVENT_STOP, dropped={"x": 2**63})
    parsed = parse_message(record(agent_pb2.Payload(ledger=ledger).SerializeToString()))
    assert isinstance(parsed, Record)
    assert parsed.content == LedgerEntry(
        7, {"time_ns": "7", "run_id": "r", "event": "LEDGER_EVENT_STOP", "dropped": {"x": str(2**63)}}
    )
