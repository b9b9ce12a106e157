"""What an intruder tries to make the baseline learn, and what it learns of it."""

import dataclasses
from typing import Any

import pytest

from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from detection.baseline.decision import DecisionBook, parse
from detection.baseline.profile import ClassProfile, Phase, Profile, ProfileConfig, State
from detection.finding import Severity

SLOT = 1_000_000_000
QUICK = LearnConfig(slot_s=1.0, profile=ProfileConfig(target=0.05, clean_units=10))
REPLICAS = ("c1", "c2", "c3")


class Node:
    """A workload with replicas that does the same in every slot."""

    def __init__(self, world: Any, replicas: tuple[str, ...] = REPLICAS) -> None:
        self.world = world
        self.replicas = replicas
        self.learner = Learner(QUICK)
        self.learner.advance(world.now_ns)

    def slots(self, count: int) -> None:
        for _ in range(count):
            for replica in self.replicas:
                main = self.world.process(container=replica)
                self.learner.observe(self.world.exec("/bin/cgi", "cgi", parent=main, container=replica))
                self.learner.observe(self.world.write("/srv/data/a.db", main))
            self.world.now_ns += SLOT
            self.learner.advance(self.world.now_ns, [(r, self.world.workload) for r in self.replicas])

    def of(self, behaviour: str, phase: Phase = Phase.STEADY) -> ClassProfile:
        (profile,) = self.learner.profiles()
        return profile.of(behaviour, phase)


@pytest.fixture
def node(world: Any) -> Node:
    return Node(world)


def stable(world: Any, replicas: tuple[str, ...] = REPLICAS) -> Node:
    node = Node(world, replicas)
    node.slots(250)
    assert node.of("exec").state is State.STABLE
    return node


def test_a_slow_drip_while_learning_is_held_back_where_siblings_do_not_do_it(node: Node, world: Any) -> None:
    """One replica shows something that matters, again and again, while the workload is learned."""
    node.slots(1)
    for _ in range(60):
        node.learner.observe(world.exec("/bin/sh", "sh", "-c", "id", container="c2", pid=40))
        node.learner.observe(world.write("/etc/cron.d/job", world.process(container="c2")))
        node.slots(1)
    assert list(node.of("exec").quarantine) == ["/bin/httpd → /bin/sh -c id"]
    assert list(node.of("write").quarantine) == ["/bin/httpd → /etc/cron.d/job"]
    assert all("/bin/sh" not in name for name in node.of("exec").members)
    node.slots(200)
    (anomaly,) = node.learner.observe(world.exec("/bin/sh", "sh", "-c", "id", container="c3", pid=41)).anomalies
    assert anomaly.severity >= Severity.MEDIUM


def test_a_drip_never_makes_a_class_stable_that_would_not_be(node: Node, world: Any) -> None:
    """Something harmless and new in every other slot: the class says that it does not converge, not that it is done."""
    states = set()
    for n in range(300):
        if n % 2 == 0:
            name = "".join(chr(97 + int(digit)) for digit in str(n))
            node.learner.observe(world.exec(f"/opt/tools/{name}", name, container="c1", pid=40))
        node.slots(1)
        states.add(node.of("exec").state)
    assert State.STABLE not in states
    assert State.CHURNING in states


def test_once_stable_one_replica_alone_teaches_nothing_and_a_second_makes_it_the_workloads(world: Any) -> None:
    node = stable(world)
    for _ in range(20):
        node.learner.observe(world.write("/srv/data/new.idx", world.process(container="c1")))
        node.slots(1)
    assert "/bin/httpd → /srv/data/new.idx" in node.of("write").quarantine
    node.learner.observe(world.write("/srv/data/new.idx", world.process(container="c2")))
    node.slots(1)
    assert "/bin/httpd → /srv/data/new.idx" in node.of("write").members


def test_where_there_is_one_replica_it_is_the_quorum(world: Any) -> None:
    node = stable(world, ("c1",))
    node.learner.observe(world.write("/srv/data/new.idx", world.process(container="c1")))
    assert "/bin/httpd → /srv/data/new.idx" in node.of("write").members


