"""Events wait for their container's description: bounded, in order, and never lost."""

from agent.events import EventType, Exec, FileId, Head, Task
from agent.waiting import Waiting
from agent.workload import Container, Identified, Process, Workload

S = 1_000_000_000


def _event(container_id: str, number: int, *, complete: bool = False) -> Identified:
    task = Task(10**9, 5, 1, 4242, 4242, 1, 4242, 0, 0, 0, 0, 1, 1, 1, 0, "x")
    event = Exec(Head(EventType.EXEC, 0, number, task), FileId(1, 2, 3), 0, 0, 0, "/x", ("/x",), 2, "/", "/x")
    process = Process("e", 1, "", "/x", ("/x",), "/", 0, 0, 1, 1)
    return Identified(event, process, (), Container(container_id, complete=complete), Workload("w"))


def _numbers(found: object) -> list[int]:
    return [one.event.head.time_ns for one in found]  # type: ignore[attr-defined]


def test_events_of_one_container_go_on_in_order_once_it_is_described() -> None:
    """Also the one that came when it was already described but others still waited."""
    waiting = Waiting()
    for number in (1, 2):
        assert waiting.wants(_event("a", number))
        waiting.hold(_event("a", number), 0)
    last = _event("a", 3, complete=True)
    assert waiting.wants(last)
    waiting.hold(last, 0)
    assert _numbers(waiting.ready(1, lambda c: False)) == []
    assert _numbers(waiting.ready(1, lambda c: c == "a")) == [1, 2, 3]
    assert (len(waiting), waiting.expired, waiting.overflowed) == (0, 0, 0)


def test_one_container_does_not_hold_up_another() -> None:
    """Each has its own queue; one that is described, and the host, do not wait at all."""
    waiting = Waiting()
    waiting.hold(_event("a", 1), 0)
    waiting.hold(_event("b", 2), 0)
    assert not waiting.wants(_event("c", 3, complete=True))
    assert _numbers(waiting.ready(1, lambda c: c == "b")) == [2]
    assert waiting.containers() == ("a",)


def test_the_time_is_the_containers_not_each_events() -> None:
    """After two seconds all go on, and what comes later does not wait again."""
    waiting = Waiting(patience_ns=2 * S)
    waiting.hold(_event("a", 1), 0)
    waiting.hold(_event("a", 2), 2 * S - 1)
    assert _numbers(waiting.ready(2 * S - 1, lambda c: False)) == []
    assert _numbers(waiting.ready(2 * S, lambda c: False)) == [1, 2]
    assert not waiting.wants(_event("a", 3))
    assert waiting.expired == 2


def test_a_flood_goes_on_undescribed_instead_of_growing() -> None:
    """Over the bound of one container its own go on; over the bound of all, theirs in order of arrival."""
    waiting = Waiting(each=10, events=25)
    for number in range(11):
        waiting.hold(_event("a", number), 0)
    assert len(_numbers(waiting.ready(0, lambda c: False))) == 11
    for container in "bcd":
        for number in range(9):
            waiting.hold(_event(container, number), 0)
    assert len(_numbers(waiting.ready(0, lambda c: False))) == 9
    assert (len(waiting), waiting.overflowed) == (18, 20)
    assert len(_numbers(waiting.rest())) == 18
