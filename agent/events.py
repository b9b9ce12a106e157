"""What decode gives: one immutable value per record of the kernel contract (bpf/include/events.h).

NamedTuples rather than dataclasses: they are made once per record on the hot path, straight from
`struct.unpack`, and cost a third of a frozen dataclass to create.

Every string here comes from a hostile place. Paths and arguments are decoded as UTF-8 with
`surrogateescape`-free replacement, so they always print and always encode; nothing else is cleaned:
whoever shows a string to a terminal, a page or a log escapes it there.
"""

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

Address = IPv4Address | IPv6Address


class EventType(IntEnum):
    """Record types, as `enum ev_type`."""

    FORK = 1
    EXEC = 2
    EXIT = 3
    OPEN = 4
    CONNECT = 5
    ACCEPT = 6
    CHMOD = 7
    CGROUP_MKDIR = 8
    CGROUP_RMDIR = 9


class FileFlag(IntEnum):
    """Bits of `exe_flags` and `file_flags`, as `enum ev_file_flag`."""

    UPPER_LAYER = 1 << 0
    MEMFD = 1 << 1
    TMPFS = 1 << 2
    UNLINKED = 1 << 3
    SCRIPT = 1 << 4
    SECURE = 1 << 5
    CREATED = 1 << 6
    WRITE = 1 << 7
    OVERLAY = 1 << 8


class FileId(NamedTuple):
    """A file's identity in the kernel; stays the same over renames and hard links."""

    ino: int
    dev: int
    generation: int


class Task(NamedTuple):
    """Who did it. Times are CLOCK_BOOTTIME nanoseconds; ids are as the host sees them."""

    start_ns: int
    parent_start_ns: int
    cgroup_id: int
    pid: int
    tid: int
    ppid: int
    ns_pid: int
    uid: int
    gid: int
    euid: int
    egid: int
    pid_ns: int
    mnt_ns: int
    net_ns: int
    tty: int
    comm: str


class Head(NamedTuple):
    """What every event carries. `time_ns` is Unix time (nanoseconds), converted from boot time."""

    type: EventType
    flags: int
    time_ns: int
    task: Task


class Fork(NamedTuple):
    """A new process; `head.task` is the child. Threads are not reported."""

    head: Head


class Exec(NamedTuple):
    """A process replaced its program."""

    head: Head
    exe: FileId
    exe_flags: int
    cap_permitted: int
    cap_effective: int
    path: str
    argv: tuple[str, ...]
    argv_total: int
    cwd: str
    filename: str


class Exit(NamedTuple):
    """A process ended. `exit_code` as wait(2) encodes it."""

    head: Head
    exit_code: int


class Open(NamedTuple):
    """A behaviour of (container, program, file, access) seen for the first time."""

    head: Head
    exe: FileId
    file: FileId
    file_flags: int
    open_flags: int
    mode: int
    fs_magic: int
    path: str


class Connection(NamedTuple):
    """A TCP connect attempt or an accepted connection, seen for the first time.

    `head.type` tells which. connect: peer is the destination; accept: peer is the client.
    """

    head: Head
    exe: FileId
    local: Address
    local_port: int
    peer: Address
    peer_port: int
    protocol: int


class Chmod(NamedTuple):
    """A set-id or execute bit was set. `path` is what the caller passed, "" for fchmod."""

    head: Head
    mode: int
    path: str


class Cgroup(NamedTuple):
    """A cgroup directory came (CGROUP_MKDIR) or went (CGROUP_RMDIR)."""

    head: Head
    id: int
    level: int
    path: str


Event = Fork | Exec | Exit | Open | Connection | Chmod | Cgroup


class RawBatch(NamedTuple):
    """Records as they left the ring, back to back; each begins with its own size (struct ev_head).

    `boot_to_unix_ns` is added to a CLOCK_BOOTTIME stamp to get Unix time at the moment of reading.
    """

    data: bytes
    records: int
    boot_to_unix_ns: int
