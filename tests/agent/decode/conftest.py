"""Real records, rebuilt from the generated layout: one maker for each type."""

from collections.abc import Callable
from struct import Struct
from types import SimpleNamespace

import pytest

from agent.decode import layout
from agent.events import RawBatch

TASK = (10**12, 9 * 10**11, 4242, 100, 101, 99, 7, 1000, 1001, 0, 1002, 11, 12, 13, 34816, b"sh")
EXE, FILE = (7, 266338304, 3), (8, 266338304, 4)


def record(kind: int, form: str, body: tuple[object, ...], tail: bytes = b"", flags: int = 0) -> bytes:
    """The bytes the kernel would write."""
    packer = Struct(form)
    return packer.pack(kind, flags, packer.size + len(tail), 5_000, *TASK, *body) + tail


def make_exec(
    argv: bytes = b"sh\0-c\0id\0", path: bytes = b"sh\0bin\0", cwd: bytes = b"tmp\0", name: bytes = b"/bin/sh"
) -> bytes:
    """An exec of /bin/sh."""
    body = (*EXE, 1, 2, layout.FILE_F_OVERLAY, len(argv), len(path), len(argv), len(cwd), len(name))
    return record(layout.EV_EXEC, layout.EV_EXEC_FORMAT, body, path + argv + cwd + name)


def make_open(path: bytes = b"passwd\0etc\0", flags: int = 0) -> bytes:
    """A write to /etc/passwd."""
    body = (*EXE, *FILE, layout.FILE_F_WRITE, 1, 0o100644, 0xEF53, len(path), 0, 77)
    return record(layout.EV_OPEN, layout.EV_OPEN_FORMAT, body, path, flags)


def make_conn(kind: int = layout.EV_CONNECT, family: int = 2, peer: bytes = bytes([10, 0, 0, 9])) -> bytes:
    """A connection to port 443."""
    body = (*EXE, bytes(16), peer.ljust(16, b"\0"), 0, 443, family, 6)
    return record(kind, layout.EV_CONN_FORMAT, body)


def all_records() -> list[bytes]:
    """One record of each type, and of each family of addresses."""
    group = (77, 2, 7, 0)
    return [
        record(layout.EV_FORK, layout.EV_FORK_FORMAT, ()),
        make_exec(),
        record(layout.EV_EXIT, layout.EV_EXIT_FORMAT, (256, 0)),
        make_open(),
        make_conn(),
        make_conn(layout.EV_ACCEPT, 10, bytes(15) + b"\1"),
        record(layout.EV_CHMOD, layout.EV_CHMOD_FORMAT, (0o4755, 6, 0), b"./suid"),
        record(layout.EV_CGROUP_MKDIR, layout.EV_CGROUP_FORMAT, group, b"/a/b/c\0"),
        record(layout.EV_CGROUP_RMDIR, layout.EV_CGROUP_FORMAT, group, b"/a/b/c\0"),
        *_later_records(),
    ]


def _later_records() -> list[bytes]:
    """From EV_CALL on."""
    peer = bytes([10, 0, 0, 9]).ljust(16, b"\0")
    call = (*EXE, 1, 2, 3, 4, -1, 0, 0, 0, layout.CALL_KEYCTL, 4, bytes(6))
    path = (*EXE, *FILE, 0, 0, layout.PATH_RENAME, 0, 6, 6, 0, 0)
    socket = (*EXE, peer, peer, 5353, 53, 2, 17, 2, layout.SOCKET_CONNECT, 0, 0, 0)
    message = bytes([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1, 0, 1])
    return [
        record(layout.EV_CALL, layout.EV_CALL_FORMAT, call, b"user"),
        record(layout.EV_PATH, layout.EV_PATH_FORMAT, path, b"f\0tmp\0g\0tmp\0"),
        record(layout.EV_SOCKET, layout.EV_SOCKET_FORMAT, socket),
        record(layout.EV_DNS, layout.EV_DNS_FORMAT, (*EXE, peer, 53, 2, len(message), 0, 0), message),
        record(layout.EV_THROTTLE, layout.EV_THROTTLE_FORMAT, (77, 5, 1, layout.EV_OPEN, 1)),
    ]


def batch(*records: bytes, shift: int = 0) -> RawBatch:
    """Records as the ring gives them."""
    return RawBatch(b"".join(records), len(records), shift)


@pytest.fixture
def make() -> SimpleNamespace:
    """The makers above."""
    makers: dict[str, Callable[..., object]] = {
        "record": record,
        "exec": make_exec,
        "open": make_open,
        "conn": make_conn,
        "all": all_records,
        "batch": batch,
    }
    return SimpleNamespace(**makers)
