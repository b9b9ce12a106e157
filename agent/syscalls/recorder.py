"""From what the kernel saw of each cgroup to what each workload calls."""

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from agent.source.syscalls import Made
from agent.syscalls.store import RecordingStore
from agent.syscalls.tables import Table, name_of, table_of
from agent.workload import Container, Workload
from detection.baseline.recording import Recording

Inhabitants = Iterable[tuple[Container, Workload, tuple[int, ...]]]
Key = tuple[str, str]
_NONE: frozenset[int] = frozenset()


class Calls(Protocol):
    """What cgroups called (agent.source.syscalls.CallSource)."""

    def made(self, cgroup_id: int) -> Made:
        """So far."""

    def forget(self, cgroup_id: int) -> None:
        """It is gone."""

    def faults(self) -> tuple[int, int]:
        """Calls that were not recorded: no room, number too high."""


@dataclass(slots=True)
class _Life:
    """A container while it is recorded. `fresh`: it began in sight, in the open slot."""

    key: Key
    fresh: bool
    cgroups: set[int] = field(default_factory=set)
    native: frozenset[int] = _NONE
    compat: frozenset[int] = _NONE
    novel: bool = False


def _any(container: Container, _: Workload) -> bool:
    return not container.sandbox


class CallRecorder:
    """Call `look` about once a second, `close_slot` once a slot. Containers of which `wanted` is false are left out."""

    def __init__(
        self,
        calls: Calls,
        store: RecordingStore,
        slot_s: float,
        wanted: Callable[[Container, Workload], bool] | None = None,
        machine: str = "",
    ) -> None:
        self._calls, self._store, self._slot_s = calls, store, slot_s
        self._wanted = wanted or _any
        self._machine = machine or platform.machine()
        self._table = table_of(self._machine) or Table("", {}, "", {})
        self._lives: dict[str, _Life] = {}
        self._recordings: dict[Key, Recording] = {}
        self._before: set[str] = set()  # containers that were there, described or not, when recording began
        self._begun = False

    def look(self, inhabitants: Inhabitants, now_ns: int) -> None:
        """Take in what the living containers called. The first look says who was there before."""
        living = set()
        for container, workload, cgroups in inhabitants:
            if not self._begun:
                self._before.add(container.id)
            if not container.complete or not self._wanted(container, workload):
                continue
            living.add(container.id)
            life = self._lives.get(container.id)
            if life is None:
                life = self._begin(container.id, (workload.key, workload.version), now_ns)
            life.cgroups.update(cgroups)
            self._take(life, now_ns)
        self._begun = True
        for gone in self._lives.keys() - living:
            self._end(gone, now_ns)

    def close_slot(self) -> list[Recording]:
        """Count the slot for every workload that ran in it, save, and give what is recorded."""
        by_workload: dict[Key, list[_Life]] = {}
        for life in self._lives.values():
            by_workload.setdefault(life.key, []).append(life)
        for key, lives in by_workload.items():
            recording = self._recordings[key]
            self._count(recording, recording.startup, [life for life in lives if life.fresh])
            steady = [life for life in lives if not life.fresh]
            recording.slots += bool(steady)
            recording.seconds += int(self._slot_s * len(steady))
            self._count(recording, recording.steady, steady)
        for recording in self._recordings.values():
            recording.incomplete = self._incomplete(recording)
            self._store.save(recording)
        for life in self._lives.values():
            life.fresh = life.novel = False
        return list(self._recordings.values())

    def _count(self, recording: Recording, windows: list[list[int]], lives: list[_Life]) -> None:
        if lives:
            recording.count(windows, any(life.novel for life in lives))

    def _begin(self, container_id: str, key: Key, now_ns: int) -> _Life:
        recording = self._recordings.get(key)
        if recording is None:
            recording = self._recordings[key] = self._store.take_up(*key, self._machine)
            recording.first_ns = recording.first_ns or now_ns
        fresh = container_id not in self._before
        recording.containers += 1
        recording.starts += fresh
        life = self._lives[container_id] = _Life(key, fresh)
        return life

    def _take(self, life: _Life, now_ns: int) -> None:
        made = [self._calls.made(cgroup) for cgroup in life.cgroups]
        native, compat = _NONE.union(*(m.native for m in made)), _NONE.union(*(m.compat for m in made))
        recording = self._recordings[life.key]
        recording.last_ns = now_ns
        if (native, compat) == (life.native, life.compat):
            return
        life.native, life.compat = native, compat
        life.novel |= recording.add(
            (name_of(self._table.native, n) for n in native), (name_of(self._table.compat, n) for n in compat)
        )

    def _end(self, container_id: str, now_ns: int) -> None:
        """Its last calls, and its slot: a container that lived for less than one was a start all the same."""
        life = self._lives[container_id]
        self._take(life, now_ns)
        del self._lives[container_id]
        recording = self._recordings[life.key]
        self._count(recording, recording.startup if life.fresh else recording.steady, [life])
        for cgroup in life.cgroups:
            self._calls.forget(cgroup)

    def _incomplete(self, recording: Recording) -> str:
        unplaced, beyond = self._calls.faults()
        if unplaced:
            return "too many cgroups ran at once: some calls were not recorded"
        if beyond:
            return "calls above number 511 were made on this machine and not recorded"
        return recording.incomplete
