"""From C text to attached programs without BTF: BCC compiles, the bpf system call loads, perf attaches."""

import fcntl
import json
import os
import platform
import struct
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.errors import SourceError
from agent.source.libbpf import LibBpf

_COMPILER = Path(__file__).with_name("bcc_compile.py")
_COMPILE_LIMIT_S = 600.0
_STRICT = "-Werror=implicit-function-declaration"  # BCC would load the call as one to nowhere
_TARGETS = {"x86_64": "x86", "aarch64": "arm64"}  # as bpf/Makefile
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_RAW_TRACEPOINT, _TRACEPOINT = 17, 5  # enum bpf_prog_type
_LOAD_IMMEDIATE, _PSEUDO_MAP = 0x18, 1
_INSTRUCTION = struct.Struct("=BBhi")
_LOG_ERRORS = 4  # BPF_LOG_STATS: what the verifier objects to and its totals, not the way there
_LOG_BYTES = 65536
_NO_REASON = ("processed ", "verification time ", "stack depth ")
_PERF_TYPE_TRACEPOINT, _PERF_ATTR_BYTES, _FD_CLOEXEC = 2, 112, 8
_IOC_ENABLE, _IOC_SET_BPF = 0x2400, 0x40042408


def compile_with_bcc(
    source: Path, programs: Iterable[str], maps: Mapping[str, int], python: str = "/usr/bin/python3"
) -> dict[str, bytes]:
    """Name → bytecode, in which `maps` numbers stand for maps. Takes seconds. Raises: SourceError."""
    names = list(programs)
    wrappers = (f"int bcc_{name}(void *ctx) {{ return {name}(ctx); }}" for name in names)
    request = {
        "text": "\n".join([f'#include "{source}"', *wrappers, ""]),
        "flags": [f"-D__TARGET_ARCH_{_TARGETS.get(platform.machine(), platform.machine())}", _STRICT]
        + [f"-DVEDETTE_MAP_{name}={number}" for name, number in maps.items()],
        "programs": [f"bcc_{name}" for name in names],
    }
    command = [python, "-I", str(_COMPILER)]
    try:
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, timeout=_COMPILE_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"cannot run BCC through {python}: {error}; install python3 and python3-bpfcc") from None
    if done.returncode:
        raise SourceError(f"BCC cannot compile the sensor: {done.stderr.strip()[-4000:]}")
    compiled = json.loads(done.stdout)["programs"]
    return {name: bytes.fromhex(compiled[f"bcc_{name}"]) for name in names}


def open_object(lib: LibBpf, path: Path) -> Any:
    """libbpf's object, opened and never loaded; the caller closes it. Raises: SourceError."""
    pointer = lib.bpf.bpf_object__open_file(str(path).encode(), lib.ffi.NULL)
    if pointer == lib.ffi.NULL:
        raise SourceError(f"cannot open {path}: run `make build`\n{lib.log()}")
    return pointer


def make_maps(lib: LibBpf, pointer: Any, sizes: Mapping[str, int]) -> dict[str, int]:
    """Name → descriptor of new maps, as an opened object defines them but for the `sizes` given.

    Raises: SourceError, with none left.
    """
    made: dict[str, int] = {}
    bpf_map = lib.bpf.bpf_object__next_map(pointer, lib.ffi.NULL)
    try:
        while bpf_map != lib.ffi.NULL:
            name = _text(lib, lib.bpf.bpf_map__name(bpf_map))
            made[name] = _make_map(lib, bpf_map, name, sizes.get(name))
            bpf_map = lib.bpf.bpf_object__next_map(pointer, bpf_map)
    except SourceError:
        for fd in made.values():
            os.close(fd)
        raise
    return made


def _text(lib: LibBpf, string: Any) -> str:
    raw = lib.ffi.string(string)
    return raw if isinstance(raw, str) else raw.decode()


def _options(lib: LibBpf) -> Any:
    return lib.ffi.new("struct bpf_map_create_opts *")


def _make_map(lib: LibBpf, bpf_map: Any, name: str, entries: int | None) -> int:
    bpf, options = lib.bpf, _options(lib)
    options.sz, options.map_flags = lib.ffi.sizeof("struct bpf_map_create_opts"), bpf.bpf_map__map_flags(bpf_map)
    sizes = (bpf.bpf_map__key_size(bpf_map), bpf.bpf_map__value_size(bpf_map))
    entries = entries or bpf.bpf_map__max_entries(bpf_map)
    kind = bpf.bpf_map__type(bpf_map)
    return lib.call(bpf.bpf_map_create(kind, name[:15].encode(), *sizes, entries, options), f"cannot make map {name}")


