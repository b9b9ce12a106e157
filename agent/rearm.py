"""Behaviours a rule asked to see every time: let go of again once their window of repeats is over."""

from collections import OrderedDict
from collections.abc import Sequence

from agent.events import Call, Dns, Event, PathChange, Socket
from agent.learn.links import novelty_key
from agent.source.port import BehaviourKey, Source, Upkeep

_WINDOW_NS = 61_000_000_000  # the window repeats are folded into one finding (agent.detect.detector), and a second
_LIMIT = 4096
_PROGRAMS_LIMIT = 64


class Watched:
    """Behaviours of the kernel's filter that are to be forgotten. Times are Unix nanoseconds.

    Where the key of an event's behaviour cannot be told from the event (its object is a hash in the kernel), all that
    the program does of this class in this cgroup is forgotten. Beyond the limits nothing is taken in, counted in
    `refused`: such a behaviour stays known until its turn in the re-arm cycle comes.
    """

    def __init__(self, window_ns: int = _WINDOW_NS, limit: int = _LIMIT, programs_limit: int = _PROGRAMS_LIMIT) -> None:
        self._window_ns, self._limit, self._programs_limit = window_ns, limit, programs_limit
        self._due: OrderedDict[BehaviourKey, int] = OrderedDict()
        self._programs: OrderedDict[BehaviourKey, int] = OrderedDict()
        self.refused = 0

    def add(self, event: Event, now_ns: int) -> None:
        """A rule of medium or higher held for this event. Events that are not filtered are none of our business."""
        if (key := novelty_key(event)) is not None:
            self._put(self._due, self._limit, key, now_ns)
        elif isinstance(event, Call | Dns | PathChange | Socket):
            key = BehaviourKey(event.head.task.cgroup_id, event.head.type, event.exe, b"")
            self._put(self._programs, self._programs_limit, key, now_ns)

    def let_go(self, now_ns: int, source: Source, upkeep: Upkeep | None) -> Sequence[tuple[BehaviourKey, int]]:
        """Forget those whose window is over; what a sweep brought on the way."""
        if due := _take(self._due, now_ns):
            source.forget(due)
        if upkeep and (programs := _take(self._programs, now_ns)):
            return upkeep.sweep(programs=programs)
        return ()

    def __len__(self) -> int:
        return len(self._due) + len(self._programs)

    def _put(self, into: OrderedDict[BehaviourKey, int], limit: int, key: BehaviourKey, now_ns: int) -> None:
        if key in into:
            return
        if len(into) >= limit:
            self.refused += 1
            return
        into[key] = now_ns + self._window_ns


def _take(waiting: OrderedDict[BehaviourKey, int], now_ns: int) -> list[BehaviourKey]:
    due = []
    while waiting and next(iter(waiting.values())) <= now_ns:
        due.append(waiting.popitem(last=False)[0])
    return due
