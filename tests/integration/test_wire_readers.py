"""Readers of the collector: cursors, heartbeats, slow ones, and the commands people use."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from click.testing import CliRunner
from vedette.v1 import event_pb2, event_pb2_grpc

from cli.main import main
from collector.errors import QueryError
from collector.incident import Incident
from collector.publish.client import EventClient, UnreachableError, open_channel
from detection.finding import Finding, Severity


@pytest.fixture
def filled(make_collector: Any, make_agent: Any, make_finding: Any) -> Any:
    """A collector with 30 findings, every third of them high, and one incident."""
    collector = make_collector(heartbeat_s=0.2)
    agent = make_agent(collector.address)
    agent.report([make_finding(i, severity=Severity.HIGH if i % 3 == 0 else Severity.LOW) for i in range(30)])
    agent.wait_acked(30)
    return collector, agent


def test_a_reader_resumes_from_its_cursor_without_gap_or_repeat(filled: Any) -> None:
    collector, _ = filled
    with open_channel(collector.address, None) as channel:
        client = EventClient(channel)
        whole = list(client.subscribe(0, end_at_newest=True))
        middle = whole[11].cursor
        rest = list(client.subscribe(middle, end_at_newest=True))
    assert [e.cursor for e in whole] == sorted({e.cursor for e in whole})
    assert rest == whole[12:]
    assert len([e for e in whole if isinstance(e.body, Finding)]) == 30
    assert len([e for e in whole if isinstance(e.body, Incident)]) == 1  # only its newest state is in the log


def test_min_severity_leaves_out_findings_but_never_incidents(filled: Any) -> None:
    collector, _ = filled
    with open_channel(collector.address, None) as channel:
        bodies = [e.body for e in EventClient(channel).subscribe(0, min_severity=4, end_at_newest=True)]
    findings = [b for b in bodies if isinstance(b, Finding)]
    assert [f.id for f in findings] == [f"finding-{i:06d}" for i in range(0, 30, 3)]
    assert len(bodies) == 11


def test_heartbeats_state_the_position_and_news_follow(filled: Any, make_finding: Any) -> None:
    collector, agent = filled
    with open_channel(collector.address, None) as channel:
        stream = EventClient(channel).subscribe(0, tail=True)
        beat = next(stream)
        assert beat.body is None
        agent.report([make_finding(100)])
        news = next(entry for entry in stream if entry.body is not None)
        assert isinstance(news.body, Finding)
        assert (news.body.id, news.cursor > beat.cursor) == ("finding-000100", True)
        stream.close()


def test_a_cursor_ahead_of_the_store_is_refused_with_advice(filled: Any) -> None:
    collector, _ = filled
    with open_channel(collector.address, None) as channel, pytest.raises(QueryError, match="start from 0"):
        next(EventClient(channel).subscribe(10_000))


def test_a_reader_that_does_not_read_holds_up_nobody(
    make_collector: Any, make_agent: Any, make_finding: Any, wait_until: Any
) -> None:
    collector = make_collector()
    agent = make_agent(collector.address)
    with grpc.insecure_channel(collector.address) as channel:
        slow = event_pb2_grpc.EventServiceStub(channel).Subscribe(event_pb2.SubscribeRequest())
        wait_until(lambda: collector.metrics.value("vedette_collector_subscribers") == 1)
        agent.report([make_finding(i, advice="x" * 10_000) for i in range(600)])
        agent.wait_acked(600)
        with open_channel(collector.address, None) as other:
            quick = [e for e in EventClient(other).subscribe(0, end_at_newest=True) if isinstance(e.body, Finding)]
        assert len(quick) == 600
        assert collector.metrics.value("vedette_collector_events_sent_total") < 1200
        late: list[str] = []
        while len(late) < 600:
            event = next(slow)
            late += [event.finding.id] if event.HasField("finding") else []
        slow.cancel()
    assert late == [f"finding-{i:06d}" for i in range(600)]


def test_incidents_are_found_by_a_unique_prefix(filled: Any) -> None:
    collector, _ = filled
    with open_channel(collector.address, None) as channel:
        client = EventClient(channel)
        incident = client.incident("incident-o")
        assert (incident.id, len(incident.findings), incident.joins[0].confidence) == ("incident-one", 30, 0.9)
        assert client.summaries()[0]["finding_count"] == 30
        with pytest.raises(QueryError, match="no incident begins with 'x%'"):
            client.incident("x%")


def test_a_malformed_request_is_answered_and_counted(filled: Any) -> None:
    collector, _ = filled
    with grpc.insecure_channel(collector.address) as channel:
        call = channel.unary_unary("/vedette.v1.EventService/GetIncident")
        with pytest.raises(grpc.RpcError) as raised:
            call(b"\xff\xff\xff", timeout=10)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert collector.metrics.value("vedette_collector_messages_bad_total", cause="malformed") == 1


def test_nobody_there_says_so() -> None:
    with open_channel("unix:/nonexistent.sock", None) as channel, pytest.raises(UnreachableError, match="no collector"):
        EventClient(channel, timeout_s=5).summaries()


def test_a_locked_database_delays_the_acknowledgement_and_loses_nothing(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path, wait_until: Any, caplog: Any
) -> None:
    caplog.set_level(logging.CRITICAL)
    collector = make_collector()
    agent = make_agent(collector.address)
    agent.report([make_finding(1)])
    agent.wait_acked(1)
    with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        agent.report([make_finding(i) for i in range(2, 20)])
        wait_until(lambda: collector.metrics.value("vedette_collector_commit_retries_total") >= 1)
        assert agent.uplink.status().acked_seq == 1
        other.execute("ROLLBACK")
    agent.wait_acked(19)
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        assert connection.execute("SELECT count(*) FROM findings").fetchone() == (19,)


def run(address: str, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--collector", address], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_tail_prints_every_event_as_json_lines(filled: Any) -> None:
    collector, _ = filled
    lines = run(collector.address, "tail", "--from-beginning", "--until-newest", "--format", "json").splitlines()
    parsed = [orjson.loads(line) for line in lines]
    assert [p["finding"]["id"] for p in parsed if "finding" in p] == [f"finding-{i:06d}" for i in range(30)]
    assert [len(p["incident"]["findings"]) for p in parsed if "incident" in p] == [30]


def test_incidents_as_json_have_the_documented_shape(filled: Any) -> None:
    collector, _ = filled
    (incident,) = orjson.loads(run(collector.address, "incidents", "--format", "json"))
    assert incident == orjson.loads(run(collector.address, "incidents", "show", "incid", "--format", "json"))
    assert list(incident) == [
        *("id", "revision", "title", "severity", "score", "score_parts", "first_ns", "last_ns", "actors"),
        *("tactics", "sources", "findings", "joins", "superseded_by"),
    ]
    assert list(incident["joins"][0]) == ["key", "value", "from", "to", "confidence", "reason"]


def test_what_an_attacker_named_cannot_drive_the_terminal(
    make_collector: Any, make_agent: Any, make_finding: Any
) -> None:
    collector = make_collector()
    agent = make_agent(collector.address)
    evil = "\x1b]0;owned\x07\x1b[2J\n[bold]x\u202e"
    agent.report([make_finding(1, title=evil, reason=evil, advice=evil, fields={"CommandLine": evil})])
    agent.wait_acked(1)
    shown = run(collector.address, "tail", "--from-beginning", "--until-newest")
    shown += run(collector.address, "incidents") + run(collector.address, "incidents", "show", "incident-one")
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "[bold]x" in shown


def test_show_tells_when_who_why_and_what_next(filled: Any) -> None:
    collector, _ = filled
    shown = run(collector.address, "incidents", "show", "incident-one")
    for part in (
        "Everything",
        "user alice",
        "What happened",
        "Shell 0",
        "sh -c id",
        "pod_uid",
        "90%",
        "Same pod.",
        "a test",
    ):
        assert part in shown
    assert "vedette incidents show incident-one --format json" in shown
