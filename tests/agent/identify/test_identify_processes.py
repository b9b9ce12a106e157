"""The process tree: identity, ancestry, entries from outside, and its bounds."""

from typing import Any

import pytest

from agent.events import EventType
from agent.identify.identify import Identifier
from agent.identify.keys import NS_PER_TICK, key_of, key_of_ticks
from agent.identify.paths import Limits
from agent.identify.processes import ProcessTree
from agent.workload import Identified

INIT = (100, 10_000)  # pid, start in ms: 1000 ticks
C_MNT = 4_026_540_001


def _see(identifier: Identifier, event: Any) -> Identified:
    identified = identifier.identify(event)
    assert identified is not None
    return identified


def _container(host: Any, name: str = "web") -> int:
    """A container with its state written; its cgroup id."""
    cgroup = host.mkdir(f"/{name}")
    host.runc_state(name, f"/{name}", init=(INIT[0], 1000))
    return int(cgroup)


def _start_init(host: Any, identifier: Identifier, cgroup: int) -> Identified:
    """runc's way: forked in the container's cgroup by a process outside, then the payload's exec."""
    runc = host.task(90, 9_000, 1)
    _see(identifier, host.exec(runc, "/usr/sbin/runc", "runc", "run"))
    task = host.task(INIT[0], INIT[1], cgroup, (90, 9_000), ns_pid=1, mnt_ns=C_MNT, pid_ns=5)
    identifier.identify(host.fork(task))
    return _see(identifier, host.exec(task, "/bin/httpd", "httpd", "-f"))


@pytest.mark.parametrize("offset", [0, 1, NS_PER_TICK - 1])
def test_kernel_and_proc_give_the_same_id(offset: int) -> None:
    """Anywhere within a tick is that tick; the next nanosecond is the next."""
    assert key_of(7, 123 * NS_PER_TICK + offset) == key_of_ticks(7, 123)
    assert key_of(7, 124 * NS_PER_TICK) != key_of_ticks(7, 123)


def test_an_exec_id_is_16_hex_digits_of_boot_pid_and_start(host: Any) -> None:
    """Equal for equal (boot, pid, ticks), different when any of them differs."""

    def tree(boot: str) -> ProcessTree:
        return host.identifier()._tree if boot == "boot" else Identifier(boot, host.paths)._tree

    ids = [tree("boot").exec_id(key_of_ticks(7, 5)), tree("boot").exec_id(key_of_ticks(7, 6))]
    ids += [tree("boot").exec_id(key_of_ticks(8, 5)), tree("other").exec_id(key_of_ticks(7, 5))]
    assert len(set(ids)) == 4
    assert all(len(i) == 16 and int(i, 16) >= 0 for i in ids)
    assert tree("boot").exec_id(key_of_ticks(7, 5)) == ids[0]


def test_the_containers_own_tree_carries_no_entry_mark(host: Any) -> None:
    """Its init and whatever init starts are inside; ancestry runs on up to the runtime."""
    identifier, cgroup = host.identifier(), _container(host)
    init = _start_init(host, identifier, cgroup)
    assert init.container is not None
    assert (init.container.id, init.workload.key, init.process.entry_id) == ("web", "container/web", "")
    child = host.task(110, 11_000, cgroup, INIT, ns_pid=2, mnt_ns=C_MNT, pid_ns=5)
    assert identifier.identify(host.fork(child)) is None
    seen = _see(identifier, host.exec(child, "/bin/sh", "sh", "-c", "id"))
    assert (seen.process.container_id, seen.process.entry_id) == ("web", "")
    assert [p.path for p in seen.ancestors] == ["/bin/httpd", "/usr/sbin/runc"]
    assert seen.process.parent_id == init.process.exec_id
    assert not identifier.dropped().keys() & {"identify_process_parent_missed", "identify_container_incomplete"}


