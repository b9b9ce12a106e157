"""Attempts that tell whether the kernel allows something: a tiny program is loaded, attached and taken away."""

import os
from contextlib import closing
from typing import Any, Literal

from agent.errors import SourceError
from agent.source.libbpf import KernelTypes, LibBpf

Answer = Literal["yes", "no", "unknown"]

_RETURN_0 = bytes.fromhex("b700000000000000" + "9500000000000000")  # r0 = 0; exit
_TRACING, _LSM = 26, 29  # enum bpf_prog_type
_FENTRY, _LSM_MAC = 24, 27  # enum bpf_attach_type
# Hooks that run rarely or never: a function only the kernel's own tests call, and changing a task's nice value.
_FENTRY_FUNCTION, _LSM_FUNCTION = "bpf_fentry_test1", "bpf_lsm_task_setnice"


def has_map_type(lib: LibBpf, kind: int) -> tuple[Answer, str]:
    """Whether the kernel makes maps of a type (enum bpf_map_type), and a word on how that is known."""
    return _answer(lib.bpf.libbpf_probe_bpf_map_type(kind, lib.ffi.NULL))


def has_program_type(lib: LibBpf, kind: int) -> tuple[Answer, str]:
    """Whether the kernel loads programs of a type (enum bpf_prog_type)."""
    return _answer(lib.bpf.libbpf_probe_bpf_prog_type(kind, lib.ffi.NULL))


def can_attach_lsm(lib: LibBpf) -> tuple[Answer, str]:
    """Whether an LSM program can be attached."""
    return _attach(lib, _LSM, _LSM_MAC, _LSM_FUNCTION)


def can_attach_fentry(lib: LibBpf) -> tuple[Answer, str]:
    """Whether a program can be attached to a kernel function's entry."""
    return _attach(lib, _TRACING, _FENTRY, _FENTRY_FUNCTION)


def _answer(result: int) -> tuple[Answer, str]:
    if os.geteuid() != 0 and result <= 0:
        return "unknown", "cannot be tried without privileges"
    if result < 0:
        return "unknown", os.strerror(-result)
    return ("yes", "tried") if result else ("no", "refused by the kernel")


def _attach(lib: LibBpf, program_type: int, attach_type: int, function: str) -> tuple[Answer, str]:
    try:
        with closing(KernelTypes(lib)) as types:
            ident = types.function(function)
    except SourceError:
        return "unknown", "cannot be tried without BTF"
    if ident < 0:
        return "no", f"the kernel has no {function}"
    options: Any = lib.ffi.new("struct bpf_prog_load_opts *")
    options.sz = lib.ffi.sizeof("struct bpf_prog_load_opts")
    options.expected_attach_type, options.attach_btf_id = attach_type, ident
    program = lib.bpf.bpf_prog_load(program_type, b"vedette_trial", b"GPL", _RETURN_0, len(_RETURN_0) // 8, options)
    if program < 0:
        return _refused("loading", program)
    link = lib.bpf.bpf_raw_tracepoint_open(lib.ffi.NULL, program)
    os.close(program)
    if link < 0:
        return _refused("attaching", link)
    os.close(link)
    return "yes", "tried"


def _refused(step: str, error: int) -> tuple[Answer, str]:
    if os.geteuid() != 0:
        return "unknown", "cannot be tried without privileges"
    return "no", f"{step} is refused: {os.strerror(-error)}"
