"""Ten thousand mutated messages to AgentService: no crash, every bad one counted and answered."""

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
from vedette.v1 import agent_pb2

from agent.spool.frame import FIRST_CHAIN, next_chain
from agent.uplink.wire import finding_payload
from collector.errors import MessageError, StreamError
from collector.receive.wire import Hello, parse_message
from collector.stream import BadPayload, Position, Record, follow

TOTAL = 10_000


def mutate(rng: random.Random, good: bytes) -> bytes:
    data = bytearray(good)
    for _ in range(rng.randrange(1, 5)):
        kind = rng.randrange(5)
        place = rng.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[place : place + rng.randrange(1, 20)]
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.randrange(1, 20))
        elif kind == 3:
            data[place : place + 8] = b"\xff" * 8
        else:
            data = data[:place]
    return bytes(data)


def outcome(data: bytes) -> str:
    """What the contract says must happen to `data` as the first record of a fresh stream."""
    try:
        message = parse_message(data)
        if isinstance(message, Hello):
            return "malformed"
        if not isinstance(message, Record):
            return "passed over"
        follow(Position(), message)
    except MessageError:
        return "malformed"
    except StreamError:
        return "broken"
    return "dead" if isinstance(message.content, BadPayload) else "fine"


def test_ten_thousand_mutated_messages_are_counted_and_do_no_harm(
    make_collector: Any, make_finding: Any, tmp_path: Path, wait_until: Any
) -> None:
    collector = make_collector()
    rng = random.Random(20_260)
    with grpc.insecure_channel(collector.address) as channel:
        connect = channel.stream_stream("/vedette.v1.AgentService/Connect")  # raw bytes both ways
        talks = [conversation(rng, number, make_finding(number)) for number in range(TOTAL)]
        expected = Counter(want for _, want in talks)
        with ThreadPoolExecutor(4) as pool:
            seen = Counter(pool.map(lambda talk: converse(connect, talk[0]), talks))
    assert seen["OK"] == expected["fine"] + expected["dead"] + expected["passed over"]
    assert seen["DATA_LOSS"] == expected["broken"]
    assert seen["INVALID_ARGUMENT"] == expected["malformed"]
    assert sum(seen.values()) == TOTAL
    metrics = collector.metrics
    bad = ("malformed", "protocol", "too_large", "identity")
    assert sum(metrics.value("vedette_collector_messages_bad_total", cause=c) for c in bad) == expected["malformed"]
    aside = ("unknown", "profile")
    assert sum(metrics.value("vedette_collector_messages_bad_total", cause=c) for c in aside) == expected["passed over"]
    assert metrics.value("vedette_collector_stream_breaks_total") == expected["broken"]
    assert metrics.value("vedette_collector_records_total", kind="bad_payload") == expected["dead"]
    wait_until(lambda: metrics.value("vedette_collector_agents_connected") == 0)
    assert min(expected[k] for k in ("malformed", "broken", "dead")) > 50
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        assert connection.execute("SELECT count(*) FROM dead_letters").fetchone() == (expected["dead"],)


def conversation(rng: random.Random, number: int, finding: Any) -> tuple[list[bytes], str]:
    """A hello and a record, one of them mutated, or a record whose payload is; and what must come of it."""
    hello = agent_pb2.AgentMessage(hello=agent_pb2.Hello(agent_id="n", stream_id=f"{number:032x}")).SerializeToString()
    payload = finding_payload(finding)
    kind = rng.randrange(3)
    if kind == 0:
        bad = mutate(rng, hello)
        try:
            fine = isinstance(parse_message(bad), Hello)
        except MessageError:
            fine = False
        return [bad], "fine" if fine else "malformed"
    if kind == 1:  # a valid chain over a payload that is not what it should be
        payload = mutate(rng, payload)
    chain = next_chain(FIRST_CHAIN, 1, payload)
    record = agent_pb2.AgentMessage(record=agent_pb2.Record(seq=1, chain=chain, payload=payload)).SerializeToString()
    data = mutate(rng, record) if kind == 2 else record
    return [hello, data], outcome(data)


def converse(connect: Any, messages: list[bytes]) -> str:
    call = connect(iter_messages(messages), timeout=30)
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    return str(call.code().name)


def iter_messages(messages: list[bytes]) -> Iterator[bytes]:
    yield from messages


def test_a_record_is_what_was_sent(make_finding: Any) -> None:
    payload = finding_payload(make_finding(1))
    message = agent_pb2.AgentMessage(record=agent_pb2.Record(seq=1, chain=bytes(32), payload=payload))
    parsed = parse_message(message.SerializeToString())
    assert isinstance(parsed, Record)
    assert parsed.content == make_finding(1)