def test_an_exec_from_outside_is_marked_and_so_are_its_descendants(host: Any) -> None:
    """`runc exec`: forked in the container's cgroup, parent outside, not its init."""
    identifier, cgroup = host.identifier(), _container(host)
    _start_init(host, identifier, cgroup)
    runc = host.task(200, 20_000, 1)
    _see(identifier, host.exec(runc, "/usr/sbin/runc", "runc", "exec", "web", "sh"))
    shell = host.task(201, 20_010, cgroup, (200, 20_000), ns_pid=9, mnt_ns=C_MNT, pid_ns=5)
    identifier.identify(host.fork(shell))
    entered = _see(identifier, host.exec(shell, "/bin/sh", "sh"))
    assert entered.process.entry_id == entered.process.exec_id
    below = host.task(202, 20_020, cgroup, (201, 20_010), ns_pid=10, mnt_ns=C_MNT, pid_ns=5)
    identifier.identify(host.fork(below))
    assert _see(identifier, host.open(below, "/tmp/x")).process.entry_id == entered.process.exec_id
    assert _see(identifier, host.exec(below, "/bin/id", "id")).process.entry_id == entered.process.exec_id


def test_a_cgroup_joined_between_fork_and_exec_counts_at_exec(host: Any) -> None:
    """Forked on the host, moved, then the program runs in the container: the exec's cgroup decides."""
    identifier, cgroup = host.identifier(), _container(host)
    _start_init(host, identifier, cgroup)
    fork = host.task(300, 30_000, 1, (90, 9_000))
    identifier.identify(host.fork(fork))
    moved = fork._replace(cgroup_id=cgroup, mnt_ns=C_MNT)
    seen = _see(identifier, host.exec(moved, "/bin/sh", "sh"))
    assert (seen.process.container_id, seen.process.cgroup_id) == ("web", cgroup)
    assert seen.process.entry_id == seen.process.exec_id


def test_nsenter_enters_by_namespace_though_its_cgroup_is_the_hosts(host: Any) -> None:
    """nsenter joins namespaces only: the mount namespace says whose files it works on."""
    identifier, cgroup = host.identifier(), _container(host)
    _start_init(host, identifier, cgroup)
    host.process(INIT[0], 90, 1000, ["/bin/httpd"], "/web")
    (host.proc / str(INIT[0]) / "ns/mnt").unlink()  # its number is not this test's to choose
    task = host.task(400, 40_000, 1, (90, 9_000))
    identifier.identify(host.fork(task))
    assert _see(identifier, host.exec(task, "/usr/bin/nsenter", "nsenter", "-t", "100", "-a")).container is None
    seen = _see(identifier, host.exec(task._replace(mnt_ns=C_MNT), "/bin/sh", "sh"))
    assert seen.container is not None
    assert seen.container.id == "web"
    assert (seen.process.entry_id, seen.workload.key) == (seen.process.exec_id, "container/web")


@pytest.mark.parametrize("dead", ["gone", "another", "moved"])
def test_a_dead_containers_mount_namespace_number_is_anybodys(host: Any, dead: str) -> None:
    """The kernel gives it to the next container before the report that the dead one's cgroup is gone."""
    identifier, cgroup = host.identifier(), _container(host)
    _start_init(host, identifier, cgroup)
    if dead == "another":
        host.process(INIT[0], 1, 9999, ["/bin/other"])
    elif dead == "moved":
        host.process(INIT[0], 90, 1000, ["/bin/httpd"], "/web", namespaces={"mnt": "elsewhere"})
    host_task = host.task(400, 40_000, 1, (90, 9_000), mnt_ns=C_MNT)
    assert _see(identifier, host.exec(host_task, "/bin/x")).container is None
    other = host.mkdir("/next")
    identifier.identify(host.cgroup_event(EventType.CGROUP_MKDIR, other, "/next"))
    host.runc_state("next", "/next", init=(200, 2000))
    task = host.task(200, 20_000, other, (90, 9_000), ns_pid=1, mnt_ns=C_MNT, pid_ns=6)
    for event in (host.exec(task, "/bin/httpd"), host.open(task, "/f")):
        seen = _see(identifier, event)
        assert seen.container is not None
        assert seen.container.id == "next"


def test_a_container_seen_before_its_state_takes_its_first_process_for_init(host: Any) -> None:
    """When the runtime's word comes later, it counts from then on."""
    identifier = host.identifier()
    cgroup = host.mkdir("/docker/" + "ab" * 32)
    _see(identifier, host.exec(host.task(90, 9_000, 1), "/usr/bin/shim"))
    first = host.task(100, 10_000, cgroup, (90, 9_000), ns_pid=1, mnt_ns=C_MNT)
    identifier.identify(host.fork(first))
    seen = _see(identifier, host.exec(first, "/bin/httpd"))
    assert seen.container is not None
    assert (seen.container.complete, seen.process.entry_id) == (False, "")
    other = host.task(150, 15_000, cgroup, (90, 9_000), ns_pid=7, mnt_ns=C_MNT)
    identifier.identify(host.fork(other))
    assert _see(identifier, host.exec(other, "/bin/sh")).process.entry_id != ""


