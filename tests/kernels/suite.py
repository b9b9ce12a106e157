"""Runs inside the emulated machine: loads the sensor, lets a container act, and checks what came of it.

Writes result.json to $VEDETTE_SHARE: {"kernel", "object", "probes", "verified", "checks", "starts", "seconds"}.
Arguments: `acts`, the compiled program, and for the bcc sensor the directory with the kernel's headers. Plain Python: a
test framework costs seconds per kernel here.
"""

import json
import os
import platform
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from agent.decode.decode import Decoder
from agent.events import Event
from agent.source.bcc_source import SOURCES, BccSource
from agent.source.core_re import CoReSource
from agent.source.libbpf import LIBRARY, KernelTypes, LibBpf
from agent.source.programs import PROGRAMS
from tests.kernels import bcc
from tests.kernels.checks import CHECKS, Scene
from tests.kernels.container import ActsContainer

_STATS = 4  # BPF_LOG_STATS: the verifier says how much it walked, and nothing else; in every kernel since 5.2
_LOG_BYTES = 4096
_FAILURE_MAX = 2000
_INFO_BYTES, _VERIFIED_INSNS = 224, slice(216, 220)  # struct bpf_prog_info
_LOG_CALLS = """
int bpf_program__set_log_level(struct bpf_program *prog, uint32_t log_level);
int bpf_program__set_log_buf(struct bpf_program *prog, char *log_buf, size_t log_size);
"""


def main(acts: str, headers: str = "") -> None:
    """Everything, in order; an exception goes to the output and is the suite's failure."""
    begun, starts = time.monotonic(), dict[str, float]()
    if headers:
        bcc.install_headers(Path(headers))
        starts = bcc.start_times()
    source = BccSource() if headers else CoReSource()
    source.start()
    try:
        checks = check(play(source, Path(acts)))
        probes = [state._asdict() for state in source.probes()]
        attached = {probe["name"] for probe in probes if probe["attached"]}
        functions = {program.function for program in PROGRAMS if program.name in attached}
        counts = walked_by(source, functions) if headers else {}
    finally:
        source.stop()
    name = SOURCES if headers else object_name()
    counts = counts or verified(name, functions)
    checks += [bcc.conformance()] if headers else []
    result = {"kernel": platform.release(), "object": name, "probes": probes, "checks": checks, "verified": counts}
    result["starts"] = starts
    result["seconds"] = round(time.monotonic() - begun, 1)
    Path(os.environ["VEDETTE_SHARE"], "result.json").write_text(json.dumps(result, indent=1))


def play(source: CoReSource, acts: Path) -> Scene:
    """Run the container once and collect everything the sensor has to say of it."""
    container = ActsContainer(Path(tempfile.mkdtemp(prefix="vt-kernels-")), acts)
    try:
        pid = container.run()
        behaviours = list(source.behaviours())
    finally:
        container.remove()
    events = drain(source)
    mine = [event for event in events if event.head.task.cgroup_id == container.cgroup_id]
    lost = {
        f"{kind}.{cause}": count
        for kind, causes in source.counters().items()
        for cause, count in causes.items()
        if cause.startswith("lost_") and count
    }
    way = next((state.way for state in source.probes() if state.name == "tree_unlink"), "")
    return Scene(container.cgroup_id, pid, mine, events, behaviours, lost, way)


def drain(source: CoReSource) -> list[Event]:
    """Everything that happened: a record is in the ring before its system call returns."""
    decoder, events = Decoder(), list[Event]()
    while batch := source.read(0):
        events += decoder.decode(batch)
    assert not decoder.rejected, decoder.rejected
    return events


def check(scene: Scene) -> list[dict[str, str]]:
    """Every check with what went wrong, "" where nothing."""
    return [{"name": one.__name__, "failure": failure(one, scene)} for one in CHECKS]


def failure(one: Callable[[Scene], None], scene: Scene) -> str:
    """What a check found wrong."""
    try:
        one(scene)
    except Exception as error:  # noqa: BLE001 - a check that breaks must not hide the others
        line = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(line.filename).name}:{line.lineno}: {error}"[:_FAILURE_MAX]
    return ""


def object_name() -> str:
    """Which of the two objects this kernel gets."""
    with closing(KernelTypes(LibBpf())) as types:
        return "vedette.bpf.o" if types.function("bpf_rdonly_cast") > 0 else "vedette-helpers.bpf.o"


def verified(name: str, attached: set[str]) -> dict[str, int]:
    """How many instructions the verifier walked for each program: loads them once more, and asks for its statistics.

    The same number as prog info's verified_insns, which kernels before 5.16 lack.
    """
    lib = LibBpf()
    lib.ffi.cdef(_LOG_CALLS)
    handle = lib.bpf.bpf_object__open_file(str(LIBRARY / name).encode(), lib.ffi.NULL)
    logs, program = {}, lib.bpf.bpf_object__next_program(handle, lib.ffi.NULL)
    while program != lib.ffi.NULL:
        title = lib.ffi.string(lib.bpf.bpf_program__name(program)).decode()
        lib.bpf.bpf_program__set_autoload(program, title in attached)
        logs[title] = lib.ffi.new("char[]", _LOG_BYTES)
        lib.bpf.bpf_program__set_log_buf(program, logs[title], _LOG_BYTES)
        lib.bpf.bpf_program__set_log_level(program, _STATS)
        program = lib.bpf.bpf_object__next_program(handle, program)
    lib.call(lib.bpf.bpf_object__load(handle), f"cannot load again what was loaded before\n{lib.log()}")
    lib.bpf.bpf_object__close(handle)
    return {title: walked(lib.ffi.string(logs[title]).decode()) for title in sorted(attached)}


def walked_by(source: BccSource, functions: set[str]) -> dict[str, int]:
    """The same of programs that are loaded, as the kernel's information on them says (since 5.16)."""
    found = {}
    for program in PROGRAMS:
        if program.function in functions:
            info, length = source._lib.ffi.new("char[]", _INFO_BYTES), source._lib.ffi.new("uint32_t *", _INFO_BYTES)
            source._lib.bpf.bpf_obj_get_info_by_fd(source._program_fd(program), info, length)
            raw = bytes(source._lib.ffi.buffer(info))
            found[program.function] = int.from_bytes(raw[_VERIFIED_INSNS], sys.byteorder)
    return dict(sorted(found.items()))


def walked(log: str) -> int:
    """The verifier's count; 0 where it said none."""
    said = re.search(r"^processed (\d+) insns", log, re.MULTILINE)
    return int(said[1]) if said else 0


if __name__ == "__main__":
    main(*sys.argv[1:])
