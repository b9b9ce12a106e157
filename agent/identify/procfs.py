"""Processes that were there before us, from /proc.

Read directly rather than through psutil: psutil's create_time is a float of Unix seconds, from which the start
in clock ticks (what process identity hashes) cannot be had back exactly; it knows no cgroup and no namespaces;
and it takes about four times as long (217 against 56 µs a process, measured on one machine).
Formats: proc(5), fs/proc/array.c.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

from agent.identify.addresses import namespace
from agent.identify.files import read_proc, text

_PF_KTHREAD = 0x00200000
_ARGV_LIMIT = 32_768


class Stat(NamedTuple):
    """The fields of /proc/PID/stat identify needs."""

    ppid: int
    tty: int  # as the kernel contract has it: major << 20 | minor
    kernel_thread: bool
    start_ticks: int


class Found(NamedTuple):
    """A living process. `path` is "" for a kernel thread or where it cannot be read."""

    pid: int
    stat: Stat
    path: str
    argv: tuple[str, ...]
    cwd: str
    uid: int
    ns_pid: int
    mnt_ns: int
    pid_ns: int


def pids(proc: str) -> Iterator[int]:
    """Every process id there is now."""
    with os.scandir(proc) as entries:
        yield from [int(entry.name) for entry in entries if entry.name.isdigit()]


def read_stat(proc: str, pid: int) -> Stat | None:
    """/proc/PID/stat, None when the process is gone."""
    try:
        line = read_proc(f"{proc}/{pid}/stat", 4096)
    except OSError:
        return None
    # The second field is the command in parentheses and may hold anything, parentheses and newlines too.
    fields = line[line.rfind(b")") + 2 :].split()
    try:
        return Stat(int(fields[1]), _device(int(fields[4])), bool(int(fields[6]) & _PF_KTHREAD), int(fields[19]))
    except (IndexError, ValueError):
        return None


def _device(number: int) -> int:
    """new_encode_dev (include/linux/kdev_t.h) → major << 20 | minor."""
    major, minor = (number >> 8) & 0xFFF, (number & 0xFF) | ((number >> 12) & 0xFFF00)
    return major << 20 | minor if number else 0


def read_process(proc: str, pid: int, start_ticks: int | None = None) -> Found | None:
    """A process with its program; None when it is gone or is not the one that started at `start_ticks`."""
    stat = read_stat(proc, pid)
    if stat is None or (start_ticks is not None and stat.start_ticks != start_ticks):
        return None
    if stat.kernel_thread:
        return Found(pid, stat, "", (), "", 0, pid, 0, 0)
    uid, ns_pid = _status(proc, pid)
    return Found(
        pid=pid,
        stat=stat,
        path=_link(f"{proc}/{pid}/exe"),
        argv=_argv(proc, pid),
        cwd=_link(f"{proc}/{pid}/cwd"),
        uid=uid,
        ns_pid=ns_pid or pid,
        mnt_ns=namespace(proc, pid, "mnt"),
        pid_ns=namespace(proc, pid, "pid"),
    )


def _status(proc: str, pid: int) -> tuple[int, int]:
    """(real uid, pid in the innermost pid namespace)."""
    uid, ns_pid = 0, 0
    try:
        for line in read_proc(f"{proc}/{pid}/status", 8192).split(b"\n"):
            if line.startswith(b"Uid:"):
                uid = int(line.split()[1])
            elif line.startswith(b"NSpid:"):
                ns_pid = int(line.split()[-1])
                break
    except (OSError, ValueError, IndexError):
        pass
    return uid, ns_pid


def _argv(proc: str, pid: int) -> tuple[str, ...]:
    try:
        raw = read_proc(f"{proc}/{pid}/cmdline", _ARGV_LIMIT)
    except OSError:
        return ()
    return tuple(text(part) for part in raw.removesuffix(b"\0").split(b"\0")) if raw else ()


def _link(path: str) -> str:
    try:
        return text(os.fsencode(os.readlink(path))).removesuffix(" (deleted)")  # noqa: PTH115  (Path would fold "//" and "/./")
    except OSError:
        return ""
