"""Whole agents' learners, real gRPC, a real collector: what one replica knows, the next one alerts by."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.events import EventType, Exec, FileId, Head, Task
from agent.fleet import FleetMember
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.observation import Anomaly
from agent.workload import Container, Identified, Process, Workload
from collector.fleet import FleetOptions
from collector.publish.baseline_client import BaselineClient
from collector.publish.client import open_channel
from detection.baseline.profile import ProfileConfig
from detection.finding import Severity

WEB = Workload("k8s/shop/deployment/web/web", "sha256:1")
CONFIG = LearnConfig(slot_s=60.0, profile=ProfileConfig(target=0.05))
SLOT_NS = 60 * 10**9


class Node:
    """One agent from its learner to the wire; only the sensor is played."""

    def __init__(self, half: Any, directory: Path, container: str, wait_until: Callable[..., None]) -> None:
        self.half, self.container, self.wait_until = half, container, wait_until
        self.learner = Learner(CONFIG)
        self.member = FleetMember(half.exchange, self.learner, None, directory, CONFIG.profile)
        self.member.start(time.time_ns())
        self.now_ns = time.time_ns() - 700 * SLOT_NS
        self.learner.advance(self.now_ns)

    def event(self, path: str, *argv: str) -> Identified:
        main = Process("p1", 1, "", "/bin/httpd", ("httpd",), "/", 0, 0, 1, 7, self.container)
        child = Process("p2", 2, "p1", path, argv or (path,), "/", 0, 0, 1, 7, self.container)
        task = Task(1, 1, 7, 2, 2, 1, 2, 0, 0, 0, 0, 1, 1, 1, 0, "x")
        event = Exec(
            Head(EventType.EXEC, 0, self.now_ns, task), FileId(5, 1, 0), 0, 0, 0, path, child.argv, 20, "/", path
        )
        return Identified(event, child, (main,), Container(self.container), WEB)

    def do(self, path: str, *argv: str) -> tuple[Anomaly, ...]:
        found = self.learner.observe(self.event(path, *argv)).anomalies
        return tuple(a for a in found if a.behaviour == "exec")

    def live(self, slots: int, *programs: str) -> "Node":
        for _ in range(slots):
            for program in programs:
                self.do(program)
            self.now_ns += SLOT_NS
            self.learner.advance(self.now_ns)
        return self

    def exchange(self, what: str = "profiles_acked", more: int = 1) -> "Node":
        """Until that much more was exchanged."""
        want = self.member.counters().get(what, 0) + more

        def done() -> bool:
            self.member.tick(time.time_ns())
            return self.member.counters().get(what, 0) >= want

        self.wait_until(done, self.member.counters)
        self.member.tick(time.time_ns())
        return self


@pytest.fixture
def node(make_agent: Any, wait_until: Any, tmp_path: Path) -> Callable[..., Node]:
    def make(collector: Any, name: str) -> Node:
        directory = tmp_path / f"state-{name}"
        directory.mkdir(exist_ok=True)
        return Node(make_agent(collector.address, name=name), directory, f"container-{name}", wait_until)

    return make


QUICK = FleetOptions(merge_every_s=0.05)


def test_a_new_replica_on_a_new_agent_alerts_as_if_it_had_been_there_all_along(make_collector: Any, node: Any) -> None:
    collector = make_collector(fleet=QUICK)
    first = node(collector, "n1").live(500, "/bin/cgi").exchange()
    node(collector, "n2").live(500, "/bin/cgi").exchange()
    newcomer = node(collector, "n3").live(3, "/bin/cgi").exchange("fleet_received")
    assert newcomer.do("/bin/cgi") == ()
    (there,) = first.do("/bin/sh", "sh", "-i")
    (here,) = newcomer.do("/bin/sh", "sh", "-i")
    assert there.severity == Severity.HIGH
    assert here.severity == Severity.HIGH
    assert here.state == "stable"


def test_what_a_rule_condemned_on_one_agent_no_other_learns(make_collector: Any, node: Any) -> None:
    collector = make_collector(fleet=QUICK)
    first, second = node(collector, "n1"), node(collector, "n2")
    first.live(40, "/bin/cgi")
    evil = first.event("/bin/miner")
    first.learner.observe(evil)
    first.learner.condemn(evil)
    first.exchange()
    second.live(40, "/bin/cgi").exchange("fleet_received")
    second.live(40, "/bin/cgi", "/bin/miner").exchange()
    (profile,) = second.learner.profiles()
    assert not any("miner" in name for name in profile.of("exec").members)
    with open_channel(collector.address, None) as channel:
        shown = BaselineClient(channel).baseline(WEB.key).snapshot.classes["exec"]
    assert not any("miner" in name and not one.held for name, one in shown.members.items())


def test_one_replica_is_held_until_a_person_approves_or_a_second_shows_it(make_collector: Any, node: Any) -> None:
    collector = make_collector(fleet=QUICK)
    first = node(collector, "n1").live(60, "/bin/cgi", "/bin/odd").exchange()
    second = node(collector, "n2").live(60, "/bin/cgi").exchange("fleet_received")
    with open_channel(collector.address, None) as channel:
        people = BaselineClient(channel)
        members = people.baseline(WEB.key).snapshot.classes["exec"].members
        (odd,) = (name for name in members if "odd" in name)
        assert members[odd].held
        people.decide(WEB.key, accept={"exec": [odd]})
        assert not people.baseline(WEB.key).snapshot.classes["exec"].members[odd].held
    second.wait_until(lambda: (second.member.tick(time.time_ns()), second.do("/bin/odd") == ())[1])
    assert first.do("/bin/odd") == ()


def test_a_lock_from_the_collector_holds_on_the_agent_and_after_its_restart(
    make_collector: Any, node: Any, tmp_path: Path
) -> None:
    collector = make_collector(fleet=QUICK)
    one = node(collector, "n1").live(20, "/bin/cgi").exchange()
    (profile,) = one.learner.profiles()
    (member,) = profile.of("exec").members
    with open_channel(collector.address, None) as channel:
        BaselineClient(channel).decide(WEB.key, accept={"exec": [member]}, lock=True)
    one.wait_until(lambda: (one.member.tick(time.time_ns()), (tmp_path / "state-n1/decisions.json").exists())[1])
    (anomaly,) = one.do("/bin/other")
    assert anomaly.severity >= Severity.HIGH
    collector.stop()
    again = Learner(CONFIG)
    FleetMember(one.half.exchange, again, None, tmp_path / "state-n1", CONFIG.profile).start(time.time_ns())
    again.observe(one.event("/bin/cgi"))
    (anomaly,) = (a for a in again.observe(one.event("/bin/other")).anomalies if a.behaviour == "exec")
    assert "The baseline of this workload is locked." in anomaly.reasons


def test_a_baseline_file_is_taken_up_while_the_agent_runs(make_agent: Any, node: Any, tmp_path: Path) -> None:
    class Nobody:
        address = f"unix:{tmp_path}/nobody.sock"

    one = node(Nobody, "n1").live(5, "/bin/cgi")
    directory = tmp_path / "state-n1/baselines"
    directory.mkdir()
    (directory / "web.yaml").write_text(f"workload: {WEB.key}\nlock: true\naccepted:\n  exec: []\n")
    one.member.tick(time.time_ns() + 10 * 10**9)
    (anomaly,) = one.do("/bin/other")
    assert anomaly.severity >= Severity.HIGH
