"""The identifier as a whole: containers found late, corrected, removed; the seed; addresses."""

from typing import Any

import pytest

from agent.events import EventType
from agent.identify.addresses import addresses_of
from agent.identify.identify import Identifier
from agent.identify.paths import Limits, Paths
from agent.workload import Identified

ID = "ab" * 32
FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 10.88.0.5
        /32 host LOCAL
     |-- 10.88.0.255
        /32 link BROADCAST
Local:
     |-- 10.88.0.5
        /32 host LOCAL
"""
INET6 = """00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000005 02 40 00 80     eth0
fe800000000000000000000000000005 02 40 20 80     eth0
garbage
"""


def _see(identifier: Identifier, event: Any) -> Identified:
    identified = identifier.identify(event)
    assert identified is not None
    return identified


@pytest.mark.parametrize("layout", ["v1", "v2", "hybrid"])
def test_a_container_is_told_in_every_cgroup_layout(make_host: Any, layout: str) -> None:
    """runc's own path, known by state only; what nothing claims is the host's."""
    host = make_host(layout)
    web, unit, plain = host.mkdir("/web/inner"), host.mkdir("/system.slice/x.service"), host.mkdir("/plain")
    host.runc_state("web", "/web")
    identifier = host.identifier()
    host.process(1, 0, 0, ["/sbin/init"])
    identifier.seed(host.now)
    keys = [
        _see(identifier, host.exec(host.task(50 + i, 500, c), "/bin/x")).workload.key
        for i, c in enumerate((web, unit, plain))
    ]
    assert keys == ["container/web", "unit/x.service", "host"]
    assert [c.id for c in identifier.containers()] == ["web"]


def test_metadata_that_comes_late_completes_the_container(host: Any) -> None:
    """Sent incomplete at once, corrected with the next exec; counted both times."""
    cgroup = host.mkdir(f"/kubepods/pod{'a1' * 16}/{ID}")
    identifier = host.identifier()
    task = host.task(100, 10_000, cgroup)
    early = _see(identifier, host.exec(task, "/bin/x"))
    assert early.container is not None
    assert (early.container.complete, early.container.pod_uid, early.workload.key) == (
        False,
        "a1" * 16,
        f"container/{ID[:12]}",
    )
    facts = {
        "io.kubernetes.pod.name": "shop-0",
        "io.kubernetes.pod.namespace": "p",
        "io.kubernetes.container.name": "c",
    }
    host.runc_state(ID, f"/kubepods/pod{'a1' * 16}/{ID}", root="containerd/runc/k8s.io", annotations=facts)
    late = _see(identifier, host.exec(task, "/bin/y"))
    assert late.container is not None
    assert (late.container.complete, late.container.pod_uid, late.workload.key) == (
        True,
        "a1" * 16,
        "k8s/p/statefulset/shop/c",
    )
    assert identifier.dropped() == {
        "identify_process_fork_missed": 1,
        "identify_cgroup_rescans": 1,
        "identify_container_incomplete": 1,
        "identify_container_corrected": 1,
    }


def test_retries_are_bounded_in_number_and_end_with_a_count(host: Any) -> None:
    """Ten thousand events of a container nobody describes: ten looks, then it stays incomplete."""
    cgroup = host.mkdir(f"/docker/{ID}")
    identifier = host.identifier(Limits(sweep=0, retries=10, retry_ns=1_000_000))
    task = host.task(100, 10_000, cgroup)
    for _ in range(10_000):
        seen = _see(identifier, host.open(task, "/f"))
    assert seen.container is not None
    assert seen.container.complete is False
    assert identifier.dropped()["identify_container_never_complete"] == 1
    host.runc_state(ID, f"/docker/{ID}", root="docker/moby")
    assert _see(identifier, host.exec(task, "/bin/x")).container == seen.container


def test_a_cgroup_taken_for_the_hosts_is_reconsidered_when_a_program_starts_in_it(host: Any) -> None:
    """runc sets up in the cgroup before it writes its state; the payload's exec must not be the host's."""
    cgroup = host.mkdir("/web")
    identifier = host.identifier()
    task = host.task(100, 10_000, cgroup)
    assert _see(identifier, host.open(task, "/proc/self/attr")).workload.key == "host"
    host.runc_state("web", "/web", init=(100, 1000))
    seen = _see(identifier, host.exec(task, "/bin/x"))
    assert (seen.workload.key, seen.process.entry_id) == ("container/web", "")


def test_a_tick_completes_a_container_that_sends_no_events(host: Any) -> None:
    """The correction does not wait for the next event."""
    cgroup = host.mkdir(f"/docker/{ID}")
    identifier = host.identifier()
    _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    host.runc_state(ID, f"/docker/{ID}", root="docker/moby")
    identifier.tick(host.now + 60_000_000_000)
    assert [c.complete for c in identifier.containers()] == [True]


def test_a_removed_containers_late_events_are_still_its_own(host: Any) -> None:
    """Within the grace period; containers() no longer lists it; the name may be used again at once."""
    cgroup = host.mkdir("/web")
    host.runc_state("web", "/web", init=(100, 1000))
    identifier = host.identifier()
    task = host.task(100, 10_000, cgroup)
    _see(identifier, host.exec(task, "/bin/x"))
    identifier.identify(host.cgroup_event(EventType.CGROUP_RMDIR, cgroup, "/web"))
    (host.cgroup_root / "web").rmdir()
    assert identifier.containers() == ()
    assert _see(identifier, host.exit(task)).workload.key == "container/web"
    identifier.tick(host.now + 11_000_000_000)
    assert _see(identifier, host.open(task, "/f")).container is None


def test_a_removal_nobody_announced_is_noticed(host: Any) -> None:
    """The report was lost: the directory's absence tells, once the report can no longer be on its way."""
    cgroup = host.mkdir("/web")
    host.runc_state("web", "/web", init=(100, 1000))
    identifier = host.identifier()
    _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    (host.cgroup_root / "web").rmdir()
    identifier.tick(host.now)
    assert len(identifier.containers()) == 1
    identifier.tick(host.now + 5_000_000_000)
    assert identifier.containers() == ()
    assert identifier.dropped()["identify_cgroup_removal_missed"] == 1


