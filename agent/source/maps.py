"""The sensor's maps, read from user space: counters, the novelty filter, the configuration."""

from collections.abc import Iterator
from struct import Struct
from typing import Any

from agent.decode import layout
from agent.events import EventType, FileId
from agent.source.libbpf import LibBpf
from agent.source.port import BehaviourKey

_KEY = Struct(layout.EV_NOVELTY_KEY_FORMAT)
_CONFIG = Struct("=III")  # struct config in bpf/include/maps.h
_BATCH = 4096
_ENOENT = 2
# enum ev_counter, by the names the contract gives them
_CAUSES = {
    name.removeprefix("CTR_").lower(): value
    for name, value in vars(layout).items()
    if name.startswith("CTR_") and name != "CTR_MAX"
}

_CLASSES = {kind.name.lower(): kind * layout.CTR_MAX for kind in EventType}
_COUNTERS = (max(EventType) + 1) * layout.CTR_MAX  # as many as the map has, see bpf/include/maps.h


class Counters:
    """Class → cause → count, summed over CPUs. Not thread-safe: it reads into buffers of its own."""

    def __init__(self, lib: LibBpf, fd: int) -> None:
        self._lib, self._fd = lib, fd
        self._cpus = lib.call(lib.bpf.libbpf_num_possible_cpus(), "cannot count the CPUs")
        self._keys = lib.ffi.new("uint32_t[]", _COUNTERS)
        self._values = lib.ffi.new("uint64_t[]", _COUNTERS * self._cpus)
        self._place, self._count = lib.ffi.new("uint64_t *"), lib.ffi.new("uint32_t *")

    def read(self) -> dict[str, dict[str, int]]:
        """Every class with every cause, zeros included; classes are EventType names in lower case."""
        totals = self._totals()
        return {
            name: {cause: totals[first + value] for cause, value in _CAUSES.items()} for name, first in _CLASSES.items()
        }

    def _totals(self) -> list[int]:
        """All counters in the order of their index: arrays are walked from the first to the last."""
        self._count[0] = _COUNTERS
        self._lib.bpf.bpf_map_lookup_batch(
            self._fd, self._lib.ffi.NULL, self._place, self._keys, self._values, self._count, self._lib.ffi.NULL
        )
        if self._count[0] != _COUNTERS:  # batches of per-CPU arrays came with Linux 5.13
            return [self._one(index) for index in range(_COUNTERS)]
        flat: Any = self._lib.ffi.unpack(self._values, _COUNTERS * self._cpus)
        return [sum(column) for column in zip(*(flat[cpu :: self._cpus] for cpu in range(self._cpus)), strict=True)]

    def _one(self, index: int) -> int:
        self._keys[0] = index
        self._lib.bpf.bpf_map_lookup_elem(self._fd, self._keys, self._values)
        return sum(self._values[cpu] for cpu in range(self._cpus))


class Novelty:
    """The novelty filter's keys and how often each was seen, summed over CPUs."""

    def __init__(self, lib: LibBpf, fd: int) -> None:
        self._lib, self._fd = lib, fd
        self._cpus = lib.call(lib.bpf.libbpf_num_possible_cpus(), "cannot count the CPUs")

    def items(self) -> Iterator[tuple[BehaviourKey, int]]:
        """Every behaviour once; those added or removed meanwhile may or may not be among them."""
        ffi = self._lib.ffi
        keys = ffi.new("char[]", _BATCH * layout.EV_NOVELTY_KEY_SIZE)
        values = ffi.new("uint64_t[]", _BATCH * self._cpus)
        place, count, first, more = ffi.new("uint64_t *"), ffi.new("uint32_t *"), True, True
        while more:
            count[0] = _BATCH
            begin = ffi.NULL if first else place
            result = self._lib.bpf.bpf_map_lookup_batch(self._fd, begin, place, keys, values, count, ffi.NULL)
            if result not in (0, -_ENOENT):
                self._lib.call(result, "cannot read the novelty filter")
            first, more = False, result == 0
            yield from self._rows(keys, values, count[0])

    def _rows(self, keys: Any, values: Any, count: int) -> Iterator[tuple[BehaviourKey, int]]:
        raw = bytes(self._lib.ffi.buffer(keys, count * layout.EV_NOVELTY_KEY_SIZE))
        counts: Any = self._lib.ffi.unpack(values, count * self._cpus) if count else []
        for i, row in enumerate(_KEY.iter_unpack(raw)):
            cgroup_id, ino, dev, generation, thing, kind, _ = row
            key = BehaviourKey(cgroup_id, EventType(kind), FileId(ino, dev, generation), thing)
            yield key, sum(counts[i * self._cpus : (i + 1) * self._cpus])


def configure(lib: LibBpf, fd: int, agent_tgid: int, cgroup_v1: bool, unfiltered: bool = False) -> None:
    """Write struct config. Raises: SourceError."""
    zero = lib.ffi.new("uint32_t *", 0)
    value = _CONFIG.pack(agent_tgid, cgroup_v1, unfiltered)
    lib.call(lib.bpf.bpf_map_update_elem(fd, zero, value, 0), "cannot write the sensor's configuration")
