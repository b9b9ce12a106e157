"""Processes that were there before us, from /proc.

Read directly rather than through psutil: psutil's create_time is a float of Unix seconds, from which the start
in clock ticks (what process identity hashes) cannot be had back exactly; it knows no cgroup and no namespaces;
and it takes about four times as long (217 against 56 µs a process, measured on one machine).
Formats: proc(5), fs/proc/array.c.
"""

from collections.abc import Iterator
from typing import NamedTuple

from agent.identify.addresses import namespace
from agent.identify.files import text
from agent.identify.host import HERE, HostFiles

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


def pids(proc: str, files: HostFiles = HERE) -> Iterator[int]:
    """Every process id there is now."""
    return (int(e.name) for e in files.entries(proc) if e.name.isascii() and e.name.isdigit())


def read_stat(proc: str, pid: int, files: HostFiles = HERE) -> Stat | None:
    """/proc/PID/stat, None when the process is gone."""
    try:
        line = files.read(f"{proc}/{pid}/stat", 4096)
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


def read_process(proc: str, pid: int, start_ticks: int | None = None, files: HostFiles = HERE) -> Found | None:
    """A process with its program; None when it is gone or is not the one that started at `start_ticks`."""
    stat = read_stat(proc, pid, files)
    if stat is None or (start_ticks is not None and stat.start_ticks != start_ticks):
        return None
    if stat.kernel_thread:
        return Found(pid, stat, "", (), "", 0, pid, 0, 0)
    uid, ns_pid = _status(f"{proc}/{pid}/status", files)
    return Found(
        pid=pid,
        stat=stat,
        path=_link(f"{proc}/{pid}/exe", files),
        argv=_argv(f"{proc}/{pid}/cmdline", files),
        cwd=_link(f"{proc}/{pid}/cwd", files),
        uid=uid,
        ns_pid=ns_pid or pid,
        mnt_ns=namespace(proc, pid, "mnt", files),
        pid_ns=namespace(proc, pid, "pid", files),
    )


def _status(path: str, files: HostFiles) -> tuple[int, int]:
    """(real uid, pid in the innermost pid namespace)."""
    uid, ns_pid = 0, 0
    try:
        for line in files.read(path, 8192).split(b"\n"):
            if line.startswith(b"Uid:"):
                uid = int(line.split()[1])
            elif line.startswith(b"NSpid:"):
                ns_pid = int(line.split()[-1])
                break
    except (OSError, ValueError, IndexError):
        pass
    return uid, ns_pid


def _argv(path: str, files: HostFiles) -> tuple[str, ...]:
    try:
        raw = files.read(path, _ARGV_LIMIT)
    except OSError:
        return ()
    return tuple(text(part) for part in raw.removesuffix(b"\0").split(b"\0")) if raw else ()


def _link(path: str, files: HostFiles) -> str:
    try:
        return files.link(path).removesuffix(" (deleted)")
    except OSError:
        return ""
