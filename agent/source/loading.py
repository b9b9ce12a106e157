"""Loading the CO-RE object: what a kernel refuses is left out, program by program, and the rest watches."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from agent.errors import SourceError
from agent.source.libbpf import LibBpf

# libbpf 1.1's words, see bpf_object_load_prog, libbpf_prepare_prog_load and bpf_object__create_maps in its libbpf.c.
_REFUSED = re.compile(r"^libbpf: prog '([^']+)': BPF program load failed: (.*)$", re.MULTILINE)
_MENTIONED = re.compile(r"^libbpf: prog '([^']+)': (.*)$", re.MULTILINE)
_MAP = re.compile(r"^libbpf: map '([^']+)': failed to create: (.*)$", re.MULTILINE)
_LOG_END = "-- END PROG LOAD LOG --"
_NO_REASON = ("processed ", "verification time ", "-- ", "libbpf: ")  # lines around the verifier's reason
_REASON_MAX = 200
_LOADS_MAX = 200  # far above the number of programs and maps together
_TRACING, _AT_ENTRY = 26, 24  # BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY
_BLAMED_MAX = 3  # after so many failed loads it is cheaper to try each program alone


class LoadedObject(NamedTuple):
    """`pointer` is libbpf's; the caller closes it. `refused` maps programs to the kernel's reason."""

    pointer: Any
    refused: Mapping[str, str]


class _Plan:
    """What is left out so far, and why."""

    def __init__(
        self, lib: LibBpf, path: Path, sizes: Mapping[str, int], names: Iterable[str], entries: Mapping[str, str]
    ) -> None:
        self.lib, self.path, self.sizes = lib, path, sizes
        self.names, self.entries = tuple(names), entries
        self.refused: dict[str, str] = {}
        self.maps: dict[str, str] = {}

    def open(self, wanted: Iterable[str]) -> Any:
        """A fresh object: libbpf loads one only once, whether it works or not. Raises: SourceError."""
        bpf, ffi = self.lib.bpf, self.lib.ffi
        self.lib.start_log()
        pointer = bpf.bpf_object__open_file(str(self.path).encode(), ffi.NULL)
        if pointer == ffi.NULL:
            raise SourceError(f"cannot open {self.path}: run `make build`\n{self.lib.log()}")
        program, enabled = bpf.bpf_object__next_program(pointer, ffi.NULL), set(wanted)
        while program != ffi.NULL:
            name: Any = ffi.string(bpf.bpf_program__name(program))
            bpf.bpf_program__set_autoload(program, name.decode() in enabled)
            if name.decode() in enabled and (function := self.entries.get(name.decode())):
                self._move(program, function)
            program = bpf.bpf_object__next_program(pointer, program)
        for map_name, entries in self.sizes.items():
            self.lib.call(bpf.bpf_map__set_max_entries(self._map(pointer, map_name), entries), f"size of {map_name}")
        for map_name in self.maps:
            bpf.bpf_map__set_autocreate(self._map(pointer, map_name), False)
        return pointer

    def _move(self, program: Any, function: str) -> None:
        """From a security hook to the entry of a kernel function with the same arguments."""
        bpf = self.lib.bpf
        bpf.bpf_program__set_type(program, _TRACING)
        bpf.bpf_program__set_expected_attach_type(program, _AT_ENTRY)
        self.lib.call(bpf.bpf_program__set_attach_target(program, 0, function.encode()), f"cannot find {function}")

    def _map(self, pointer: Any, name: str) -> Any:
        return self.lib.bpf.bpf_object__find_map_by_name(pointer, name.encode())

    def wanted(self) -> list[str]:
        """The programs not refused so far."""
        return [name for name in self.names if name not in self.refused]


def load(
    lib: LibBpf,
    path: Path,
    sizes: Mapping[str, int],
    programs: Iterable[str],
    *,
    entries: Mapping[str, str] = MappingProxyType({}),
    idle: Iterable[str] = (),
) -> LoadedObject:
    """Load the named programs of an object, as many of them as the kernel takes.

    sizes: entries of maps; a kernel that refuses one of these maps refuses the sensor. entries: of LSM programs, the
    kernel functions at whose entry they are to run instead. idle: maps nobody will use. Each refusal costs one more
    load of all the rest, many together one load of each program alone. Raises: SourceError with libbpf's words where
    nothing is left to load.
    """
    plan = _Plan(lib, path, sizes, programs, entries)
    plan.maps = dict.fromkeys(idle, "")
    for attempt in range(_LOADS_MAX):
        pointer = plan.open(plan.wanted())
        result = lib.bpf.bpf_object__load(pointer)
        if result == 0:
            return LoadedObject(pointer, plan.refused)
        lib.bpf.bpf_object__close(pointer)
        learned = _learn(plan, lib.log())
        if not learned or attempt == _BLAMED_MAX:
            learned |= _try_each(plan)
        if not learned or not plan.wanted():
            break
    raise SourceError(
        f"the kernel refuses the sensor's programs: {os.strerror(-result)}; "
        f"`vedette probe` says what is missing\n{lib.log()}"
    )


def _learn(plan: _Plan, log: str) -> bool:
    """Take what libbpf blames out of the plan; whether there was anything new."""
    maps = {name: reason for name, reason in _MAP.findall(log) if name not in plan.sizes and name not in plan.maps}
    plan.maps |= maps
    blamed = _REFUSED.findall(log) or _MENTIONED.findall(log)[-1:]
    programs = {name: _reason(log, error) for name, error in blamed if name in plan.wanted()}
    plan.refused |= programs
    return bool(maps or programs)


def _try_each(plan: _Plan) -> bool:
    """Load every program left alone: for an error that names none of them. Whether any was refused."""
    before = len(plan.refused)
    for name in plan.wanted():
        pointer = plan.open([name])
        result = plan.lib.bpf.bpf_object__load(pointer)
        plan.lib.bpf.bpf_object__close(pointer)
        if result:
            plan.refused[name] = _reason(plan.lib.log(), os.strerror(-result))
    return len(plan.refused) > before


def _reason(log: str, error: str) -> str:
    """The verifier's last words, or the error where it said none; one line."""
    said = log[: log.rfind(_LOG_END)].splitlines() if _LOG_END in log else []
    line = next((line for line in reversed(said) if line.strip() and not line.startswith(_NO_REASON)), error)
    return " ".join(line.split())[:_REASON_MAX]
