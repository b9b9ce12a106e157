"""Startup, steady, shutdown: when a container is in which, what is learned there, and what cannot stretch it."""

import dataclasses
from typing import Any

import pytest

from agent.events import Call, CallKind, EventType, FileId
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.learn.links import novelty_key
from agent.workload import Identified, Process
from detection.baseline.profile import ClassProfile, Phase, ProfileConfig

SLOT = 1_000_000_000
QUICK = LearnConfig(slot_s=1.0, profile=ProfileConfig(target=0.05, clean_units=10, clean_starts=3))


class Node:
    """A learner and a world; every slot has the containers that are alive."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.learner = Learner(QUICK)
        self.learner.advance(world.now_ns)
        self.alive: set[str] = set()

    def start(self, container: str, *argv: str) -> None:
        """The runtime starts a container's first program."""
        shim = self.world.process("/usr/bin/runc", container="")
        event = self.world.exec("/bin/httpd", *(argv or ("httpd",)), parent=shim, pid=10, container=container)
        self.alive.add(container)
        self.learner.observe(event)

    def slot(self, count: int = 1) -> None:
        for _ in range(count):
            self.world.now_ns += SLOT
            self.learner.advance(self.world.now_ns, [(c, self.world.workload) for c in self.alive])

    def write(self, path: str, container: str = "c1", **more: Any) -> Identified:
        event = self.world.write(path, self.world.process(container=container), **more)
        self.learner.observe(event)
        return event

    def known(self, behaviour: str, phase: Phase) -> ClassProfile:
        profile = next(p for p in self.learner.profiles() if p.workload == self.world.workload.key)
        return profile.of(behaviour, phase)

    def stop(self, container: str, signal: int = 15, sender: Process | None = None, pid: int = 10) -> None:
        sender = sender or self.world.process("/usr/bin/containerd-shim", container="")
        target = self.world.process(pid=pid, container=container)
        head = self.world.head(EventType.CALL, sender)
        call = Call(head, FileId(5, 1, 0), CallKind.KILL, (signal, 0, 0, 0), 0, pid, 1, target.cgroup_id, "")
        event = self.world.identified(call, sender)
        self.learner.observe(dataclasses.replace(event, target=target))


@pytest.fixture
def node(world: Any) -> Node:
    return Node(world)


def names(known: ClassProfile) -> list[str]:
    return sorted(known.members)


def test_startup_ends_with_the_first_whole_slot_and_is_one_unit(node: Node) -> None:
    node.start("c1")
    node.write("/srv/a")
    node.slot()
    node.write("/srv/b")
    assert node.known("write", Phase.STARTUP).units == 0
    node.slot()
    node.write("/srv/c")
    node.slot()
    assert names(node.known("write", Phase.STARTUP)) == ["/bin/httpd → /srv/a", "/bin/httpd → /srv/b"]
    assert names(node.known("write", Phase.STEADY)) == ["/bin/httpd → /srv/c"]
    assert node.known("write", Phase.STARTUP).units == 1
    assert node.known("write", Phase.STEADY).units == 1, "slots of startup are no steady units"


def test_a_container_that_ran_before_we_watched_is_steady_at_once(node: Node) -> None:
    node.write("/srv/a")
    node.slot()
    assert names(node.known("write", Phase.STEADY)) == ["/bin/httpd → /srv/a"]


def test_a_container_made_in_one_slot_and_started_in_the_next_starts_up(node: Node) -> None:
    node.start("c1")
    node.alive.add("c2")
    node.slot()
    node.start("c2")
    node.write("/srv/a", container="c2")
    node.slot(3)
    assert names(node.known("write", Phase.STARTUP)) == ["/bin/httpd → /srv/a"]
    assert names(node.known("exec", Phase.STEADY)) == []
    assert node.known("exec", Phase.STARTUP).units == 2


def test_programs_that_replace_the_first_one_do_not_stretch_startup(node: Node) -> None:
    for _ in range(5):
        node.start("c1")
        node.slot()
    node.write("/srv/late")
    assert "/bin/httpd → /srv/late" in node.known("write", Phase.STEADY).members


