"""Who was held back by the kernel's budgets, since when and how much: for findings, profiles and the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from agent.events import EventType, Throttle
from agent.source.port import ThrottleState
from agent.workload import Identified, Workload

_LIMIT = 1024
_AFTER_NS = 1_000_000_000


class Scope(NamedTuple):
    """What the kernel holds back: records of one class of one cgroup."""

    cgroup_id: int
    type: EventType


@dataclass(frozen=True, slots=True)
class ThrottleEntry:
    """What was held back of one class of one cgroup since the sensor started. Times are Unix nanoseconds.

    `times` counts beginnings; `held_back` is exact once it ended; `active_since_ns` is 0 when it is not held back now.
    Container and workload are "" where they were not known.
    """

    container_id: str
    workload: str
    behaviour: str
    times: int
    held_back: int
    active_since_ns: int


@dataclass(slots=True)
class _Held:
    entry: ThrottleEntry
    workload: Workload | None
    ended_ns: int = 0


class Throttling:
    """Bounded: beyond `limit` scopes the one that ended first is forgotten, counted in `forgotten`."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._held: dict[Scope, _Held] = {}
        self.forgotten = 0

    def noted(self, event: Throttle, identified: Identified) -> None:
        """The kernel's word that it begins or ended."""
        scope = Scope(event.cgroup_id, event.type)
        held = self._of(scope)
        if identified.container is not None or not held.entry.workload:
            container_id = identified.container.id if identified.container is not None else ""
            held.entry = replace(held.entry, container_id=container_id, workload=identified.workload.key)
            held.workload = identified.workload
        if event.stop:
            self._end(held, event.held_back, event.head.time_ns)
        else:
            self._begin(held, event.since_ns)

    def seen(self, states: list[ThrottleState], boot_to_unix_ns: int) -> None:
        """What the kernel says stands: whose beginning was not told, is known from here."""
        for state in states:
            self._begin(self._of(Scope(state.cgroup_id, state.type)), state.since_ns + boot_to_unix_ns)

    def released(self, states: list[ThrottleState], now_ns: int) -> None:
        """Those that fell silent and are over it."""
        for state in states:
            self._end(self._of(Scope(state.cgroup_id, state.type)), state.held_back, now_ns)

    def is_lossy(self, cgroup_id: int, kind: EventType, container_id: str, time_ns: int) -> bool:
        """Whether this class was held back around this time, in the cgroup or elsewhere in its container."""
        if not self._held:
            return False
        return any(
            scope.type == kind
            and (scope.cgroup_id == cgroup_id or (container_id and held.entry.container_id == container_id))
            and (held.entry.active_since_ns or time_ns < held.ended_ns + _AFTER_NS)
            for scope, held in self._held.items()
        )

    def active(self) -> Iterator[tuple[EventType, Workload | None]]:
        """Classes and workloads held back now."""
        return ((scope.type, held.workload) for scope, held in self._held.items() if held.entry.active_since_ns)

    def entries(self) -> tuple[ThrottleEntry, ...]:
        """For the ledger."""
        return tuple(held.entry for held in self._held.values())

    def _of(self, scope: Scope) -> _Held:
        held = self._held.get(scope)
        if held is None:
            self._make_room()
            held = self._held[scope] = _Held(ThrottleEntry("", "", scope.type.name.lower(), 0, 0, 0), None)
        return held

    def _make_room(self) -> None:
        if len(self._held) >= self._limit:
            del self._held[min(self._held, key=lambda scope: self._held[scope].ended_ns)]
            self.forgotten += 1

    def _begin(self, held: _Held, since_ns: int) -> None:
        if not held.entry.active_since_ns and since_ns > held.ended_ns:
            held.entry = replace(held.entry, times=held.entry.times + 1, active_since_ns=since_ns)

    def _end(self, held: _Held, held_back: int, now_ns: int) -> None:
        if not held.entry.active_since_ns:  # its beginning was lost
            held.entry = replace(held.entry, times=held.entry.times + 1)
        held.entry = replace(held.entry, held_back=held.entry.held_back + held_back, active_since_ns=0)
        held.ended_ns = now_ns
