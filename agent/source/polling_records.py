"""Records as the kernel would have written them (bpf/include/events.h), from what a look at /proc found."""

import time
from struct import Struct

from agent.decode import layout
from agent.events import EventType
from agent.source.polling_facts import Facts, SocketRow

_FORK = Struct(layout.EV_FORK_FORMAT)
_EXEC = Struct(layout.EV_EXEC_FORMAT)
_EXIT = Struct(layout.EV_EXIT_FORMAT)
_CONN = Struct(layout.EV_CONN_FORMAT)
_SOCKET = Struct(layout.EV_SOCKET_FORMAT)
_PATH_BYTES, _NAME_BYTES = 1024, 255
_IPPROTO_TCP, _SOCK_STREAM = 6, 1


def fork(facts: Facts, origin: tuple[int, int]) -> bytes:
    """A process that is new; its time is its start."""
    return _FORK.pack(*_head(EventType.FORK, layout.EV_FORK_SIZE, facts, origin, facts.seen.start_ns))


def exec_(facts: Facts, origin: tuple[int, int], time_ns: int) -> bytes:
    """A program that runs; the time is when it was noticed, or the start of its process."""
    path, cwd = components(facts.path), components(facts.cwd)
    name = facts.path.encode("utf-8", "surrogateescape")[:_PATH_BYTES]
    tail = path + facts.argv + cwd + name
    cut = layout.EV_F_TRUNCATED if facts.argv_total > len(facts.argv) else 0
    head = _head(EventType.EXEC, layout.EV_EXEC_SIZE + len(tail), facts, origin, time_ns, flags=cut)
    flags = layout.FILE_F_UNLINKED if facts.deleted else 0
    lengths = (len(path), len(facts.argv), len(cwd), len(name))
    return _EXEC.pack(*head, *facts.exe, *facts.capabilities, flags, facts.argv_total, *lengths) + tail


def exit_(facts: Facts, origin: tuple[int, int], time_ns: int) -> bytes:
    """A process that is gone. Its code is not known, and the record says so."""
    head = _head(EventType.EXIT, layout.EV_EXIT_SIZE, facts, origin, time_ns, flags=layout.EV_F_READ_FAILED)
    return _EXIT.pack(*head, 0, 0)


def connection(kind: EventType, facts: Facts, origin: tuple[int, int], row: SocketRow, time_ns: int) -> bytes:
    """A TCP connection found: CONNECT or ACCEPT."""
    head = _head(kind, layout.EV_CONN_SIZE, facts, origin, time_ns)
    return _CONN.pack(*head, *facts.exe, row.local, row.peer, row.local_port, row.peer_port, row.family, _IPPROTO_TCP)


def listener(facts: Facts, origin: tuple[int, int], row: SocketRow, time_ns: int) -> bytes:
    """A listening TCP socket found."""
    head = _head(EventType.SOCKET, layout.EV_SOCKET_SIZE, facts, origin, time_ns)
    ends = (row.local, bytes(16), row.local_port, 0, row.family, _IPPROTO_TCP)
    return _SOCKET.pack(*head, *facts.exe, *ends, _SOCK_STREAM, layout.SOCKET_LISTEN, 0, 0, 0)


def components(path: str) -> bytes:
    """A path as the kernel's walk gives it: from the leaf to the root, each component with a NUL, bounded."""
    parts = [part.encode("utf-8", "surrogateescape")[:_NAME_BYTES] for part in path.split("/") if part]
    raw = b"".join(part + b"\0" for part in reversed(parts))
    if len(raw) <= _PATH_BYTES:
        return raw
    return raw[: raw.rindex(b"\0", 0, _PATH_BYTES) + 1] + b"\0"


def boot_ns() -> int:
    """CLOCK_BOOTTIME now."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _head(
    kind: EventType, size: int, facts: Facts, origin: tuple[int, int], time_ns: int, *, flags: int = 0
) -> tuple[int | bytes, ...]:
    seen, (cgroup_id, parent_start_ns) = facts.seen, origin
    ids = (seen.pid, seen.pid, seen.ppid, facts.ns_pid, *facts.ids, *facts.namespaces, seen.tty)
    return kind, flags, size, time_ns, seen.start_ns, parent_start_ns, cgroup_id, *ids, seen.comm[:15]
