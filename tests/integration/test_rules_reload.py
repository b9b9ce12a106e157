"""A team's rules over the real wire: from the collector's directory into agents, replaced while events stream."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from vedette.v1 import agent_pb2, agent_pb2_grpc

from agent.rule_mail import RuleMail
from agent.rulebook import Rulebook as AgentRulebook
from collector.rulebook import Rulebook

PARTED = 3 << 20  # of text that does not compress: several messages


def rule(name: str, text: str, note: str = "") -> str:
    return f"""title: {name}
name: {name}
id: {uuid.uuid5(uuid.NAMESPACE_URL, name)}
description: {note or "A test's own."}
tags: [attack.execution, attack.t1059]
logsource: {{product: linux, category: process_creation}}
detection:
    selection: {{CommandLine|contains: {text}}}
    condition: selection
level: low
"""


class Team:
    """A directory of rules."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.directory / f"{name}.yml").write_text(text)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path / "team")


def test_an_agent_gets_the_rules_keeps_them_and_is_sent_none_it_has(
    make_collector: Any, make_agent: Any, make_finding: Any, wait_until: Any, team: Team, tmp_path: Path
) -> None:
    """Large sets come in parts, records beside them are acknowledged, and a second connection costs nothing."""
    team.write(mine=rule("team-mine", "x", os.urandom(PARTED // 2).hex()))
    collector = make_collector(rules=team.directory)
    mail = RuleMail()
    book = AgentRulebook(None, tmp_path / "kept.json", mail)
    book.load(with_collector=True)
    book.start()
    half = make_agent(collector.address, rules=mail)
    half.report([make_finding(number) for number in range(500)])

    def arrived(digest: str) -> bool:
        book.tick(lambda _: None)
        return book.state.digest == digest

    digest = hashlib.sha256(Rulebook(team.directory).offer.body).hexdigest()
    wait_until(lambda: arrived(digest), lambda: book.state)
    half.wait_acked(500)
    assert book.state.source == "collector"
    assert collector.metrics.value("vedette_collector_fleet_sent_total", kind="rules") == 1
    half.uplink.stop(0)
    again = make_agent(collector.address, directory=tmp_path / "another", rules=mail)
    again.report([make_finding(number) for number in range(500, 600)])
    again.wait_acked(100)
    assert collector.metrics.value("vedette_collector_fleet_sent_total", kind="rules") == 1
    team.write(broken="title: broken\nlogsource: {}\n", more=rule("team-more", "y"))
    collector.reload()
    wait_until(lambda: arrived(hashlib.sha256(Rulebook(team.directory).offer.body).hexdigest()), lambda: book.state)
    assert book.state.replaced == 2
    assert collector.metrics.value("vedette_collector_rule_problems") == 1
    assert collector.metrics.value("vedette_collector_rule_reloads_total", result="loaded") == 1
    book.stop()


def test_an_agent_that_does_not_ask_for_rules_gets_none(make_collector: Any, team: Team) -> None:
    team.write(mine=rule("team-mine", "x"))
    collector = make_collector(rules=team.directory)
    hello = agent_pb2.Hello(agent_id="old", stream_id="0" * 32, version="0.1", features=["profiles"])
    with grpc.insecure_channel(collector.address) as channel:
        done = threading.Event()

        def messages() -> Iterator[agent_pb2.AgentMessage]:
            yield agent_pb2.AgentMessage(hello=hello)
            done.wait(1)

        came = [m.WhichOneof("body") for m in agent_pb2_grpc.AgentServiceStub(channel).Connect(messages())]
    assert came == ["welcome"]


class Process:
    """`vedette …` as users start it."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as file:
            vedette = [sys.executable, "-c", "from cli.main import main; main()"]
            self.process = subprocess.Popen([*vedette, *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def says(self, text: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return text in self.log.read_text()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.mark.bpf
def test_rules_change_under_a_steady_stream_and_no_event_is_lost_or_judged_twice(
    tmp_path: Path, team: Team, wait_until: Any
) -> None:
    """A real agent and a real collector; programs are run all the while, each with a number of its own."""
    mark = f"mark{uuid.uuid4().hex[:8]}"
    team.write(always=rule("team-always", mark), version=rule("team-one", mark))
    address = f"unix:{tmp_path}/c.sock"
    store, status = tmp_path / "c.db", tmp_path / "status.json"
    collector = Process(
        tmp_path / "c.log", "collector", "--listen", address, "--store", str(store), "--rules", str(team.directory)
    )
    wait_until(lambda: collector.says("collector ready on"), collector.log.read_text)
    options = ("--collector", address, "--state-dir", str(tmp_path / "state"), "--status-file", str(status))
    agent = Process(tmp_path / "a.log", "agent", "--runtime-socket", "none", "--heartbeat", "0.5", *options)

    def runs(digest: str) -> bool:
        assert agent.process.poll() is None, agent.log.read_text()
        return status.exists() and json.loads(status.read_bytes())["rules"]["digest"] == digest

    stop = threading.Event()
    ran: list[int] = []

    def stream() -> None:
        while not stop.wait(0.01):
            subprocess.run(["/bin/true", f"{mark}-{len(ran)}"], check=True)
            ran.append(len(ran))

    streaming = threading.Thread(target=stream)
    try:
        first = hashlib.sha256(Rulebook(team.directory).offer.body).hexdigest()
        wait_until(lambda: runs(first), agent.log.read_text)
        streaming.start()
        wait_until(lambda: len(ran) > 50)
        team.write(version=rule("team-two", mark), broken="title: [\n")
        os.kill(collector.process.pid, signal.SIGHUP)
        second = hashlib.sha256(Rulebook(team.directory).offer.body).hexdigest()
        assert second != first
        wait_until(lambda: runs(second), agent.log.read_text)
        at_change = len(ran)
        wait_until(lambda: len(ran) > at_change + 50)
    finally:
        stop.set()
        if streaming.is_alive():
            streaming.join()
        agent.end()
        collector.end()
    found = findings(store, mark)
    numbers = Counter((rule_id, number) for rule_id, number in found)
    assert set(numbers.values()) == {1}
    assert {n for rule_id, n in numbers if rule_id == "team-always"} == set(ran)
    one, two = ({n for rule_id, n in numbers if rule_id == name} for name in ("team-one", "team-two"))
    assert not one & two
    assert one | two == set(ran)
    assert min(two) > max(one)
    assert (tmp_path / "state" / "rules.json").exists()
    assert f"{team.directory / 'broken.yml'}:" in collector.log.read_text()
    assert ledger(store)["rules"]["digest"] == second


def findings(store: Path, mark: str) -> list[tuple[str, int]]:
    """(rule, number of the program) of every finding about the stream."""
    with closing(sqlite3.connect(store)) as connection:
        rows = [json.loads(body) for (body,) in connection.execute("SELECT body FROM findings")]
    lines = [(row["rule_id"], str(row["fields"].get("CommandLine", ""))) for row in rows]
    return [(name, int(line.rpartition("-")[2])) for name, line in lines if mark in line and name.startswith("team-")]


def ledger(store: Path) -> dict[str, Any]:
    """The newest."""
    with closing(sqlite3.connect(store)) as connection:
        (body,) = connection.execute("SELECT body FROM ledgers ORDER BY seq DESC LIMIT 1").fetchone()
    found: dict[str, Any] = json.loads(body)
    return found
