"""What one look at /proc says of processes and sockets. Formats: proc(5).

psutil lists processes; the rest is read here, because the record needs what psutil does not give: the start in
clock ticks (process identity), the cgroup, the namespaces and capabilities, and sockets of other network namespaces.
Everything read is bounded; a process that ended meanwhile gives None.
"""

# ruff: noqa: PTH115, PTH116  (thousands of these a look; Path costs as much as the call)
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.events import FileId

_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CAP_SYS_PTRACE = 19
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD
_READ_BYTES = 16 << 10
_TABLE_BYTES = 8 << 20  # of one network namespace's socket table
_ARGV_BYTES = 2048
_DESCRIPTORS_MAX = 65536
_AF_INET, _AF_INET6 = 2, 10
_V4_MAPPED = bytes(10) + b"\xff\xff"
_STATES = (b"01", b"02", b"0A")  # TCP_ESTABLISHED, TCP_SYN_SENT, TCP_LISTEN
_SOCKET = re.compile(r"socket:\[(\d+)\]")


class Seen(NamedTuple):
    """A living process as the regular look sees it; cheap."""

    pid: int
    ppid: int
    start_ns: int  # CLOCK_BOOTTIME
    tty: int
    comm: bytes


class Facts(NamedTuple):
    """What a record says of a process and its program."""

    seen: Seen
    cgroup: str
    ids: tuple[int, int, int, int]  # uid, gid, euid, egid
    ns_pid: int
    namespaces: tuple[int, int, int]  # pid, mnt, net
    capabilities: tuple[int, int]  # permitted, effective
    exe: FileId
    path: str
    deleted: bool
    argv: bytes
    argv_total: int
    cwd: str


class SocketRow(NamedTuple):
    """One row of a TCP table; addresses as the wire has them: network order, 16 bytes."""

    inode: int
    family: int
    local: bytes
    local_port: int
    peer: bytes
    peer_port: int
    state: int


def look(pid: int, proc: str = "/proc") -> Seen | None:
    """A process now; None for kernel threads and for what is gone."""
    line = _read(f"{proc}/{pid}/stat")
    opening, closing = line.find(b"("), line.rfind(b")")  # the name between may hold anything
    fields = line[closing + 2 :].split()
    try:
        if int(fields[6]) & _KERNEL_THREAD or fields[0] in (b"Z", b"X"):
            return None
        start_ns, tty = int(fields[19]) * _NS_PER_TICK, int(fields[4])
        return Seen(pid, int(fields[1]), start_ns, _device(os.major(tty), os.minor(tty)), line[opening + 1 : closing])
    except (IndexError, ValueError):
        return None


def facts_of(seen: Seen, proc: str = "/proc") -> Facts | None:
    """Everything a record says of a process; None where it ended meanwhile or may not be looked at."""
    base = f"{proc}/{seen.pid}"
    status = _status(_read(f"{base}/status"))
    try:
        link, exe = os.readlink(f"{base}/exe"), os.stat(f"{base}/exe")
        namespaces = tuple(os.stat(f"{base}/ns/{kind}").st_ino for kind in ("pid", "mnt", "net"))
        uids, gids = ([int(part) for part in status[key].split()] for key in (b"Uid", b"Gid"))
        capabilities = (int(status[b"CapPrm"], 16), int(status[b"CapEff"], 16))
        ns_pid = int(status.get(b"NSpid", b"%d" % seen.pid).split()[-1])
        cwd = os.readlink(f"{base}/cwd")
    except (OSError, KeyError, ValueError, IndexError):
        return None
    argv = _read(f"{base}/cmdline")
    return Facts(
        seen=seen,
        cgroup=_cgroup(_read(f"{base}/cgroup")),
        ids=(uids[0], gids[0], uids[1], gids[1]),
        ns_pid=ns_pid,
        namespaces=(namespaces[0], namespaces[1], namespaces[2]),
        capabilities=capabilities,
        exe=FileId(exe.st_ino, _device(os.major(exe.st_dev), os.minor(exe.st_dev)), 0),
        path=link.removesuffix(" (deleted)"),
        deleted=link.endswith(" (deleted)"),
        argv=argv[:_ARGV_BYTES],
        argv_total=len(argv),
        cwd=cwd.removesuffix(" (deleted)"),
    )