def test_restarting_a_container_opens_no_window_for_what_matters(world: Any) -> None:
    """Startup is hardly known; what an intruder does in it is not learned where siblings start without it."""
    node = stable(world)
    shim = world.process("/usr/bin/runc", container="")
    for n in range(10):
        started = world.exec("/bin/httpd", "httpd", parent=shim, pid=10)
        fresh = dataclasses.replace(started.container, id=f"r{n}")
        node.learner.observe(dataclasses.replace(started, container=fresh))
        shell = world.exec("/bin/sh", "sh", "-i", pid=50)
        node.learner.observe(dataclasses.replace(shell, container=dataclasses.replace(fresh, id="r0")))
        node.slots(1)
    assert all("/bin/sh" not in name for name in node.of("exec", Phase.STARTUP).members)
    assert all("/bin/sh" not in name for name in node.of("exec").members)


def test_what_a_rule_condemned_is_learned_in_no_phase_however_often_it_comes(node: Node, world: Any) -> None:
    for n in range(40):
        event = world.exec("/bin/nc", "nc", "-e", "/bin/sh", pid=100 + n, container=REPLICAS[n % 3])
        node.learner.observe(event)
        node.learner.condemn(event)
        node.slots(1)
    node.slots(100)
    for phase in Phase:
        assert all("/bin/nc" not in name for name in node.of("exec", phase).members)
    assert node.of("exec").condemned


def test_flooding_with_novelty_buys_no_silence_for_what_comes_after(world: Any) -> None:
    node = stable(world)
    for n in range(3000):
        name = "".join(chr(97 + int(digit)) for digit in str(n))
        node.learner.observe(world.exec(f"/opt/tools/{name}", name, container="c1", pid=40))
    node.slots(2)
    assert node.of("exec").state is State.STABLE, "held back, not learned: the class stays what it was"
    assert len(node.of("exec").quarantine) == QUICK.profile.max_quarantined
    (anomaly,) = node.learner.observe(world.exec("/bin/sh", "sh", "-i", container="c2", pid=41)).anomalies
    assert anomaly.state == "stable"


def test_nobody_is_taught_by_a_fleet_what_a_person_condemned(world: Any) -> None:
    node = stable(world)
    fleet = Profile(world.workload.key, world.workload.version, QUICK.profile)
    for name in ("/bin/httpd → /bin/tool", "/bin/httpd → /bin/sh -i"):
        fleet.of("exec").learn(name, "far", 1)
    fleet.of("exec").close_slot({"far"})
    node.learner.fleet(fleet)
    book = DecisionBook([parse({"workload": world.workload.key, "condemned": {"exec": ["/bin/httpd → /bin/sh -i"]}})])
    node.learner.decide(book)
    assert node.learner.observe(world.exec("/bin/tool", "tool", pid=40)).anomalies == (), "siblings do it"
    (anomaly,) = node.learner.observe(world.exec("/bin/sh", "sh", "-i", pid=41)).anomalies
    assert anomaly.severity >= Severity.HIGH
    assert "/bin/httpd → /bin/sh -i" not in node.of("exec").members
    assert "/bin/httpd → /bin/tool" in node.of("exec").members


def test_own_profiles_hold_only_what_own_containers_showed(node: Node, world: Any) -> None:
    node.slots(3)
    fleet = Profile(world.workload.key, world.workload.version, QUICK.profile)
    fleet.of("exec").learn("/bin/httpd → /bin/tool", "far", 1)
    fleet.of("exec").close_slot({"far"})
    node.learner.fleet(fleet)
    node.slots(3)
    assert "/bin/httpd → /bin/tool" not in node.of("exec").members


@pytest.mark.parametrize("slots", [1, 250])
def test_outside_a_locked_baseline_everything_is_high_whatever_the_state(world: Any, slots: int) -> None:
    node = Node(world)
    node.learner.decide(
        DecisionBook(
            [parse({"workload": world.workload.key, "lock": True, "accepted": {"exec": ["/bin/httpd → /bin/cgi"]}})]
        )
    )
    node.slots(slots)
    (anomaly,) = node.learner.observe(world.exec("/bin/ls", "ls", pid=40)).anomalies
    assert anomaly.severity >= Severity.HIGH
    assert "locked" in anomaly.reasons[-1]
    assert list(node.of("exec").members) == ["/bin/httpd → /bin/cgi"]
    node.learner.observe(world.write("/srv/data/b.db", world.process(container="c1")))
    assert len(node.of("write").members) + len(node.of("write").quarantine) == 2, (
        "a class nobody locked goes on learning"
    )
