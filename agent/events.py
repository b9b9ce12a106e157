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
    CALL = 10
    PATH = 11
    SOCKET = 12
    DNS = 13
    THROTTLE = 14


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
    """A file's identity in the kernel; stays the same over renames and hard links.

    Of a program (`exe`) the generation has the file's change time mixed in: changed, it is another program.
    """

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
    name: int = 0  # which of the file's names, for the novelty filter: a hash of the path


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


class CallKind(IntEnum):
    """Which system call, as `enum ev_call_kind`."""

    SETUID = 1
    SETGID = 2
    CAPSET = 3
    SETNS = 4
    UNSHARE = 5
    CHROOT = 6
    PTRACE = 7
    PROCESS_VM_READ = 8
    PROCESS_VM_WRITE = 9
    MODULE_LOAD = 10
    MODULE_DELETE = 11
    BPF = 12
    PERF_EVENT_OPEN = 13
    MEMFD_CREATE = 14
    IO_URING_SETUP = 15
    KILL = 16
    MMAP_WX = 17
    MPROTECT_WX = 18
    KEYCTL = 19
    KEXEC_LOAD = 20
    USERFAULTFD = 21
    SETHOSTNAME = 22


class Call(NamedTuple):
    """A privileged or telling system call. What `args` and `text` hold depends on `call`: see `enum ev_call_kind`."""

    head: Head
    exe: FileId
    call: CallKind
    args: tuple[int, int, int, int]
    result: int
    target_pid: int
    target_start_ns: int
    target_cgroup_id: int
    text: str


class PathOp(IntEnum):
    """What happened to the file tree, as `enum ev_path_op`."""

    RENAME = 1
    LINK = 2
    SYMLINK = 3
    UNLINK = 4
    RMDIR = 5
    MKDIR = 6
    TRUNCATE = 7
    CHOWN = 8
    SETXATTR = 9
    MOUNT = 10
    UMOUNT = 11
    PIVOT_ROOT = 12
    MKNOD = 13


class PathChange(NamedTuple):
    """A change of the file tree that succeeded. `path` is what was changed, `target` what it became or came from.

    With EV_F_USER_PATH in `head.flags` both are the caller's strings, made absolute by the directory they start from:
    symbolic links among their directories are not followed. A mount's target is a path for bind mounts and moves only.
    """

    head: Head
    exe: FileId
    file: FileId
    op: PathOp
    file_flags: int
    args: tuple[int, int]
    path: str
    target: str
    text: str


class SocketOp(IntEnum):
    """What was done with a socket, as `enum ev_socket_op`."""

    CREATE = 1
    BIND = 2
    LISTEN = 3
    CONNECT = 4
    SEND = 5


class Socket(NamedTuple):
    """A socket made, bound, listening or talking other than by TCP. Addresses are None for unix and packet sockets.

    `name` is a unix socket's path; an abstract one begins with "@".
    """

    head: Head
    exe: FileId
    op: SocketOp
    family: int
    type: int
    protocol: int
    local: Address | None
    local_port: int
    peer: Address | None
    peer_port: int
    result: int
    name: str


class Dns(NamedTuple):
    """A DNS message. `answers` maps nothing itself: (name, address or CNAME target) pairs in the order given."""

    head: Head
    exe: FileId
    server: Address
    server_port: int
    received: bool
    question: str
    question_type: int
    response_code: int
    answers: tuple[tuple[str, str], ...]


class Throttle(NamedTuple):
    """Records of one class of one cgroup begin to be held back (`stop` False), or are let through again."""

    head: Head
    cgroup_id: int
    type: EventType
    held_back: int
    since_ns: int
    stop: bool


Event = Call | PathChange | Socket | Dns | Throttle | Fork | Exec | Exit | Open | Connection | Chmod | Cgroup


class RawBatch(NamedTuple):
    """Records as they left the ring, back to back; each begins with its own size (struct ev_head).

    `boot_to_unix_ns` is added to a CLOCK_BOOTTIME stamp to get Unix time at the moment of reading.
    """

    data: bytes
    records: int
    boot_to_unix_ns: int
