"""The ring's reader: many records at a time, copied in C while Python does something else."""

import time

from agent.errors import SourceError
from agent.events import RawBatch
from agent.source.libbpf import LibBpf

_BUFFER_BYTES = 256 * 1024


class Ring:
    """The one consumer of both rings: the flood's and the urgent.

    `read` belongs to one thread, and gives records in the order of their times (bpf/ring/ring.c says how exactly).

    pause_us: after the first record came, how long to let others gather. It caps the wake-ups at 1/pause
    whatever the load, and adds at most that much to an event's way.
    """

    def __init__(self, lib: LibBpf, flood_fd: int, urgent_fd: int, pause_us: int) -> None:
        self._lib, self._pause_us = lib, pause_us
        self._ring = lib.ring.vedette_ring_new(flood_fd, urgent_fd)
        if self._ring == lib.ffi.NULL:
            raise SourceError("cannot map the ring buffers: they need CAP_BPF and, before Linux 5.11, a memlock limit")
        self._buffer = lib.ffi.new("char[]", _BUFFER_BYTES)
        self._records = lib.ffi.new("unsigned int *")

    def read(self, timeout_s: float) -> RawBatch | None:
        """Wait for records up to timeout_s; None when none came. Raises: SourceError."""
        used = self._lib.ring.vedette_ring_read(
            self._ring, self._buffer, _BUFFER_BYTES, int(timeout_s * 1000), self._pause_us, self._records
        )
        if self._lib.call(used, "cannot read the ring buffer") == 0:
            return None
        data = bytes(self._lib.ffi.buffer(self._buffer, used))
        return RawBatch(data, self._records[0], boot_to_unix_ns())

    def close(self) -> None:
        """Unmap the ring; `read` must not be running."""
        self._lib.ring.vedette_ring_free(self._ring)


def boot_to_unix_ns() -> int:
    """What to add to a CLOCK_BOOTTIME stamp to get Unix time, now."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
