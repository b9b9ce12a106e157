"""The learner from event to anomaly: what it learns, what it refuses, what it says."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from agent.events import EventType, FileFlag
from agent.learn.config import LearnConfig
from agent.learn.learner import ClassState, Learner
from agent.learn.links import novelty_key
from agent.learn.store import ProfileFileError
from agent.observation import Anomaly
from agent.workload import Container, Workload
from detection.baseline.profile import CLASSES, ProfileConfig
from detection.finding import Severity

WEB = "k8s/shop/deployment/web/web"
SLOT = 1_000_000_000
QUICK = LearnConfig(slot_s=1.0, profile=ProfileConfig(target=0.05, clean_units=10))


class Bench:
    """A learner, and a workload that does the same thing in every slot."""

    def __init__(self, world: Any, config: LearnConfig = QUICK) -> None:
        self.world = world
        self.learner = Learner(config)
        self.learner.advance(world.now_ns)

    def routine(self, instance: str) -> list[Anomaly]:
        world, found = self.world, []
        main = world.process(container=instance)
        for event in (
            world.exec("/bin/cgi", "cgi", str(world.now_ns), parent=main, container=instance),
            world.write(f"/var/log/app-{world.now_ns}.log", main),
            world.connect("10.0.0.9", 5432, main),
        ):
            found += self.learner.observe(event).anomalies
        return found

    def run(self, slots: int, instances: tuple[str, ...] = ("c1", "c2")) -> list[Anomaly]:
        found = []
        for _ in range(slots):
            found += itertools.chain.from_iterable(self.routine(i) for i in instances)
            self.tick()
        return found

    def tick(self) -> None:
        self.world.now_ns += SLOT
        self.learner.advance(self.world.now_ns)

    def anomalies(self, identified: Any) -> tuple[Anomaly, ...]:
        return self.learner.observe(identified).anomalies

    def state(self, behaviour: str = "exec", workload: str = WEB, phase: str = "steady") -> ClassState:
        wanted = (workload, behaviour, phase)
        return next(s for s in self.learner.states() if (s.workload, s.behaviour, s.phase) == wanted)


@pytest.fixture
def bench(world: Any) -> Bench:
    return Bench(world)


@pytest.fixture
def stable(world: Any) -> Bench:
    made = Bench(world)
    assert made.run(200) == []
    assert [made.state(b).state for b in ("exec", "write", "egress")] == ["stable"] * 3
    return made


def test_a_routine_becomes_stable_without_a_single_anomaly(stable: Bench) -> None:
    members = {"exec": 1, "write": 1, "egress": 1}
    assert [(s.behaviour, s.phase, s.members, s.units) for s in stable.learner.states()] == [
        (name, "steady", members.get(name, 0), 400) for name in CLASSES
    ]


def test_a_shell_in_a_stable_workload_is_high_and_explained(stable: Bench, world: Any) -> None:
    (anomaly,) = stable.anomalies(world.exec("/bin/sh", "sh", "-i"))
    assert (anomaly.behaviour, anomaly.member) == ("exec", "/bin/httpd → /bin/sh -i")
    assert (anomaly.severity, anomaly.state) == (Severity.HIGH, "stable")
    assert anomaly.reasons[0].startswith(
        "/bin/sh was never started like this by /bin/httpd in 400 units of 2 instances; profile exec is stable:"
    )
    assert anomaly.nearest == ("/bin/httpd → /bin/cgi <n>",)
    assert [t.id for t in anomaly.techniques] == ["T1059.004"]


def test_the_same_behaviour_in_a_young_profile_is_not_reported(bench: Bench, world: Any) -> None:
    bench.run(2)
    assert bench.anomalies(world.exec("/bin/sh", "sh", "-i")) == ()
    assert bench.state().state == "learning"


def test_an_alarming_behaviour_is_reported_once_per_instance_and_never_learned(stable: Bench, world: Any) -> None:
    found = [
        stable.anomalies(world.exec("/bin/sh", "sh", "-i", pid=pid, container=instance))
        for pid in range(30, 40)
        for instance in ("c1", "c2")
    ]
    assert sum(map(len, found)) == 2
    stable.run(20)
    assert (stable.state().members, stable.state().quarantined) == (1, 1)


def test_entry_from_outside_is_a_parent_of_its_own(stable: Bench, world: Any) -> None:
    entry = world.process("/bin/sh", "sh", pid=30, entry="c1-30")
    (first,) = stable.anomalies(world.exec("/bin/sh", "sh", pid=30, entry="c1-30"))
    (second,) = stable.anomalies(world.exec("/bin/cgi", "cgi", "7", parent=entry, pid=31, entry="c1-30"))
    (third,) = stable.anomalies(world.connect("10.0.0.9", 5432, entry))
    assert first.member == "outside → /bin/sh"
    assert [t.id for t in first.techniques] == ["T1609", "T1059.004"]
    assert second.member == "outside:/bin/sh → /bin/cgi <n>"
    assert third.member == "outside:/bin/sh → tcp 10.0.0.9:5432"


def test_a_probe_run_from_outside_is_learned_as_such(bench: Bench, world: Any) -> None:
    for n in range(130):
        bench.learner.observe(world.exec("/bin/ready", "ready", "-q", pid=100 + n, entry=f"c1-{100 + n}"))
        bench.tick()
    assert bench.state().state == "stable"
    assert bench.anomalies(world.exec("/bin/ready", "ready", "-q", pid=900, entry="c1-900")) == ()


def test_a_container_start_does_not_depend_on_the_runtimes_name(bench: Bench, world: Any) -> None:
    for name in ("/usr/bin/runc", "/usr/bin/containerd-shim"):
        bench.learner.observe(world.exec("/bin/httpd", "httpd", parent=world.process(name, container="")))
    bench.tick()
    bench.tick()
    assert bench.state(phase="startup").members == 1


def test_what_a_rule_condemned_is_unlearned_and_its_descendants_teach_nothing(bench: Bench, world: Any) -> None:
    shell = world.exec("/bin/sh", "sh", pid=30, entry="c1-30")
    bench.learner.observe(shell)
    bench.learner.condemn(shell)
    child = world.exec("/bin/id", "id", parent=shell.process, pid=31, entry="c1-30")
    bench.learner.observe(child)
    bench.learner.observe(world.write("/tmp/loot", child.process))
    bench.tick()
    bench.learner.observe(world.exec("/bin/sh", "sh", pid=40, entry="c1-40"))
    bench.tick()
    assert [bench.state(b).members for b in ("exec", "write")] == [0, 0]


def test_a_rule_that_errs_on_the_main_process_costs_one_behaviour_only(bench: Bench, world: Any) -> None:
    main = world.process()
    odd = world.write("/etc/hosts", main)
    head = odd.event.head._replace(task=odd.event.head.task._replace(ns_pid=1))
    odd = world.identified(odd.event._replace(head=head), main)
    bench.learner.observe(odd)
    bench.learner.condemn(odd)
    bench.learner.observe(world.write("/var/log/a", main))
    bench.tick()
    assert bench.state("write").members == 1


def test_what_was_held_for_its_company_may_still_be_learned_from_another_process(bench: Bench, world: Any) -> None:
    bad = world.exec("/bin/tool", "tool", pid=30)
    bench.learner.observe(bad)
    bench.learner.condemn(bad)
    bench.learner.observe(world.exec("/bin/ls", "ls", parent=bad.process, pid=31))
    assert bench.state().quarantined == 1
    other = world.process("/bin/tool", "tool", pid=50)
    bench.learner.observe(world.exec("/bin/ls", "ls", parent=other, pid=51))
    bench.tick()
    assert (bench.state().members, bench.state().quarantined) == (1, 0)


def test_behaviours_the_kernel_filters_still_count_as_seen(bench: Bench, world: Any) -> None:
    events = [world.write("/var/log/a"), world.connect("10.0.0.9", 5432), world.connect("fd00::9", 5432)]
    keys = []
    for event in events:
        bench.learner.observe(event)
        keys.append(novelty_key(event.event))
    for n in range(130):
        bench.learner.recount([(key, n + 1) for key in keys], world.now_ns)
        bench.tick()
    assert [(bench.state(b).units, bench.state(b).state) for b in ("write", "egress")] == [(130, "stable")] * 2


def test_a_behaviour_that_stopped_is_not_counted_on(bench: Bench, world: Any) -> None:
    event = world.write("/var/log/a")
    bench.learner.observe(event)
    for _ in range(5):
        bench.learner.recount([(novelty_key(event.event), 1)], world.now_ns)
        bench.tick()
    assert bench.state("write").units == 1


def test_novelty_keys_are_the_kernels(world: Any) -> None:
    write = novelty_key(world.write("/a", ino=0x1122).event)
    connect = novelty_key(world.connect("10.0.0.9", 5432).event)
    accept = novelty_key(world.connect("10.0.0.9", 5432, kind=EventType.ACCEPT).event)
    assert write is not None
    assert connect is not None
    assert accept is not None
    assert write.object == bytes.fromhex("2211000000000000 01000000 03000000 01 00000000000000")
    assert connect.object == bytes.fromhex("0a000009" + "00" * 12 + "3815" + "0200" + "0600" + "0000")
    assert accept.object[16:18] == (40001).to_bytes(2, "little")
    assert (write.cgroup_id, write.type, len(connect.object)) == (101, EventType.OPEN, 24)


def test_forks_pass_through_and_show_that_the_workload_is_watched(bench: Bench, world: Any) -> None:
    for _ in range(120):
        bench.learner.observe(world.fork())
        bench.tick()
    assert [(s.behaviour, s.members, s.units) for s in bench.learner.states()] == [(name, 0, 120) for name in CLASSES]
    assert bench.state().state == "learning", "nothing ever seen needs twice the evidence"


def test_idle_instances_count_when_they_are_known_to_be_alive(bench: Bench, world: Any) -> None:
    bench.run(1, ("c1",))
    for _ in range(10):
        world.now_ns += SLOT
        bench.learner.advance(world.now_ns, [("c1", world.workload), ("c3", world.workload), ("x", Workload("other"))])
    assert bench.state().units == 1 + 20


def test_a_slot_closes_once_and_a_gap_is_one_slot(bench: Bench, world: Any) -> None:
    bench.routine("c1")
    for offset in (1, SLOT // 2, SLOT // 2):
        bench.learner.advance(world.now_ns + offset)
    assert bench.state().units == 0
    world.now_ns += 50 * SLOT
    bench.learner.advance(world.now_ns)
    assert bench.state().units == 1


def test_loss_makes_the_class_lossy_everywhere_and_only_that_class(stable: Bench, world: Any) -> None:
    stable.learner.note_loss("exec", world.now_ns)
    stable.learner.note_loss("accept", world.now_ns)
    assert [stable.state(b).state for b in ("exec", "write", "egress")] == ["lossy", "stable", "stable"]
    (anomaly,) = stable.anomalies(world.exec("/bin/sh", "sh", "-i"))
    assert (anomaly.severity, anomaly.state) == (Severity.MEDIUM, "lossy")
    stable.run(7)
    assert stable.state().state == "stable"


def test_profiles_survive_a_restart(stable: Bench, world: Any, tmp_path: Path) -> None:
    file = tmp_path / "state" / "profiles.json"
    stable.learner.save(file, world.now_ns)
    again = Bench(world)
    assert again.learner.load(file) is None
    assert again.learner.states() == stable.learner.states()
    assert again.routine("c1") == []
    (anomaly,) = again.anomalies(world.exec("/bin/sh", "sh", "-i"))
    assert anomaly.severity is Severity.HIGH
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_failed_save_says_where_and_leaves_the_old_file(stable: Bench, tmp_path: Path) -> None:
    file = tmp_path / "profiles.json"
    stable.learner.save(file)
    old = file.read_bytes()
    (tmp_path / "profiles.json.new").mkdir()
    with pytest.raises(ProfileFileError, match="could not be saved"):
        stable.learner.save(file)
    assert file.read_bytes() == old


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format":9,"profiles":[]}', b'{"format":1,"profiles":[{}]}'])
def test_a_broken_file_is_set_aside_and_counted(bench: Bench, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "profiles.json"
    file.write_bytes(content)
    error = bench.learner.load(file)
    assert error is not None
    assert str(file) in str(error)
    assert (tmp_path / "profiles.json.broken").read_bytes() == content
    assert bench.learner.dropped() == {"learn_broken_files": 1}
    assert bench.learner.load(file) is None, "no file is a fresh start, not an error"


def test_every_store_is_bounded_and_says_what_it_dropped(world: Any) -> None:
    config = LearnConfig(
        slot_s=1.0, max_profiles=2, max_links=3, cache=3, profile=ProfileConfig(max_members=4), host_members=6
    )
    bench = Bench(world, config)
    for n in range(20):
        bench.learner.observe(world.exec(f"/bin/p{n}", f"p{n}"))
        bench.learner.observe(world.write(f"/var/log/{'abcdefghijklmnopqrstuvwxyz'[n]}", ino=n))
        bench.learner.observe(world.exec(f"/bin/p{n}", f"p{n}", container=""))
    world.workload = Workload("third")
    bench.learner.observe(world.fork())
    assert bench.learner.dropped() == {
        "learn_profiles_refused": 1, "learn_members_refused": 16 + 16 + 14, "learn_links_evicted": 1
    }  # fmt: skip
    bench.tick()
    bench.learner.observe(world.fork())
    assert bench.learner.dropped()["learn_profiles_retired"] == 1


def test_created_files_are_writes(bench: Bench, world: Any) -> None:
    bench.learner.observe(world.write("/tmp/x", flags=FileFlag.CREATED))
    bench.tick()
    assert bench.state("write").members == 1


def test_a_container_that_is_not_described_yet_has_no_profile(world: Any) -> None:
    learner = Learner(QUICK)
    event = world.exec("/bin/sh", "sh", parent=world.process())
    unknown = dataclasses.replace(event, container=Container("c1", complete=False))
    assert learner.observe(unknown).anomalies == ()
    assert learner.states() == []
