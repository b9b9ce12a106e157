"""Behaviours that rules watch are let go of once their window is over."""

from agent.events import EventType, Exec, FileId, Head, Open, Task
from agent.learn.links import novelty_key
from agent.rearm import Watched

TASK = Task(1, 0, 7, 4, 4, 1, 4, 0, 0, 0, 0, 1, 1, 1, 0, "x")


def make_open(ino: int) -> Open:
    head = Head(EventType.OPEN, 0, 0, TASK)
    return Open(head, FileId(1, 2, 3), FileId(ino, 2, 3), 0, 0, 0o100644, 0, "/f", 9)


def test_a_watched_behaviour_is_due_once_after_its_window() -> None:
    watched = Watched(window_ns=60)
    watched.add(make_open(1), 100)
    watched.add(make_open(2), 130)
    watched.add(make_open(1), 150)  # the window runs from the first
    assert watched.take_due(159) == []
    assert watched.take_due(160) == [novelty_key(make_open(1))]
    assert watched.take_due(1000) == [novelty_key(make_open(2))]
    assert watched.take_due(1000) == []


def test_what_is_not_filtered_needs_no_watching() -> None:
    watched = Watched()
    watched.add(Exec(Head(EventType.EXEC, 0, 0, TASK), FileId(1, 2, 3), 0, 0, 0, "/x", ("x",), 2, "/", "/x"), 0)
    assert len(watched) == 0


def test_watching_is_bounded_and_says_what_it_refused() -> None:
    watched = Watched(limit=8)
    for ino in range(10):
        watched.add(make_open(ino), 0)
    assert (len(watched), watched.refused) == (8, 2)