def test_an_unknown_cgroup_is_the_hosts_and_counted(host: Any) -> None:
    """Never silently: the counter says how often."""
    identifier = host.identifier()
    assert _see(identifier, host.open(host.task(100, 10_000, 987_654), "/f")).workload.key == "host"
    assert identifier.dropped()["identify_cgroup_unknown"] == 1


def test_the_seed_knows_trees_containers_and_who_entered(host: Any) -> None:
    """Init by its runtime's word, its child inside, an exec from outside, an nsenter from the host, a kernel thread."""
    inside = {"mnt": "c", "pid": "c", "net": "c"}
    host.mkdir("/web")
    host.runc_state("web", "/web", init=(100, 1000))
    host.process(1, 0, 0, ["/sbin/init"])
    host.process(90, 1, 900, ["/usr/bin/shim"])
    host.process(100, 90, 1000, ["/bin/httpd", "-f"], "/web", ns_pid=1, namespaces=inside)
    host.process(101, 100, 1001, ["/bin/worker"], "/web", ns_pid=2, namespaces=inside)
    host.process(102, 90, 1100, ["/bin/sh"], "/web", ns_pid=3, namespaces=inside)
    host.process(103, 102, 1101, ["/bin/id"], "/web", ns_pid=4, namespaces=inside)
    host.process(104, 1, 1200, ["/bin/ash"], "/", ns_pid=5, namespaces=inside)
    identifier = host.identifier()
    identifier.seed(host.now)
    nodes = {node.pid: node for node in identifier._tree._nodes.values()}
    value = {pid: node.value for pid, node in nodes.items()}
    assert {pid: v.container_id for pid, v in value.items()} == {
        1: "", 90: "", 100: "web", 101: "web", 102: "web", 103: "web", 104: "web",
    }  # fmt: skip
    entries = {pid: v.entry_id for pid, v in value.items() if v.entry_id}
    assert entries == {102: value[102].exec_id, 103: value[102].exec_id, 104: value[104].exec_id}
    assert (value[100].argv, value[100].uid, value[100].seeded) == (("/bin/httpd", "-f"), 7, True)
    seen = _see(identifier, host.open(host.task(101, 10_010, nodes[101].cgroup_id), "/f"))
    assert [p.pid for p in seen.ancestors] == [100, 90, 1]
    assert not identifier.dropped()


def test_a_containers_addresses_are_its_own_reachable_ones(host: Any) -> None:
    """IPv4 and IPv6, without loopback, broadcast and link-local; nothing where nothing can be read."""
    host.process(100, 1, 1000, ["/bin/x"])
    net = host.proc / "100" / "net"
    net.mkdir()
    assert addresses_of(str(host.proc), 100) == ()
    (net / "fib_trie").write_text(FIB)
    (net / "if_inet6").write_text(INET6)
    assert addresses_of(str(host.proc), 100) == ("10.88.0.5", "fd00::5")
    assert addresses_of(str(host.proc), 101) == ()


def test_addresses_that_come_after_start_are_found_later(host: Any) -> None:
    """CNI may configure the network after the first event; the host's own namespace is never asked."""
    cgroup = host.mkdir("/web")
    host.runc_state("web", "/web", init=(100, 1000))
    host.process(1, 0, 0, ["/sbin/init"])
    host.process(100, 1, 1000, ["/bin/x"], "/web", namespaces={"net": "c"})
    identifier = host.identifier()
    task = host.task(100, 10_000, cgroup)
    assert _see(identifier, host.exec(task, "/bin/x")).container.addresses == ()  # type: ignore[union-attr]
    (host.proc / "100" / "net").mkdir()
    (host.proc / "100" / "net" / "fib_trie").write_text(FIB)
    host.now += 1_000_000_000
    assert _see(identifier, host.open(task, "/f")).container.addresses == ("10.88.0.5",)  # type: ignore[union-attr]


def test_a_whole_host_below_a_mount_point_is_read_there() -> None:
    """An agent in a container: every path gets the prefix."""
    paths = Paths.below("/host")
    assert (paths.proc, paths.cgroup, paths.prefix) == ("/host/proc", "/host/sys/fs/cgroup", "/host")
    assert all(root.path.startswith("/host/run/") for root in paths.state_roots)