def test_a_runtimes_set_up_in_the_container_is_not_its_init(host: Any) -> None:
    """runc's stages run, write and exit in the new cgroup before the payload's exec; they decide nothing."""
    identifier = host.identifier()
    name = "ab" * 32
    cgroup = host.mkdir(f"/libpod_parent/libpod-{name}")
    stage1, stage2 = (host.task(p, 10_000 + p, cgroup, (90, 9_000)) for p in (98, 99))
    identifier.identify(host.fork(stage1))
    identifier.identify(host.fork(stage2))
    for event in (host.open(stage1, "/proc/self/attr"), host.exit(stage1), host.open(stage2, "/proc/self/attr")):
        assert _see(identifier, event).process.entry_id == ""
    host.runc_state(name, f"/libpod_parent/libpod-{name}", init=(99, 1009))
    init = _see(identifier, host.exec(stage2, "/bin/httpd"))
    assert (init.process.container_id, init.process.entry_id) == (name, "")


def test_a_runtime_that_runs_itself_again_in_the_container_is_still_the_hosts(host: Any) -> None:
    """`runc init` may be moved before its exec: parent outside, mount namespace the host's."""
    host.process(1, 0, 0, ["/sbin/init"])
    here = host.ns("mnt", "host")
    identifier, cgroup = host.identifier(), _container(host)
    runc, stage = host.task(90, 9_000, 1, mnt_ns=here), host.task(95, 9_500, cgroup, (90, 9_000), mnt_ns=here)
    _see(identifier, host.exec(runc, "/usr/sbin/runc", "runc", "run"))
    identifier.identify(host.fork(stage))
    seen = _see(identifier, host.exec(stage, "/", "runc", "init"))
    assert (seen.container, seen.workload.key, seen.process.container_id) == (None, "host", "")
    init = host.task(INIT[0], INIT[1], cgroup, (95, 9_500), ns_pid=1, mnt_ns=C_MNT)
    identifier.identify(host.fork(init))
    assert _see(identifier, host.exec(init, "/bin/httpd")).process.entry_id == ""


def test_a_program_that_left_the_containers_mount_namespace_is_still_the_containers(host: Any) -> None:
    """An escape by nsenter into the host's namespaces keeps its cgroup, and its parent is inside."""
    host.process(1, 0, 0, ["/sbin/init"])
    identifier, cgroup = host.identifier(), _container(host)
    _start_init(host, identifier, cgroup)
    task = host.task(120, 12_000, cgroup, INIT, mnt_ns=C_MNT)
    identifier.identify(host.fork(task))
    seen = _see(identifier, host.exec(task._replace(mnt_ns=host.ns("mnt", "host")), "/bin/bash"))
    assert (seen.process.container_id, seen.process.entry_id) == ("web", "")


def test_a_lost_exec_is_made_up_for_after_a_few_seconds(host: Any) -> None:
    """In its cgroup without an exec there: the runtime's set-up at first, its own program after five seconds."""
    identifier, cgroup = host.identifier(), _container(host)
    _see(identifier, host.exec(host.task(90, 9_000, 1), "/usr/sbin/runc"))
    task = host.task(INIT[0], INIT[1], cgroup, (90, 9_000), ns_pid=1, mnt_ns=C_MNT)
    identifier.identify(host.fork(task))
    assert _see(identifier, host.open(task, "/f")).container is None
    host.now += 5_000_000_000
    seen = _see(identifier, host.open(task, "/f"))
    assert (seen.process.container_id, seen.process.entry_id) == ("web", "")


def test_a_parent_of_which_nothing_is_known_proves_no_entry(host: Any) -> None:
    """Its fork was lost and it is gone: whether it was inside cannot be told, so no mark is made up."""
    identifier, cgroup = host.identifier(), _container(host)
    _start_init(host, identifier, cgroup)
    orphan = host.task(130, 13_000, cgroup, (129, 12_900), ns_pid=9, mnt_ns=C_MNT)
    identifier.identify(host.fork(orphan))
    assert _see(identifier, host.exec(orphan, "/bin/sh")).process.entry_id == ""