def refusal_of_proc(proc: str = "/proc") -> str:
    """Why /proc cannot stand in for a sensor; "" where it can."""
    if look(1, proc) is None:
        return f"{proc} does not show process 1: mount it without hidepid, and share the host's process ids"
    held = int(_status(_read(f"{proc}/self/status")).get(b"CapEff", b"0"), 16)
    if os.geteuid() != 0 and not held >> _CAP_SYS_PTRACE & 1:
        return "other users' processes are closed to this one: run as root, or with CAP_SYS_PTRACE"
    return ""


def tcp_rows(pid: int, proc: str = "/proc") -> Iterator[SocketRow]:
    """The TCP sockets of a process's network namespace that listen, connect or are connected."""
    for name, family in (("tcp", _AF_INET), ("tcp6", _AF_INET6)):
        for line in _read(f"{proc}/{pid}/net/{name}", _TABLE_BYTES).splitlines()[1:]:
            fields = line.split(None, 4)
            # Most rows of a busy server are closed already and nobody's.
            if len(fields) > 3 and fields[3] in _STATES and (row := _row(line.split(), family)):
                yield row


def socket_inodes(pid: int, proc: str = "/proc") -> Iterator[int]:
    """The sockets a process holds."""
    try:
        with os.scandir(f"{proc}/{pid}/fd") as entries:
            for _, entry in zip(range(_DESCRIPTORS_MAX), entries, strict=False):
                found = _SOCKET.fullmatch(os.readlink(entry.path))
                if found:
                    yield int(found[1])
    except OSError:
        return


def net_namespace(pid: int, proc: str = "/proc") -> int:
    """The inode number of a process's network namespace; 0 where it is gone or closed to us."""
    try:
        return os.stat(f"{proc}/{pid}/ns/net").st_ino
    except OSError:
        return 0


def cgroup_root(mounts: Path = Path("/proc/mounts")) -> Path | None:
    """Where the hierarchy is mounted that tells containers apart: v2, else the v1 pids controller."""
    rows = [line.split() for line in mounts.read_text().splitlines()]
    v2 = [row[1] for row in rows if len(row) > 3 and row[2] == "cgroup2"]
    v1 = [row[1] for row in rows if len(row) > 3 and row[2] == "cgroup" and "pids" in row[3].split(",")]
    return next((Path(path) for path in v2 + v1), None)


def _cgroup(text: bytes) -> str:
    """The path of a /proc/PID/cgroup: of the v2 hierarchy, else of the pids controller."""
    rows = [line.split(":", 2) for line in text.decode("utf-8", "surrogateescape").splitlines()]
    found = {row[1]: row[2] for row in rows if len(row) == 3}
    return next((found[key] for key in found if key == ""), next((found[k] for k in found if "pids" in k), ""))


def _row(fields: list[bytes], family: int) -> SocketRow | None:
    try:
        ends = [field.split(b":") for field in fields[1:3]]
        local, peer = (_address(end[0]) for end in ends)
        if family == _AF_INET6 and peer.startswith(_V4_MAPPED):
            family, local, peer = _AF_INET, local[12:], peer[12:]
        ports = [int(end[1], 16) for end in ends]
        packed = (local.ljust(16, b"\0"), ports[0], peer.ljust(16, b"\0"), ports[1])
        return SocketRow(int(fields[9]), family, *packed, int(fields[3], 16))
    except (IndexError, ValueError):
        return None


def _address(text: bytes) -> bytes:
    """32-bit words in the machine's order, in hex, as bytes in network order."""
    raw = bytes.fromhex(text.decode("ascii"))
    return b"".join(raw[at : at + 4][:: -1 if sys.byteorder == "little" else 1] for at in range(0, len(raw), 4))


def _read(path: str, limit: int = _READ_BYTES) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - Path.open costs as much as the read
            if limit <= _READ_BYTES:  # these come whole
                return file.read(limit)
            parts, left = [], limit
            while left > 0 and (part := file.read(min(left, 1 << 16))):
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
    except OSError:
        return b""


def _status(text: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b":\t", 1) for line in text.splitlines() if b":\t" in line)


def _device(major: int, minor: int) -> int:
    return (major << 20 | minor) & 0xFFFFFFFF if major or minor else 0
