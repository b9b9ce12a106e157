"""Who was held back: what findings, profiles and the ledger are told."""

from agent.events import EventType, Head, Task, Throttle
from agent.source.port import ThrottleState
from agent.throttling import ThrottleEntry, Throttling
from agent.workload import Container, Identified, Process, Workload

WEB = Workload("k8s/shop/deployment/web/app", "sha256:1")
SECOND = 1_000_000_000


def told(
    throttling: Throttling, time_ns: int, *, stop: bool, held_back: int = 0, cgroup_id: int = 7, since_ns: int = 0
) -> None:
    task = Task(1, 0, cgroup_id, 4, 4, 1, 4, 0, 0, 0, 0, 1, 1, 1, 0, "x")
    event = Throttle(Head(EventType.THROTTLE, 0, time_ns, task), cgroup_id, EventType.OPEN, held_back, since_ns, stop)
    process = Process("a", 4, "b", "/x", ("x",), "/", 0, 0, 1, cgroup_id, "c1")
    throttling.noted(event, Identified(event, process, (), Container("c1"), WEB))


def test_from_the_beginning_to_a_second_after_the_end_records_are_missing() -> None:
    throttling = Throttling()
    told(throttling, 10 * SECOND, stop=False, since_ns=10 * SECOND)
    assert throttling.is_lossy(7, EventType.OPEN, "c1", 99 * SECOND)
    assert throttling.is_lossy(8, EventType.OPEN, "c1", 99 * SECOND)  # elsewhere in the container
    assert not throttling.is_lossy(7, EventType.EXEC, "c1", 99 * SECOND)
    assert not throttling.is_lossy(8, EventType.OPEN, "c2", 99 * SECOND)
    assert not throttling.is_lossy(8, EventType.OPEN, "", 99 * SECOND)
    told(throttling, 100 * SECOND, stop=True, held_back=5, since_ns=10 * SECOND)
    assert throttling.is_lossy(7, EventType.OPEN, "c1", 101 * SECOND - 1)
    assert not throttling.is_lossy(7, EventType.OPEN, "c1", 101 * SECOND)


def test_the_ledger_tells_how_often_and_how_much() -> None:
    throttling = Throttling()
    for start in (10, 20):
        told(throttling, start * SECOND, stop=False, since_ns=start * SECOND)
        told(throttling, (start + 5) * SECOND, stop=True, held_back=100, since_ns=start * SECOND)
    told(throttling, 30 * SECOND, stop=False, since_ns=30 * SECOND)
    assert throttling.entries() == (ThrottleEntry("c1", WEB.key, "open", 3, 200, 30 * SECOND),)
    assert list(throttling.active()) == [(EventType.OPEN, WEB)]


def test_a_beginning_that_was_lost_is_known_from_the_kernels_map() -> None:
    throttling = Throttling()
    throttling.seen([ThrottleState(7, EventType.DNS, 5, 40)], boot_to_unix_ns=100)
    assert throttling.entries() == (ThrottleEntry("", "", "dns", 1, 0, 105),)
    throttling.released([ThrottleState(7, EventType.DNS, 5, 44)], 500)
    assert throttling.entries() == (ThrottleEntry("", "", "dns", 1, 44, 0),)


def test_what_the_map_said_before_the_end_does_not_begin_it_again() -> None:
    throttling = Throttling()
    told(throttling, 10, stop=False, since_ns=10)
    told(throttling, 20, stop=True, held_back=1, since_ns=10)
    throttling.seen([ThrottleState(7, EventType.OPEN, 10, 1)], boot_to_unix_ns=0)
    assert list(throttling.active()) == []


def test_a_host_of_cgroups_does_not_grow_it_beyond_its_bound() -> None:
    throttling = Throttling(limit=4)
    for cgroup_id in range(10):
        told(throttling, cgroup_id + 1, stop=True, held_back=1, cgroup_id=cgroup_id, since_ns=1)
    assert (len(throttling.entries()), throttling.forgotten) == (4, 6)