def with_maps(code: bytes, fds: Mapping[int, int]) -> bytes:
    """Bytecode with descriptors in place of map numbers. Raises: SourceError for a number nobody gave."""
    fitted = bytearray(code)
    for at in range(0, len(code), _INSTRUCTION.size):
        operation, registers, offset, number = _INSTRUCTION.unpack_from(code, at)
        if operation == _LOAD_IMMEDIATE and registers >> 4 == _PSEUDO_MAP:
            if number not in fds:
                raise SourceError(
                    f"the compiled sensor uses an unknown map, number {number}: rebuild it (`make build`)"
                )
            _INSTRUCTION.pack_into(fitted, at, operation, registers, offset, fds[number])
    return bytes(fitted)


def load(lib: LibBpf, name: str, code: bytes, *, classic: bool) -> int:
    """Load one program; its descriptor. Raises: SourceError with the verifier's last words."""
    options: Any = lib.ffi.new("struct bpf_prog_load_opts *")
    options.sz = lib.ffi.sizeof("struct bpf_prog_load_opts")
    kind, count = _TRACEPOINT if classic else _RAW_TRACEPOINT, len(code) // _INSTRUCTION.size
    fd = lib.bpf.bpf_prog_load(kind, name[:15].encode(), b"GPL", code, count, options)
    if fd >= 0:
        return int(fd)
    log: Any = lib.ffi.new("char[]", _LOG_BYTES)
    options.log_buf, options.log_size, options.log_level = log, _LOG_BYTES, _LOG_ERRORS
    lib.bpf.bpf_prog_load(kind, name[:15].encode(), b"GPL", code, count, options)
    said = bytes(lib.ffi.buffer(log)).partition(b"\0")[0].decode("utf-8", "replace").splitlines()
    words = [line.strip() for line in said if line.strip() and not line.startswith(_NO_REASON)][-2:]
    raise SourceError(f"the kernel refuses {name}: {os.strerror(-fd)}: {' | '.join(words)}")


def attach_raw(lib: LibBpf, tracepoint: str, program: int) -> int:
    """Attach to a raw tracepoint; the descriptor that keeps it there. Raises: SourceError."""
    return lib.call(lib.bpf.bpf_raw_tracepoint_open(tracepoint.encode(), program), f"cannot attach to {tracepoint}")


def attach_classic(lib: LibBpf, tracefs: Path, tracepoint: str, program: int) -> int:
    """Attach to a system call's tracepoint; the descriptor that keeps it there. Raises: SourceError."""
    ident = int((tracefs / "events/syscalls" / tracepoint / "id").read_text())
    number = _PERF_EVENT_OPEN.get(platform.machine())
    if number is None:
        raise SourceError(f"the bcc sensor does not know {platform.machine()}; use the CO-RE or the polling one")
    # struct perf_event_attr: type, size, config, sample_period 1; the rest zero
    attributes = struct.pack("=IIQQ", _PERF_TYPE_TRACEPOINT, _PERF_ATTR_BYTES, ident, 1).ljust(_PERF_ATTR_BYTES, b"\0")
    arguments = [lib.ffi.cast("long", value) for value in (-1, 0, -1, _FD_CLOEXEC)]
    event = lib.libc.syscall(number, lib.ffi.from_buffer(attributes), *arguments)
    if event < 0:
        raise SourceError(f"cannot open {tracepoint}: {os.strerror(lib.ffi.errno)}")
    try:
        fcntl.ioctl(event, _IOC_SET_BPF, program)
        fcntl.ioctl(event, _IOC_ENABLE, 0)
    except OSError as error:
        os.close(event)
        raise SourceError(f"cannot attach to {tracepoint}: {error.strerror}") from None
    return int(event)


def missing_python(python: str = "/usr/bin/python3") -> str:
    """What the system's Python lacks to compile with BCC; "" where nothing."""
    check = f"import sys; sys.path.insert(0, {str(_COMPILER.parent)!r}); import bcc_compile; bcc_compile.import_bcc()"
    try:
        done = subprocess.run([python, "-I", "-c", check], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python}: {error}"
    return "" if done.returncode == 0 else f"{python} has no BCC: install the system package python3-bpfcc"
