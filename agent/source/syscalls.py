"""The recorder of system calls in the kernel: a program at every call, attached only while somebody records."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from agent.errors import SourceError
from agent.source.core_re import pure_cgroup_v1
from agent.source.libbpf import LIBRARY, LibBpf
from agent.source.loading import load

_OBJECT = "syscalls.bpf.o"
# The last one begins to record: when the others already tell who is a stranger in a cgroup.
_PROGRAMS = ("call_moved", "call_forked", "call_replaced", "call_ended", "call_made")
_CALLS = 512  # of each table, see bpf/syscalls.bpf.c
_UNPLACED, _BEYOND = 0, 1


class Made(NamedTuple):
    """Numbers of the calls a cgroup made since recording began: of the native table, and of the 32-bit one."""

    native: frozenset[int]
    compat: frozenset[int]


class CallSource:
    """While it is started each system call on the machine costs some 0.2 µs more. Not thread-safe."""

    def __init__(self, directory: Path = LIBRARY) -> None:
        self._directory = directory
        self._object: Any = None
        self._links: list[Any] = []

    def start(self) -> None:
        """Load and attach. Raises: SourceError, with everything undone."""
        self._lib = LibBpf(self._directory)
        loaded = load(self._lib, self._directory / _OBJECT, {}, _PROGRAMS)
        self._object = loaded.pointer
        bpf, ffi = self._lib.bpf, self._lib.ffi
        self._key, self._number = ffi.new("uint64_t *"), ffi.new("uint32_t *", 0)
        self._value = ffi.new("unsigned char[]", 2 * _CALLS)
        self._seen, self._faults = self._map("seen"), self._map("faults")
        setup = ffi.new("uint32_t[2]", [pure_cgroup_v1(), _host_mount_namespace()])  # struct setup
        try:
            self._lib.call(
                bpf.bpf_map_update_elem(self._map("setup"), self._number, setup, 0), "cannot set up recording"
            )
            for name in _PROGRAMS:
                self._attach(name, loaded.refused.get(name, ""))
        except SourceError:
            self.stop()
            raise

    def made(self, cgroup_id: int) -> Made:
        """What processes of this cgroup called so far."""
        self._key[0] = cgroup_id
        if self._object is None or self._lib.bpf.bpf_map_lookup_elem(self._seen, self._key, self._value):
            return Made(frozenset(), frozenset())
        raw = bytes(self._lib.ffi.buffer(self._value))
        return Made(_numbers(raw[:_CALLS]), _numbers(raw[_CALLS:]))

    def forget(self, cgroup_id: int) -> None:
        """The cgroup is gone: make room."""
        self._key[0] = cgroup_id
        if self._object is not None:
            self._lib.bpf.bpf_map_delete_elem(self._seen, self._key)

    def faults(self) -> tuple[int, int]:
        """Calls of cgroups for which there was no room, and calls above the last number that is recorded."""
        return self._fault(_UNPLACED), self._fault(_BEYOND)

    def stop(self) -> None:
        """Detach and unload."""
        for link in reversed(self._links):
            self._lib.bpf.bpf_link__destroy(link)
        self._links.clear()
        if self._object is not None:
            self._lib.bpf.bpf_object__close(self._object)
        self._object = None

    def _attach(self, name: str, refused: str) -> None:
        link = self._lib.ffi.NULL
        if not refused:
            program = self._lib.bpf.bpf_object__find_program_by_name(self._object, name.encode())
            link = self._lib.bpf.bpf_program__attach(program)
        if link == self._lib.ffi.NULL:
            why = refused or os.strerror(self._lib.ffi.errno)
            raise SourceError(f"system calls cannot be recorded on this kernel: {name}: {why}")
        self._links.append(link)

    def _fault(self, which: int) -> int:
        if self._object is None:
            return 0
        self._number[0] = which
        self._lib.bpf.bpf_map_lookup_elem(self._faults, self._number, self._value)
        return int.from_bytes(bytes(self._lib.ffi.buffer(self._value, 8)), "little")

    def _map(self, name: str) -> int:
        return int(self._lib.bpf.bpf_map__fd(self._lib.bpf.bpf_object__find_map_by_name(self._object, name.encode())))


def _host_mount_namespace() -> int:
    """Its number; 0 where that cannot be read, as in a container of its own: then set-up is recorded, too."""
    try:
        return Path("/proc/1/ns/mnt").stat().st_ino
    except OSError:
        return 0


def _numbers(seen: bytes) -> frozenset[int]:
    return frozenset(number for number, byte in enumerate(seen) if byte)