def test_a_restart_loop_makes_one_unit_a_slot_and_teaches_nothing_steady(node: Node) -> None:
    for loop in range(40):
        names_of_slot = [f"r{loop}-{n}" for n in range(10)]
        for name in names_of_slot:
            node.world.now_ns += 1
            shim = node.world.process("/usr/bin/runc", container="")
            event = node.world.exec("/bin/httpd", "httpd", parent=shim, pid=10)
            container = dataclasses.replace(event.container, id=name)
            node.learner.observe(dataclasses.replace(event, container=container))
        node.slot()
    node.slot(2)
    startup = node.known("exec", Phase.STARTUP)
    assert startup.units == 40, "400 starts in 40 slots"
    assert startup.state.value == "learning"
    assert len(node.known("exec", Phase.STEADY).members) == 0


def test_a_stop_signal_from_outside_to_the_first_process_begins_shutdown(node: Node) -> None:
    node.start("c1")
    node.slot(3)
    node.stop("c1")
    node.write("/srv/last")
    node.slot()
    node.alive.clear()
    node.slot(2)
    assert names(node.known("write", Phase.SHUTDOWN)) == ["/bin/httpd → /srv/last"]
    assert node.known("write", Phase.SHUTDOWN).units == 1
    assert len(node.known("write", Phase.STEADY).members) == 0


def test_who_does_not_die_of_it_is_steady_again_and_a_second_signal_stretches_nothing(node: Node) -> None:
    node.start("c1")
    node.slot(3)
    for _ in range(3):
        node.stop("c1")
        node.slot()
    node.write("/srv/after")
    assert names(node.known("write", Phase.STEADY)) == ["/bin/httpd → /srv/after"]


@pytest.mark.parametrize("how", ["no stop signal", "another process", "from a container"])
def test_other_signals_do_not(node: Node, how: str) -> None:
    node.start("c1")
    node.slot(3)
    if how == "no stop signal":
        node.stop("c1", signal=1)
    elif how == "another process":
        node.stop("c1", pid=77)
    else:
        node.stop("c1", sender=node.world.process("/bin/kill", container="c2"))
    node.write("/srv/x")
    assert names(node.known("write", Phase.STEADY)) == ["/bin/httpd → /srv/x"]


def test_what_entered_from_outside_is_never_startup(node: Node) -> None:
    node.start("c1")
    node.learner.observe(node.world.exec("/bin/sh", "sh", pid=30, entry="c1-30"))
    assert len(node.known("exec", Phase.STARTUP).members) == 1
    assert names(node.known("exec", Phase.STEADY)) == ["outside → /bin/sh"]


def test_what_began_in_startup_and_goes_on_is_learned_as_steady_without_a_word(node: Node) -> None:
    node.start("c1")
    key = novelty_key(node.write("/srv/a").event)
    for n in range(5):
        node.learner.recount([(key, n + 2)], node.world.now_ns)
        node.slot()
    assert node.known("write", Phase.STEADY).members["/bin/httpd → /srv/a"].units == 3


def test_a_behaviour_known_in_another_phase_surprises_less_and_says_so(node: Node) -> None:
    node.start("c1")
    node.write("/etc/app.conf")
    node.slot(250)
    known, new = (node.learner.observe(node.world.write(f"/etc/{n}", ino=9)).anomalies for n in ("app.conf", "other"))
    (weak,), (strong,) = known, new
    assert weak.surprise < strong.surprise
    assert any("startup" in reason for reason in weak.reasons)
    assert weak.phase == strong.phase == "steady"


def test_setting_the_clock_changes_no_phase_and_costs_one_slot_at_most(node: Node) -> None:
    node.start("c1")
    node.slot(2)
    node.write("/srv/a")
    node.slot(10)
    before = node.known("write", Phase.STEADY).units
    for step in (-3600, 7200, -86_400, 86_400, -7, 30 * 86_400):
        node.world.now_ns += step * SLOT
        node.slot(5)
    gained = node.known("write", Phase.STEADY).units - before
    assert 30 - 3 <= gained <= 30, "three times back: three slots of thirty"
    node.write("/srv/b")
    assert "/bin/httpd → /srv/b" in node.known("write", Phase.STEADY).members


def test_a_loss_makes_starts_lossy_for_a_few_starts_only(node: Node) -> None:
    node.start("c1")
    node.learner.note_loss("exec", node.world.now_ns)
    node.slot(2)
    known = node.known("exec", Phase.STARTUP)
    assert (known.state.value, known.units, known.loss_left) == ("lossy", 0, 3)
