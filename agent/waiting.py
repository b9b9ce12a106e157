"""Events of containers nobody has described yet: they wait for it, in order, for a bounded time."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

from agent.workload import Identified

PATIENCE_NS = 2_000_000_000
_EVENTS = 8192  # in all
_EACH = 1024  # of one container
_GIVEN_UP = 4096


class _Queue:
    """One container's events. `until_ns`: then they go on as they are."""

    __slots__ = ("events", "until_ns")

    def __init__(self, until_ns: int) -> None:
        self.events: deque[Identified] = deque()
        self.until_ns = until_ns


class Waiting:
    """Holds events back, never reorders those of one container. Times are those of the caller, in nanoseconds.

    `held` is how many wait now; `expired` and `overflowed` count those that waited in vain.

    A container's first event starts its time; what comes after that time goes on at once, known or not.
    """

    def __init__(self, patience_ns: int = PATIENCE_NS, events: int = _EVENTS, each: int = _EACH) -> None:
        self._patience_ns = patience_ns
        self._most = events
        self._each = each
        self._queues: OrderedDict[str, _Queue] = OrderedDict()
        self._given_up: OrderedDict[str, None] = OrderedDict()
        self.held = 0
        self.overflowed = 0
        self.expired = 0

    def __len__(self) -> int:
        return self.held

    def __contains__(self, container_id: str) -> bool:
        return container_id in self._queues

    def containers(self) -> tuple[str, ...]:
        """Those events wait for."""
        return tuple(self._queues)

    def wants(self, identified: Identified) -> bool:
        """Whether this event has to wait: its container is not described, or earlier events of it still wait."""
        container = identified.container
        if container is None or (container.complete and container.id not in self._queues):
            return False
        return container.id not in self._given_up

    def hold(self, identified: Identified, now_ns: int) -> None:
        """Put an event behind the others of its container."""
        container = identified.container
        assert container is not None
        queue = self._queues.get(container.id)
        if queue is None:
            queue = self._queues[container.id] = _Queue(now_ns + self._patience_ns)
        queue.events.append(identified)
        self.held += 1

    def ready(self, now_ns: int, described: Callable[[str], bool]) -> Iterator[Identified]:
        """What goes on now, each container's events in order: described, out of time, or over the bounds."""
        for container_id, queue in list(self._queues.items()):
            known = described(container_id)
            crowded = len(queue.events) > self._each or self.held > self._most
            if known or crowded or now_ns >= queue.until_ns:
                yield from self._let_go(container_id, queue, known=known, crowded=crowded)

    def rest(self) -> Iterator[Identified]:
        """All of them; for the end of the process."""
        for container_id, queue in list(self._queues.items()):
            yield from self._let_go(container_id, queue, known=False, crowded=False)

    def _let_go(self, container_id: str, queue: _Queue, *, known: bool, crowded: bool) -> Iterator[Identified]:
        del self._queues[container_id]
        self.held -= len(queue.events)
        if not known:
            self._give_up(container_id)
            self.overflowed += len(queue.events) if crowded else 0
            self.expired += 0 if crowded else len(queue.events)
        yield from queue.events

    def _give_up(self, container_id: str) -> None:
        """Its time is used up: later events of it do not wait, and it is not worth its place for ever."""
        self._given_up[container_id] = None
        if len(self._given_up) > _GIVEN_UP:
            self._given_up.popitem(last=False)
