"""From an agent's spool to the collector's store and out to a reader, over real gRPC."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from vedette.v1 import agent_pb2, agent_pb2_grpc

from agent.errors import UplinkError
from agent.ledger import Ledger, LedgerEvent
from agent.source.port import ProbeState
from agent.spool import Priority
from agent.uplink import LinkState
from agent.uplink.wire import ledger_payload
from cli.certificates import Role
from collector.config import Config
from collector.errors import ConfigError, QueryError
from collector.publish.client import EventClient, open_channel


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(query).fetchall()


def test_every_finding_arrives_once_in_order_over_mutual_tls(
    make_collector: Any, make_agent: Any, make_finding: Any, pki: Any, tls: Any, credentials: Any, tmp_path: Path
) -> None:
    collector = make_collector(listen=("127.0.0.1:0",), tls=tls(pki(Role.COLLECTOR, "c")))
    agent = make_agent(collector.address, credentials=credentials(pki(Role.AGENT, "node-1")))
    findings = [make_finding(i) for i in range(1, 501)]
    agent.report(findings)
    agent.wait_acked(500)
    assert [r[0] for r in rows(tmp_path / "c.db", "SELECT finding_id FROM records ORDER BY seq")] == [
        f.id for f in findings
    ]
    with open_channel(collector.address, tls(pki(Role.READER, "siem"))) as channel:
        events = [e.body for e in EventClient(channel).subscribe(0, end_at_newest=True)]
    assert [e.as_dict() for e in events if e.as_dict().get("rule")] == [f.as_dict() for f in findings]
    assert collector.metrics.value("vedette_collector_records_total", kind="finding") == 500


def test_ledgers_are_stored_with_their_counts(make_collector: Any, make_agent: Any, tmp_path: Path) -> None:
    collector = make_collector()
    agent = make_agent(collector.address)
    ledger = Ledger(
        time_ns=5,
        event=LedgerEvent.START,
        run_id="r",
        probes=(ProbeState("exec", True), ProbeState("chmod", False, "kernel too old")),
        counters={"exec": {"emitted": 3, "lost_ring": 2**63}},
        dropped={"spool_cap_low": 4},
    )
    agent.spool.append(ledger_payload(ledger), priority=Priority.LEDGER)
    agent.wait_acked(1)
    (body,) = rows(tmp_path / "c.db", "SELECT body FROM ledgers")
    assert b'"lost_ring":"9223372036854775808"' in body[0]
    assert b"kernel too old" in body[0]


def test_an_agent_restart_resumes_where_the_collector_stands(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path
) -> None:
    collector = make_collector()
    first = make_agent(collector.address)
    first.report([make_finding(i) for i in range(300)])
    first.wait_acked(300)
    first.uplink.stop()
    first.report([make_finding(i) for i in range(300, 400)])
    first.spool.close()
    second = make_agent(collector.address)
    second.report([make_finding(i) for i in range(400, 500)])
    second.wait_acked(500)
    assert rows(tmp_path / "c.db", "SELECT count(*), count(DISTINCT finding_id), max(seq) FROM records") == [
        (500, 500, 500)
    ]
    assert collector.metrics.value("vedette_collector_records_duplicate_total") == 0


def test_the_certificate_decides_who_an_agent_is(
    make_collector: Any, make_agent: Any, make_finding: Any, pki: Any, tls: Any, credentials: Any, wait_until: Any
) -> None:
    collector = make_collector(listen=("127.0.0.1:0",), tls=tls(pki(Role.COLLECTOR, "c")))
    for role, name in ((Role.AGENT, "node-2"), (Role.READER, "reader-9")):
        agent = make_agent(collector.address, name=f"as-{name}", credentials=credentials(pki(role, name)))
        agent.report([make_finding(1)])
        wait_until(lambda a=agent: a.uplink.status().state is LinkState.REFUSED, agent.uplink.status)
        assert "the certificate is for" in agent.uplink.status().last_error
        agent.uplink.stop(0)
    assert collector.metrics.value("vedette_collector_messages_bad_total", cause="identity") >= 2
    assert collector.metrics.value("vedette_collector_records_total", kind="finding") == 0


def test_an_agent_certificate_may_not_read_events(make_collector: Any, pki: Any, tls: Any) -> None:
    collector = make_collector(listen=("127.0.0.1:0",), tls=tls(pki(Role.COLLECTOR, "c")))
    with open_channel(collector.address, tls(pki(Role.AGENT, "node-1"))) as channel:
        with pytest.raises(QueryError, match="needs a reader certificate"):
            list(EventClient(channel).subscribe(0, end_at_newest=True))
        with pytest.raises(QueryError, match="needs a reader certificate"):
            EventClient(channel).summaries()
    with open_channel(collector.address, tls(pki(Role.READER, "siem"))) as channel:
        assert EventClient(channel).summaries() == []


def test_plaintext_over_tcp_is_refused_on_both_sides(make_agent: Any, make_collector: Any) -> None:
    with pytest.raises(UplinkError, match="plaintext over TCP is refused"):
        make_agent("127.0.0.1:4317")
    with pytest.raises(ConfigError, match="plaintext over TCP is refused"):
        make_collector(listen=("127.0.0.1:0",))
    with pytest.raises(ConfigError, match="write host:port"):
        Config(listen=("nonsense",), store="x")


def test_without_a_collector_the_spool_keeps_everything_until_one_comes(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path, wait_until: Any
) -> None:
    agent = make_agent(f"unix:{tmp_path}/c.sock")
    agent.report([make_finding(i) for i in range(50)])
    wait_until(lambda: agent.uplink.status().state is LinkState.ABSENT, agent.uplink.status)
    make_collector()
    agent.wait_acked(50)
    assert agent.uplink.status().state is LinkState.STREAMING


def test_a_collector_that_lost_its_database_counts_what_is_gone_for_good(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path
) -> None:
    first = make_collector()
    agent = make_agent(first.address)
    agent.report([make_finding(i) for i in range(2000)])
    agent.wait_acked(2000)
    kept = agent.spool.oldest_seq
    first.stop()
    for file in tmp_path.glob("c.db*"):
        file.unlink()
    second = make_collector()
    agent.report([make_finding(i) for i in range(2000, 2010)])
    agent.wait_acked(2010)
    missed = rows(tmp_path / "c.db", "SELECT missed, committed_seq FROM streams")
    first_due = kept or 2001
    assert missed == [(first_due - 1, 2010)]
    assert second.metrics.value("vedette_collector_records_missed_total") == first_due - 1


def test_a_spool_behind_its_collector_begins_a_new_stream_and_loses_nothing(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path, wait_until: Any
) -> None:
    collector = make_collector()
    agent = make_agent(collector.address)
    agent.report([make_finding(i) for i in range(20)])
    agent.wait_acked(20)
    stream = agent.spool.stream_id
    agent.uplink.stop()
    agent.spool.close()
    # A snapshot of the disk is restored: the last five records were never written.
    path = max((tmp_path / "spool-node-1").glob("segment-*"))
    size = (path.stat().st_size - 108) // 20
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 5 * size)
    again = make_agent(collector.address)
    again.report([make_finding(i) for i in range(100, 103)])
    wait_until(lambda: again.uplink.status().recoveries == 1, again.uplink.status)
    again.wait_acked(again.spool.newest_seq)
    assert again.spool.stream_id != stream
    stored = {r[0] for r in rows(tmp_path / "c.db", "SELECT id FROM findings")}
    assert stored == {f"finding-{i:06d}" for i in [*range(20), *range(100, 103)]}


def connect(address: str, messages: list[agent_pb2.AgentMessage]) -> tuple[list[Any], grpc.StatusCode]:
    """What the collector answers, and how it ends the stream."""
    with grpc.insecure_channel(address) as channel:
        call = agent_pb2_grpc.AgentServiceStub(channel).Connect(iter(messages))
        answers: list[Any] = []
        try:
            answers.extend(call)
        except grpc.RpcError:
            pass
        return answers, call.code()


def records_of(agent: Any) -> list[agent_pb2.AgentMessage]:
    assert agent.spool.wait(agent.spool.newest_seq - 1, 10)
    frames = agent.spool.read(0, 1000)
    return [
        agent_pb2.AgentMessage(record=agent_pb2.Record(seq=f.seq, chain=f.chain, payload=f.payload)) for f in frames
    ]


def hello(agent: Any) -> agent_pb2.AgentMessage:
    return agent_pb2.AgentMessage(
        hello=agent_pb2.Hello(agent_id="node-1", stream_id=agent.spool.stream_id, oldest_seq=1, newest_seq=10)
    )


def test_replayed_records_are_dropped_and_acknowledged(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path
) -> None:
    collector = make_collector()
    agent = make_agent(f"unix:{tmp_path}/nobody.sock")
    agent.report([make_finding(i) for i in range(10)])
    records = records_of(agent)
    for _ in range(2):
        answers, code = connect(collector.address, [hello(agent), *records, *records[4:]])
        assert code is grpc.StatusCode.OK
        assert answers[-1].ack.seq == 10
    assert rows(tmp_path / "c.db", "SELECT count(*), sum(committed_seq) FROM records, streams") == [(10, 100)]
    assert collector.metrics.value("vedette_collector_records_duplicate_total") == 6 + 16


@pytest.mark.parametrize(("damage", "message"), [("gap", "came where 5 was due"), ("chain", "hash chain")])
def test_a_gap_or_a_broken_chain_is_refused_after_what_came_before_it(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path, damage: str, message: str
) -> None:
    collector = make_collector()
    agent = make_agent(f"unix:{tmp_path}/nobody.sock")
    agent.report([make_finding(i) for i in range(10)])
    records = records_of(agent)
    if damage == "gap":
        del records[4]
    else:
        records[4].record.payload = records[5].record.payload
    with grpc.insecure_channel(collector.address) as channel:
        call = agent_pb2_grpc.AgentServiceStub(channel).Connect(iter([hello(agent), *records]))
        with pytest.raises(grpc.RpcError):
            list(call)
        assert (call.code(), message in call.details()) == (grpc.StatusCode.DATA_LOSS, True)
    assert rows(tmp_path / "c.db", "SELECT max(seq), count(*) FROM records") == [(4, 4)]
    assert collector.metrics.value("vedette_collector_stream_breaks_total") == 1


def test_health_and_reflection_answer(make_collector: Any) -> None:
    collector = make_collector()
    with grpc.insecure_channel(collector.address) as channel:
        for name in ("", "vedette.v1.AgentService", "vedette.v1.EventService"):
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (listed,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]), timeout=10)
        names = {service.name for service in listed.list_services_response.service}
    assert {"vedette.v1.AgentService", "vedette.v1.EventService", "grpc.health.v1.Health"} <= names


def test_a_second_collector_cannot_take_the_same_address(
    make_collector: Callable[..., Any], pki: Any, tls: Any
) -> None:
    files = tls(pki(Role.COLLECTOR, "c"))
    first = make_collector(listen=("127.0.0.1:0",), tls=files)
    with pytest.raises(ConfigError, match="cannot bind"):
        make_collector(listen=(first.address,), tls=files)
