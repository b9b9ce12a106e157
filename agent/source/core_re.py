"""The CO-RE sensor: programs compiled at build time, fitted to the running kernel by libbpf."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.errors import SourceError
from agent.events import EventType, RawBatch
from agent.source.filter import CAUSES, Filter
from agent.source.hooks import Hooks, Way, find_security, way_of
from agent.source.libbpf import LIBRARY, KernelTypes, LibBpf
from agent.source.loading import LoadedObject, load
from agent.source.maps import Counters, Novelty, configure
from agent.source.port import BehaviourKey, Phase, ProbeState, ThrottleState
from agent.source.programs import PROGRAMS, STOOD_IN_FOR, Program, find_tracefs, group_of, missing_for
from agent.source.ring import Ring
from agent.source.throttle import LIMITS, UNLIMITED, Limit, Throttles

# bpf/include/compat.h: kernels with this function (6.2) follow pointers by plain loads, older ones by helper calls.
_PLAIN_LOADS = "bpf_rdonly_cast"
_MISSES_S = 5.0
_HELD = "held"  # a map of three megabytes that security hooks alone use
_OBJECT, OBJECT_HELPERS = "vedette.bpf.o", "vedette-helpers.bpf.o"


class CoReSource:
    """A `Source`. Sizes are fixed at start: ring_bytes a power of two of at least a page, filter_entries the
    behaviours the novelty filter can hold. agent_pid is not watched. cgroup_v1 None asks the machine.
    unfiltered lets known behaviours through too, a record for each, without limits. urgent_bytes: the ring of
    programs and calls. Also an `Upkeep`.
    """

    def __init__(
        self,
        *,
        ring_bytes: int = 8 << 20,
        urgent_bytes: int = 2 << 20,
        filter_entries: int = 65536,
        agent_pid: int | None = None,
        cgroup_v1: bool | None = None,
        unfiltered: bool = False,
        limits: Mapping[EventType, Limit] = LIMITS,
        pause_us: int = 2000,
        directory: Path = LIBRARY,
    ) -> None:
        self._sizes = {"ring": ring_bytes, "urgent": urgent_bytes, "novelty": filter_entries}
        self._limits = UNLIMITED if unfiltered else limits
        self._agent_pid = os.getpid() if agent_pid is None else agent_pid
        self._cgroup_v1 = pure_cgroup_v1() if cgroup_v1 is None else cgroup_v1
        self._pause_us, self._directory, self._unfiltered = pause_us, directory, unfiltered
        self._reading = threading.Lock()
        self._states: dict[str, ProbeState] = {}
        self._links: list[Any] = []
        self._rows: list[Program] = []
        self._loaded: list[Program] = []
        self._last_counters: Mapping[str, Mapping[str, int]] = {}
        self._misses: Mapping[str, int] = {}
        self._misses_due = 0.0
        self._way: Way = ""
        self._object: Any = None
        self._ring: Ring | None = None
        self._filter: Filter | None = None

    def start(self) -> None:
        """Load and attach. Raises: SourceError, with everything undone."""
        self._lib = LibBpf(self._directory)
        try:
            self._prepare()
            configure(self._lib, self._map("config"), self._agent_pid, self._cgroup_v1, self._unfiltered)
            self._counters = Counters(self._lib, self._map("counters"))
            self._novelty = Novelty(self._lib, self._map("novelty"))
            self._filter = Filter(self._lib, self._map("novelty"), self._sizes["novelty"])
            self._throttles = Throttles(self._lib, *(self._map(name) for name in ("limits", "budgets", "throttled")))
            self._throttles.set_limits(self._limits)
            self._ring = Ring(self._lib, self._map("ring"), self._map("urgent"), self._pause_us)
            self._attach()
        except SourceError:
            self.stop()
            raise

    def _prepare(self) -> None:
        """Everything before the maps can be used."""
        security = find_security(self._lib)
        with closing(KernelTypes(self._lib)) as types:
            path = self._directory / (_OBJECT if types.function(_PLAIN_LOADS) > 0 else OBJECT_HELPERS)
            programs, loaded = self._load(path, Hooks(types, security))
            hooks = {row.hook.partition(":")[2] for row in _security(programs) if row.function in loaded.refused}
            if {group_of(hook) for hook in hooks} & STOOD_IN_FOR:
                self._lib.bpf.bpf_object__close(loaded.pointer)  # others stand in for these
                programs, loaded = self._load(path, Hooks(types, security, hooks))
        self._object = loaded.pointer
        self._way = security.way
        self._rows = [program for program in programs if program.function not in loaded.refused]
        for program in programs:
            if reason := loaded.refused.get(program.function):
                text = f"the kernel refuses it ({reason}): {program.unseen}"
                self._states[program.name] = ProbeState(program.name, False, text)

    def read(self, timeout_s: float) -> RawBatch | None:
        """The next records; returns as soon as there are some. Raises: SourceError."""
        with self._reading:
            return self._ring.read(timeout_s) if self._ring else None

    def probes(self) -> Sequence[ProbeState]:
        """In the order of PROGRAMS; programs that stand in for another kernel's are left out."""
        return [self._states[program.name] for program in PROGRAMS if program.name in self._states]

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """As the port says; "lost_recursion": runs the kernel skipped because another program was running.

        "rearmed", "evicted", "forgotten": behaviours let go of by user space.
        """
        if self._object is None:
            return self._last_counters
        counters = self._counters.read()
        for causes in counters.values():
            causes.update(dict.fromkeys(("lost_recursion", *CAUSES), 0))
        for name, missed in self._recursion_misses().items():
            counters[name]["lost_recursion"] = missed
        for (kind, cause), count in self._filter.let_go.items() if self._filter else ():
            counters[kind.name.lower()][cause] = count
        return counters

    def _recursion_misses(self) -> Mapping[str, int]:
        """By class, at most five seconds old: one system call for each program."""
        now = time.monotonic()
        if now >= self._misses_due:
            self._misses_due, found = now + _MISSES_S, Counter[str]()
            for program in {program.function: program for program in self._loaded}.values():
                found[program.event.name.lower()] += self._lib.recursion_misses(self._program_fd(program))
            self._misses = found
        return self._misses

    def behaviours(self) -> Iterator[tuple[BehaviourKey, int]]:
        """As the port says, in batches of 4,096."""
        return self._novelty.items() if self._object is not None else iter(())

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        """As the port says. One system call for each key."""
        return self._filter.forget(keys) if self._filter else 0

    def sweep(
        self, due: Phase | None = None, *, crowded: bool = False, programs: Sequence[BehaviourKey] = ()
    ) -> list[tuple[BehaviourKey, int]]:
        """As the port says. Raises: SourceError."""
        return self._filter.sweep(due, crowded=crowded, programs=programs) if self._filter else []

    def folded(self, kind: EventType) -> int:
        """How often behaviours were seen that the filter let go of: with those it knows, all that ever entered it."""
        return self._filter.folded[kind] if self._filter else 0

    def throttled(self) -> list[ThrottleState]:
        """As the port says. Raises: SourceError."""
        return self._throttles.active() if self._object is not None else []

    def release(self) -> list[ThrottleState]:
        """As the port says. Raises: SourceError."""
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return self._throttles.release(now_ns) if self._object is not None else []

    def stop(self) -> None:
        """Detach and unload; waits for a read under way. Counters keep their last values, behaviours are gone."""
        if self._loaded:
            self._misses_due = 0.0
            self._last_counters = self.counters()
        self._detach()
        with self._reading:
            ring, self._ring = self._ring, None
            if ring:
                ring.close()
        if self._object is not None:
            self._lib.bpf.bpf_object__close(self._object)
            self._object = None
        self._free_filter()

    def _free_filter(self) -> None:
        table, self._filter = self._filter, None
        if table:
            table.close()

    def _load(self, path: Path, hooks: Hooks) -> tuple[list[Program], LoadedObject]:
        self._states.clear()
        programs = self._supported(hooks)
        rows = _security(programs)
        entries = {row.function: f"security_{row.hook.partition(':')[2]}" for row in rows}
        names = dict.fromkeys(program.function for program in programs)
        moved, idle = entries if hooks.security.way == "fentry" else {}, () if rows else (_HELD,)
        return programs, load(self._lib, path, self._sizes, names, entries=moved, idle=idle)

    def _supported(self, hooks: Hooks) -> list[Program]:
        """The programs whose needs the kernel fulfils; says of the others what is missing."""
        tracefs, supported = find_tracefs(self._lib), []
        for program in PROGRAMS:
            missing = missing_for(program, hooks, tracefs)
            if missing is None:
                supported.append(program)
            elif missing:
                self._states[program.name] = ProbeState(program.name, False, f"{missing}: {program.unseen}")
        return supported

    def _attach(self) -> None:
        for program in self._rows:
            link = self._link(program)
            reason = os.strerror(self._lib.ffi.errno)
            if link == self._lib.ffi.NULL:
                self._states[program.name] = ProbeState(program.name, False, f"{reason}: {program.unseen}")
            else:
                self._links.append(link)
                self._loaded.append(program)
                self._states[program.name] = ProbeState(program.name, True, "", way_of(program, self._way))
        if not self._links:
            raise SourceError("no program could be attached; `vedette probe` says what is missing")

    def _link(self, program: Program) -> Any:
        if program.hook.startswith("lsm:"):
            return self._lib.bpf.bpf_program__attach_trace(self._program(program))  # the same for LSM and fentry
        if not program.code:
            return self._lib.bpf.bpf_program__attach(self._program(program))
        category, name = program.hook.encode().split(b":")
        return self._lib.bpf.bpf_program__attach_tracepoint(self._program(program), category, name)

    def _detach(self) -> None:
        for link in self._links:
            self._lib.bpf.bpf_link__destroy(link)
        self._links.clear()

    def _program_fd(self, program: Program) -> int:
        return int(self._lib.bpf.bpf_program__fd(self._program(program)))

    def _program(self, program: Program) -> Any:
        return self._lib.bpf.bpf_object__find_program_by_name(self._object, program.function.encode())

    def _map(self, name: str) -> int:
        return int(self._lib.bpf.bpf_map__fd(self._lib.bpf.bpf_object__find_map_by_name(self._object, name.encode())))


def _security(programs: list[Program]) -> list[Program]:
    return [program for program in programs if program.hook.startswith("lsm:")]


def pure_cgroup_v1() -> bool:
    """Whether no process is in a v2 hierarchy: then containers are told apart by the pids controller."""
    return not any(line.startswith("0::") for line in Path("/proc/self/cgroup").read_text().splitlines())