def test_a_container_started_anew_in_the_same_cgroup_has_a_new_init(host: Any) -> None:
    """A cgroup that outlives its container: the state names the new first process."""
    identifier, cgroup = host.identifier(), _container(host)
    init = _start_init(host, identifier, cgroup)
    identifier.identify(host.exit(init.event.head.task))
    host.runc_state("web", "/web", init=(500, 5000))
    again = host.task(500, 50_000, cgroup, (90, 9_000), ns_pid=1, mnt_ns=C_MNT + 1)
    identifier.identify(host.fork(again))
    assert _see(identifier, host.exec(again, "/bin/httpd")).process.entry_id == ""


def test_exec_replaces_the_program_and_keeps_the_process(host: Any) -> None:
    """Two execs of one process: one id, two values; earlier values do not change."""
    identifier = host.identifier()
    task = host.task(10, 1_000, 1)
    first = _see(identifier, host.exec(task, "/bin/a"))
    second = _see(identifier, host.exec(task, "/bin/b"))
    assert first.process.exec_id == second.process.exec_id
    assert (first.process.path, second.process.path) == ("/bin/a", "/bin/b")
    assert identifier.process(first.process.exec_id) is second.process


def test_a_child_runs_what_its_parent_ran_when_it_forked(host: Any) -> None:
    """The parent's later exec does not rename the child."""
    identifier = host.identifier()
    parent, child = host.task(10, 1_000, 1), host.task(11, 1_010, 1, (10, 1_000))
    _see(identifier, host.exec(parent, "/bin/a"))
    identifier.identify(host.fork(child))
    _see(identifier, host.exec(parent, "/bin/b"))
    seen = _see(identifier, host.open(child, "/f"))
    assert (seen.process.path, seen.ancestors[0].path) == ("/bin/a", "/bin/b")


def test_a_reused_pid_is_another_process(host: Any) -> None:
    """Same pid, later start: new id, the old one counts as gone though its exit was lost."""
    identifier = host.identifier()
    old = _see(identifier, host.exec(host.task(10, 1_000, 1), "/bin/a"))
    identifier.identify(host.fork(host.task(10, 9_000, 1)))
    new = _see(identifier, host.exec(host.task(10, 9_000, 1), "/bin/b"))
    assert old.process.exec_id != new.process.exec_id
    assert identifier.dropped()["identify_process_exit_missed"] == 1


def test_a_parent_whose_fork_was_lost_is_read_from_proc_with_its_ancestors(host: Any) -> None:
    """If it still lives and started when the event says."""
    host.process(1, 0, 0, ["/sbin/init"])
    host.process(20, 1, 200, ["/bin/bash", "-l"])
    identifier = host.identifier()
    seen = _see(identifier, host.exec(host.task(21, 2_500, 1, (20, 2_000)), "/bin/x"))
    assert [(p.path, p.seeded, p.uid) for p in seen.ancestors] == [("/bin/bash", True, 7), ("/sbin/init", True, 7)]
    assert identifier.dropped()["identify_process_parent_missed"] == 1
    assert "identify_process_placeholder" not in identifier.dropped()


def test_a_lost_parent_whose_pid_has_a_new_owner_is_a_placeholder(host: Any) -> None:
    """/proc shows another start: its program would be a lie."""
    host.process(20, 1, 999, ["/bin/bash"])
    identifier = host.identifier()
    seen = _see(identifier, host.exec(host.task(21, 2_500, 1, (20, 2_000)), "/bin/x"))
    assert [(p.pid, p.path, p.argv) for p in seen.ancestors] == [(20, "", ())]
    assert identifier.dropped()["identify_process_placeholder"] == 1


def test_reading_proc_for_lost_forks_is_limited_in_rate(host: Any) -> None:
    """A thousand lost parents within a few milliseconds: at most the budget is read."""
    identifier = host.identifier(Limits(sweep=0, proc_reads=10))
    for i in range(1000):
        host.now -= 1_000_000
        _see(identifier, host.exec(host.task(5_000 + i, 1_000 + i, 1, (90_000 + i, 500)), "/bin/x"))
    assert identifier.dropped()["identify_process_reads_refused"] == 990
    assert identifier.dropped()["identify_process_placeholder"] == 1000


