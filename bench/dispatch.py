"""What each way to see a system call costs: the calls it watches, and all the others (docs/adr/0013)."""

import json
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from agent.source.libbpf import LibBpf
from bench.loads import BUILD, ROOT
from bench.machine import Group

_COUNT = 400_000
_ROUNDS = 9
_DISTURBED = 1.15  # a base this much above the lowest had company
_CALLS = ("getppid", "chroot")  # not watched, watched
_CHROOT = 161


class Way(NamedTuple):
    """Programs attached together. `handler` fills the table of calls with this program."""

    name: str
    programs: tuple[str, ...]
    handler: str = ""


class Comparison(NamedTuple):
    """One round: what a call costs alone, and what a way adds, in nanoseconds."""

    base_ns: float
    added_ns: float


WAYS = (
    Way("classic, exit", ("classic_on_exit",)),
    Way("classic, enter and exit", ("classic_on_enter", "classic_on_exit")),
    Way("raw sys_exit, empty", ("raw_empty",)),
    Way("raw sys_exit, comparing", ("raw_compare",)),
    Way("raw sys_exit, table of calls", ("raw_table",), "raw_handler"),
)


def report() -> str:
    """Nanoseconds of processor time each way adds to one call, median of the undisturbed rounds.

    While any program anywhere watches any system call, all calls take the kernel's slow path: rounds whose base shows
    that are left out.
    """
    _compile()
    rounds: dict[tuple[Way, str], list[Comparison]] = {(way, call): [] for way in WAYS for call in _CALLS}
    for _ in range(_ROUNDS):
        for way in random.sample(WAYS, len(WAYS)):
            for call in _CALLS:
                rounds[way, call].append(_compare(way, call))
    lowest = {call: min(c.base_ns for (_, of), cs in rounds.items() if of == call for c in cs) for call in _CALLS}
    alone = ", ".join(f"{ns:.0f} ns ({call})" for call, ns in lowest.items())
    lines = [f"Linux {platform.release()}: a call alone takes {alone}"]
    for way in WAYS:
        other, watched = (_undisturbed(rounds[way, call], lowest[call]) for call in _CALLS)
        lines.append(f"{way.name:30} adds {other:5.0f} ns to every other call, {watched:5.0f} ns to the watched one")
    if others := _others():
        lines.append(f"{others} programs of others were on tracepoints: the first of a call had been paid for already")
    return "\n".join(lines)


def _others() -> int:
    """Tracepoint programs loaded now, when none is ours."""
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True, check=True)
    return sum(program.get("type") == "tracepoint" for program in json.loads(shown.stdout))


def _undisturbed(rounds: list[Comparison], lowest_ns: float) -> float:
    """Median of what the quiet rounds added; of all rounds where none was quiet."""
    quiet = [c.added_ns for c in rounds if c.base_ns <= lowest_ns * _DISTURBED]
    return statistics.median(quiet or [c.added_ns for c in rounds])


def _compare(way: Way, call: str) -> Comparison:
    """Before, with, after: the base is the dearer of its neighbours, so that a disturbed one shows."""
    before = _cost_ns(call)
    with _attached(way):
        during = _cost_ns(call)
    after = _cost_ns(call)
    return Comparison(max(before, after), during - (before + after) / 2)


def _cost_ns(call: str) -> float:
    """Processor time of one call, in a loop of many."""
    group = Group("load")
    begun = group.cpu_s()
    count = _COUNT if call == _CALLS[0] else _COUNT // 4
    subprocess.run(
        [str(BUILD / "call_loop"), str(count), call], check=True, capture_output=True, preexec_fn=group.entry()
    )
    return (group.cpu_s() - begun) / count * 1e9


def _compile() -> None:
    machine = platform.machine()
    if machine != "x86_64":
        sys.exit(f"bench dispatch: knows the registers of x86-64 only, this machine is {machine}")
    source, target = ROOT / "bench" / "dispatch.bpf.c", BUILD / "dispatch.bpf.o"
    headers = f"-I/usr/include/{machine}-linux-gnu"
    subprocess.run(["clang", "-g", "-O2", "-target", "bpf", headers, "-c", str(source), "-o", str(target)], check=True)


@contextmanager
def _attached(way: Way) -> Iterator[None]:
    lib = LibBpf()
    bpf, null = lib.bpf, lib.ffi.NULL
    loaded = bpf.bpf_object__open_file(str(BUILD / "dispatch.bpf.o").encode(), null)
    for other in {p for w in WAYS for p in (*w.programs, w.handler) if p} - {*way.programs, way.handler}:
        bpf.bpf_program__set_autoload(bpf.bpf_object__find_program_by_name(loaded, other.encode()), False)
    lib.call(bpf.bpf_object__load(loaded), f"cannot load {way.name}: {lib.log()}")
    if way.handler:
        _fill_table(lib, loaded, way.handler)
    links = [_attach(lib, loaded, name) for name in way.programs]
    try:
        yield
    finally:
        for link in links:
            bpf.bpf_link__destroy(link)
        bpf.bpf_object__close(loaded)


def _attach(lib: LibBpf, loaded: object, name: str) -> object:
    link = lib.bpf.bpf_program__attach(lib.bpf.bpf_object__find_program_by_name(loaded, name.encode()))
    if link == lib.ffi.NULL:
        raise RuntimeError(f"cannot attach {name}: {lib.log()}")
    return link


def _fill_table(lib: LibBpf, loaded: object, handler: str) -> None:
    bpf, ffi = lib.bpf, lib.ffi
    table = bpf.bpf_map__fd(bpf.bpf_object__find_map_by_name(loaded, b"handlers"))
    program = bpf.bpf_program__fd(bpf.bpf_object__find_program_by_name(loaded, handler.encode()))
    key, value = ffi.new("uint32_t *", _CHROOT), ffi.new("uint32_t *", program)
    lib.call(bpf.bpf_map_update_elem(table, key, value, 0), "cannot fill the table of calls")
