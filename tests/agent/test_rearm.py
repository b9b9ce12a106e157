"""Behaviours that rules watch are let go of once their window is over."""

from collections.abc import Sequence

from agent.events import EventType, Exec, FileId, Head, Open, PathChange, PathOp, Task
from agent.learn.links import novelty_key
from agent.rearm import Watched
from agent.source.fake import FakeSource
from agent.source.port import BehaviourKey, Phase, ThrottleState

TASK = Task(1, 0, 7, 4, 4, 1, 4, 0, 0, 0, 0, 1, 1, 1, 0, "x")


def make_open(ino: int) -> Open:
    head = Head(EventType.OPEN, 0, 0, TASK)
    return Open(head, FileId(1, 2, 3), FileId(ino, 2, 3), 0, 0, 0o100644, 0, "/f", 9)


class Forgetting(FakeSource):
    """A sensor with a filter that remembers what it was told to let go of."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[BehaviourKey] = []
        self.programs: list[BehaviourKey] = []

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        self.forgotten += keys
        return len(keys)

    def sweep(
        self, due: Phase | None = None, *, crowded: bool = False, programs: Sequence[BehaviourKey] = ()
    ) -> list[tuple[BehaviourKey, int]]:
        self.programs += programs
        return [(key, 1) for key in programs]

    def throttled(self) -> list[ThrottleState]:
        return []

    def release(self) -> list[ThrottleState]:
        return []


def test_a_watched_behaviour_is_due_once_after_its_window() -> None:
    watched, source = Watched(window_ns=60), Forgetting()
    watched.add(make_open(1), 100)
    watched.add(make_open(2), 130)
    watched.add(make_open(1), 150)  # the window runs from the first
    forgotten = []
    for now_ns in (159, 160, 1000, 1001):
        watched.let_go(now_ns, source, source)
        forgotten.append(len(source.forgotten))
    assert forgotten == [0, 1, 2, 2]
    assert source.forgotten == [novelty_key(make_open(1)), novelty_key(make_open(2))]


def test_where_the_object_is_the_kernels_secret_the_program_is_forgotten_in_that_class() -> None:
    watched, source = Watched(window_ns=60), Forgetting()
    head = Head(EventType.PATH, 0, 0, TASK)
    for name in ("/a", "/b"):
        watched.add(PathChange(head, FileId(1, 2, 3), FileId(0, 0, 0), PathOp.UNLINK, 0, (0, 0), name, "", ""), 0)
    program = BehaviourKey(7, EventType.PATH, FileId(1, 2, 3), b"")
    assert watched.let_go(60, source, source) == [(program, 1)]
    assert (source.programs, source.forgotten) == ([program], [])


def test_what_is_not_filtered_needs_no_watching() -> None:
    watched = Watched()
    watched.add(Exec(Head(EventType.EXEC, 0, 0, TASK), FileId(1, 2, 3), 0, 0, 0, "/x", ("x",), 2, "/", "/x"), 0)
    assert len(watched) == 0


def test_watching_is_bounded_and_says_what_it_refused() -> None:
    watched = Watched(limit=8)
    for ino in range(10):
        watched.add(make_open(ino), 0)
    assert (len(watched), watched.refused) == (8, 2)