def test_ancestry_outlives_the_grace_period_of_the_dead(host: Any) -> None:
    """A daemon whose parents are long gone still shows who started it."""
    identifier = host.identifier(Limits(sweep=0, grace_ns=1_000))
    for i, path in enumerate(["/bin/login", "/bin/sh", "/bin/daemon"]):
        task = host.task(10 + i, 1_000 + 10 * i, 1, (9 + i, 990 + 10 * i) if i else (0, 0))
        identifier.identify(host.fork(task))
        _see(identifier, host.exec(task, path))
    for i in range(2):
        identifier.identify(host.exit(host.task(10 + i, 1_000 + 10 * i, 1)))
    identifier.tick(host.now + 1_000_000)
    assert len(identifier._tree) == 1
    seen = _see(identifier, host.open(host.task(12, 1_020, 1), "/f"))
    assert [p.path for p in seen.ancestors] == ["/bin/sh", "/bin/login"]


def test_ancestry_is_bounded_under_a_program_that_forks_and_exits_for_ever(host: Any) -> None:
    """Five thousand generations: sixteen ancestors, and no chain of dead nodes behind the living one."""
    identifier = host.identifier(Limits(sweep=0, grace_ns=1_000))
    previous = host.task(10, 1_000, 1)
    _see(identifier, host.exec(previous, "/bin/worm"))
    for i in range(5_000):
        task = host.task(11 + i, 1_010 + 10 * i, 1, (previous.pid, previous.start_ns // 1_000_000))
        identifier.identify(host.fork(task))
        identifier.identify(host.exit(previous))
        if i % 100 == 0:
            identifier.tick(host.now + 1_000_000)
        previous = task
    identifier.tick(host.now + 1_000_000)
    assert len(_see(identifier, host.open(previous, "/f")).ancestors) == 16
    node, length = identifier._tree.of(previous, host.now), 0
    while node.parent is not None:
        node, length = node.parent, length + 1
    assert length == 1
    assert len(identifier._tree) == 1


def test_a_fork_storm_is_bounded_and_counted(host: Any) -> None:
    """Ten thousand living processes in a table for a thousand: the exited go first, then the oldest."""
    identifier = host.identifier(Limits(sweep=0, processes=1_000))
    _see(identifier, host.exec(host.task(5, 100, 1), "/bin/bomb"))
    for i in range(500):
        identifier.identify(host.fork(host.task(10_000 + i, 1_000, 1, (5, 100))))
        identifier.identify(host.exit(host.task(10_000 + i, 1_000, 1, (5, 100))))
    for i in range(10_000):
        identifier.identify(host.fork(host.task(20_000 + i, 2_000, 1, (5, 100))))
    assert len(identifier._tree) == 1_000
    assert identifier.dropped()["identify_process_dropped_exited"] == 500
    assert identifier.dropped()["identify_process_dropped_living"] >= 9_000


def test_a_storm_of_short_processes_keeps_only_the_newest(host: Any) -> None:
    """What is gone stays known for the grace period, as far as there is room for what is gone."""
    identifier = host.identifier(Limits(sweep=0, exited=100))
    for i in range(300):
        identifier.identify(host.exit(host.task(10_000 + i, 1_000, 1, (5, 100))))
    assert identifier.dropped()["identify_process_forgotten_early"] == 200


def test_exits_nobody_announced_are_noticed(host: Any) -> None:
    """A process that is in the tree but not in /proc is gone after a sweep and the grace period."""
    host.process(20, 1, 200, ["/bin/lives"])
    identifier = host.identifier(Limits(sweep=64, grace_ns=1_000))
    _see(identifier, host.exec(host.task(20, 2_000, 1), "/bin/lives"))
    _see(identifier, host.exec(host.task(21, 2_000, 1), "/bin/gone"))
    identifier.tick(host.now)
    identifier.tick(host.now + 2_000)
    assert [n.pid for n in identifier._tree._nodes.values()] == [20]


def test_an_exit_is_identified_and_the_process_stays_for_the_grace_period(host: Any) -> None:
    """Late children and late events still find it; after that it is forgotten."""
    identifier = host.identifier(Limits(sweep=0, grace_ns=1_000))
    task = host.task(10, 1_000, 1)
    seen = _see(identifier, host.exec(task, "/bin/a"))
    gone = _see(identifier, host.exit(task))
    assert gone.process is seen.process
    assert identifier.process(seen.process.exec_id) is not None
    identifier.tick(host.now + 1_000)
    assert identifier.process(seen.process.exec_id) is None
