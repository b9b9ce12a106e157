"""The novelty filter from user space: what grew, what is let go so that it is reported again, what had to make room."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import IntEnum
from struct import Struct
from typing import Any

from agent.decode import layout
from agent.errors import SourceError
from agent.events import EventType, FileId
from agent.source.libbpf import LibBpf
from agent.source.port import BehaviourKey, Phase

_KEY = Struct(layout.EV_NOVELTY_KEY_FORMAT)
_ROW = Struct(layout.EV_NOVELTY_KEY_FORMAT + "QII")  # struct vedette_row in bpf/ring/filter.c
_CROWDED, _ROOMY = 0.9, 0.75  # of the filter's entries: above the first, cold ones go until the second


class _Gone(IntEnum):
    """enum gone in bpf/ring/filter.c."""

    STAYS = 0
    REARMED = 1
    EVICTED = 2


_KINDS = {int(kind): kind for kind in EventType}
CAUSES = ("rearmed", "evicted", "forgotten")  # why behaviours are let go of


class Filter:
    """The kernel's filter. Not thread-safe.

    A pass over 65,536 behaviours takes some 30 ms, most of it in the kernel; only behaviours whose count changed are
    made Python objects. What was let go is in `let_go`, by class and cause ("rearmed", "evicted", "forgotten"), and
    its counts, which no behaviour carries any more, in `folded`.
    """

    def __init__(self, lib: LibBpf, fd: int, entries: int) -> None:
        self._lib, self._fd, self._entries = lib, fd, entries
        self._cpus = lib.call(lib.bpf.libbpf_num_possible_cpus(), "cannot count the CPUs")
        self._known = lib.ring.vedette_filter_new(fd, entries, self._cpus, secrets.randbits(64))
        if self._known == lib.ffi.NULL:
            raise SourceError(
                "no memory for the novelty filter's table: give the agent more, or the filter fewer entries"
            )
        self.let_go: Counter[tuple[EventType, str]] = Counter()
        self.folded: Counter[EventType] = Counter()

    def sweep(
        self, due: Phase | None = None, *, crowded: bool = False, programs: Sequence[BehaviourKey] = ()
    ) -> list[tuple[BehaviourKey, int]]:
        """Behaviours whose count changed since the last sweep, and those let go, with their last count.

        due: the part that is to be reported again; and whatever has the cgroup, program and type of one of `programs`.
        crowded: the filter was found full. Where it is full or nearly so the coldest go: unused for longest, those
        seen only once a minute earlier. Raises: SourceError.
        """
        rows, stay = self._pass(due, programs=programs)
        changed = list(self._behaviours(rows))
        if crowded or stay > self._entries * _CROWDED:
            surplus = max(stay - int(self._entries * _ROOMY), self._entries // 8)
            rows, _ = self._pass(None, evict=surplus)
            changed += self._behaviours(rows)
        return changed

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        """Let go of these; how many were there."""
        values = self._lib.ffi.new("uint64_t[]", self._cpus)
        removed = 0
        for key in keys:
            raw = _pack(key)
            if self._lib.bpf.bpf_map_lookup_and_delete_elem(self._fd, raw, values) == 0:
                self.folded[key.type] += sum(values)
            elif self._lib.bpf.bpf_map_delete_elem(self._fd, raw) != 0:
                continue
            self.let_go[key.type, "forgotten"] += 1
            removed += 1
        return removed

    def close(self) -> None:
        """Free the table; the map itself belongs to the loaded object."""
        self._lib.ring.vedette_filter_free(self._known)

    def _pass(self, due: Phase | None, evict: int = 0, programs: Sequence[BehaviourKey] = ()) -> tuple[bytes, int]:
        """Rows of one pass, and how many behaviours stay."""
        ffi, ring = self._lib.ffi, self._lib.ring
        coldest = ring.vedette_filter_coldest(self._known, evict) if evict else 0
        phase = due or Phase(0, 0)
        wanted = ffi.new("char[]", b"".join(map(_pack, programs)))
        what = ffi.new("struct vedette_pass *", (int(time.monotonic()), *phase, coldest, evict, wanted, len(programs)))
        rows, stay = self._room(), ffi.new("uint32_t *")
        room = ffi.cast("struct vedette_row *", rows)
        n = self._lib.call(
            ring.vedette_filter_pass(self._known, what, room, self._entries, stay), "cannot read the novelty filter"
        )
        return bytes(ffi.buffer(rows, n * _ROW.size)), stay[0]

    def _room(self) -> Any:
        """Memory for a row of every behaviour; only the pages written to are ever there."""
        return self._lib.ffi.new_allocator(should_clear_after_alloc=False)("char[]", self._entries * _ROW.size)

    def _behaviours(self, rows: bytes) -> Iterator[tuple[BehaviourKey, int]]:
        for cgroup_id, ino, dev, generation, thing, kind, _, count, gone, _ in _ROW.iter_unpack(rows):
            event_type = _KINDS[kind]
            if gone:
                self.let_go[event_type, _Gone(gone).name.lower()] += 1
                self.folded[event_type] += count
            yield BehaviourKey(cgroup_id, event_type, FileId(ino, dev, generation), thing), count


def _pack(key: BehaviourKey) -> bytes:
    return _KEY.pack(key.cgroup_id, *key.exe, key.object, key.type, 0)
