"""The sensor for kernels without BTF: the same C sources, compiled at start by BCC against this kernel's headers."""

import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from agent.errors import SourceError
from agent.source.bcc_cache import CACHE, ProgramCache, digest
from agent.source.bcc_load import attach_classic, attach_raw, compile_with_bcc, load, make_maps, open_object, with_maps
from agent.source.core_re import OBJECT_HELPERS, CoReSource
from agent.source.headers import check_headers
from agent.source.port import ProbeState
from agent.source.programs import PROGRAMS, Program, find_tracefs, missing_for

SOURCES = "vedette.bcc.c"
# "exit: move and extend sched_process_exit() tracepoint": from here on it says which thread is the last.
_EXIT_SAYS_LAST = (6, 16)
_NEEDS_BTF = "needs a kernel with BTF"


class Tracefs(NamedTuple):
    """What tracefs says of the tracepoints that BTF would describe."""

    root: Path | None
    release: str

    def parameters(self, tracepoint: str) -> int:
        """How many arguments it hands over, as far as a program asks; -1 where it does not exist."""
        if self.root is None or not any(self.root.glob(f"events/*/{tracepoint}/id")):
            return -1
        numbers = tuple(int(part) for part in re.findall(r"\d+", self.release)[:2])
        return 2 if tracepoint != "sched_process_exit" or numbers >= _EXIT_SAYS_LAST else 1

    def lacks(self, _: str) -> str:
        """Security hooks are found by BTF."""
        return _NEEDS_BTF


class BccSource(CoReSource):
    """A `Source`, with the options of `CoReSource`. Ready after some half a minute, after seconds from the second
    start on.

    find_headers gives the directory of the running kernel's headers, or refuses. cache: where compiled programs are
    kept, None for nowhere.
    """

    def __init__(
        self, *, find_headers: Callable[[], Path] = check_headers, cache: Path | None = CACHE, **options: Any
    ) -> None:
        super().__init__(**options)
        self._find_headers = find_headers
        self._cache = ProgramCache(cache)
        self._maps: dict[str, int] = {}
        self._fds: dict[str, int] = {}
        self._held: list[int] = []

    def stop(self) -> None:
        """As CoReSource."""
        super().stop()
        for fd in self._maps.values():
            os.close(fd)
        self._maps = {}

    def _prepare(self) -> None:
        """Refuse first, compile next, load last."""
        headers = self._find_headers()
        self._tracefs = find_tracefs(self._lib)
        self._object = open_object(self._lib, self._directory / OBJECT_HELPERS)
        self._maps = make_maps(self._lib, self._object, self._sizes)
        numbers = {name: number for number, name in enumerate(self._maps, 1)}
        fds = {number: self._maps[name] for name, number in numbers.items()}
        wanted = self._rows = self._wanted()
        functions = dict.fromkeys(program.function for program in wanted)
        sources = self._directory / SOURCES
        key = digest(_text(sources), functions, numbers, headers)
        compiled = self._cache.programs(key, lambda: compile_with_bcc(sources, functions, numbers))
        for program in wanted:
            self._load_one(program, with_maps(compiled[program.function], fds))

    def _wanted(self) -> list[Program]:
        types = Tracefs(self._tracefs, platform.release())
        found = []
        for program in PROGRAMS:
            missing = _NEEDS_BTF if program.hook.split(":")[0] not in ("btf", "syscalls") else None
            missing = missing or missing_for(program, types, self._tracefs)
            if missing is None:
                found.append(program)
            elif missing:
                self._states[program.name] = ProbeState(program.name, False, f"{missing}: {program.unseen}")
        return found

    def _load_one(self, program: Program, code: bytes) -> None:
        if program.function in self._fds:
            return
        try:
            self._fds[program.function] = load(
                self._lib, program.function, code, classic=program.hook.startswith("syscalls:")
            )
        except SourceError as error:
            self._states[program.name] = ProbeState(program.name, False, f"{error}: {program.unseen}")

    def _attach(self) -> None:
        for program in self._rows:
            if program.function not in self._fds:
                continue
            try:
                self._held.append(self._attach_one(program, self._fds[program.function]))
            except SourceError as error:
                self._states[program.name] = ProbeState(program.name, False, f"{error}: {program.unseen}")
            else:
                self._loaded.append(program)
                self._states[program.name] = ProbeState(program.name, True)
        if not self._held:
            raise SourceError("no program could be attached; `vedette probe` says what is missing")

    def _attach_one(self, program: Program, fd: int) -> int:
        kind, name = program.hook.split(":")
        if kind == "btf":
            return attach_raw(self._lib, name, fd)
        assert self._tracefs is not None  # or it would have been left out
        return attach_classic(self._lib, self._tracefs, name, fd)

    def _detach(self) -> None:
        for fd in (*self._held, *self._fds.values()):
            os.close(fd)
        self._held.clear()
        self._fds.clear()

    def _program_fd(self, program: Program) -> int:
        return self._fds.get(program.function, -1)

    def _map(self, name: str) -> int:
        return self._maps[name]


def _text(sources: Path) -> str:
    try:
        return sources.read_text()
    except OSError as error:
        raise SourceError(f"{sources}: {error.strerror}: run `make build`") from None
