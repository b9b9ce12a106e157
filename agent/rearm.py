"""Behaviours a rule asked to see every time: let go of again once their window of repeats is over."""

from collections import OrderedDict

from agent.events import Event
from agent.learn.links import novelty_key
from agent.source.port import BehaviourKey

_WINDOW_NS = 61_000_000_000  # the window repeats are folded into one finding (agent.detect.detector), and a second
_LIMIT = 4096


class Watched:
    """Keys of the kernel's filter that are to be forgotten, in the order they fall due. Times are Unix nanoseconds.

    Beyond `limit` nothing is taken in, counted in `refused`: such a behaviour stays known until its turn comes anyway.
    """

    def __init__(self, window_ns: int = _WINDOW_NS, limit: int = _LIMIT) -> None:
        self._window_ns, self._limit = window_ns, limit
        self._due: OrderedDict[BehaviourKey, int] = OrderedDict()
        self.refused = 0

    def add(self, event: Event, now_ns: int) -> None:
        """A rule of medium or higher held for this event. Events that are not filtered are none of our business."""
        key = novelty_key(event)
        if key is None or key in self._due:
            return
        if len(self._due) >= self._limit:
            self.refused += 1
            return
        self._due[key] = now_ns + self._window_ns

    def take_due(self, now_ns: int) -> list[BehaviourKey]:
        """Those whose window is over; they are not watched any more."""
        due = []
        while self._due and next(iter(self._due.values())) <= now_ns:
            due.append(self._due.popitem(last=False)[0])
        return due

    def __len__(self) -> int:
        return len(self._due)
