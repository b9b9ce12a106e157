"""One method per record type: bytes at an offset to an event. Formats come from the generated layout."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Any

from agent.decode import layout
from agent.decode.calls import CallReader
from agent.decode.dns import DnsReader
from agent.decode.malformed import MalformedError
from agent.decode.malformed import check as _check
from agent.decode.paths import PathReader
from agent.decode.sockets import SocketReader
from agent.decode.strings import Memo, arguments, comm, path, text
from agent.decode.throttle import ThrottleReader
from agent.events import (
    Address,
    Cgroup,
    Chmod,
    Connection,
    Event,
    EventType,
    Exec,
    Exit,
    FileId,
    Fork,
    Head,
    Open,
    Task,
)

_FORK = Struct(layout.EV_FORK_FORMAT)
_EXEC = Struct(layout.EV_EXEC_FORMAT)
_EXIT = Struct(layout.EV_EXIT_FORMAT)
_OPEN = Struct(layout.EV_OPEN_FORMAT)
_CONN = Struct(layout.EV_CONN_FORMAT)
_CHMOD = Struct(layout.EV_CHMOD_FORMAT)
_CGROUP = Struct(layout.EV_CGROUP_FORMAT)
_HEAD = len(layout.EV_HEAD_OFFSETS)  # values before a record's own
_AF_INET, _AF_INET6 = 2, 10

Reader = Callable[[bytes, int, int, int], Event]
_make_task: Callable[[Any], Task] = Task._make


class Records:
    """The readers of every type, and the strings they have met. One per thread."""

    def __init__(self) -> None:
        self._comms = Memo(comm)
        self._paths = Memo(path)
        self._texts = Memo(text)
        self._argvs = Memo(arguments)
        self._addresses: Memo[Address] = Memo(_address)

    def readers(self) -> dict[int, Reader]:
        """Type → reader(data, offset, size, boot_to_unix_ns). Readers raise MalformedError or struct.error."""
        return {
            EventType.FORK: self.fork,
            EventType.EXEC: self.exec,
            EventType.EXIT: self.exit,
            EventType.OPEN: self.open,
            EventType.CONNECT: self.connection,
            EventType.ACCEPT: self.connection,
            EventType.CHMOD: self.chmod,
            EventType.CGROUP_MKDIR: self.cgroup,
            EventType.CGROUP_RMDIR: self.cgroup,
            EventType.CALL: CallReader(self._head),
            EventType.PATH: PathReader(self._head),
            EventType.SOCKET: SocketReader(self._head, self._addresses),
            EventType.DNS: DnsReader(self._head, self._addresses),
            EventType.THROTTLE: ThrottleReader(self._head),
        }

    def _head(self, kind: EventType, v: tuple[Any, ...], boot_to_unix: int) -> Head:
        return Head(kind, v[1], v[3] + boot_to_unix, _make_task((*v[4:19], self._comms[v[19]])))

    def _path(self, raw: bytes, flags: int) -> str:
        if not raw and flags & layout.EV_F_READ_FAILED:
            return ""
        try:
            return self._paths[raw]
        except ValueError:
            raise MalformedError("path") from None

    def fork(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Fork:
        v = _FORK.unpack_from(data, at)
        _check(size, layout.EV_FORK_SIZE)
        return Fork(self._head(EventType.FORK, v, boot_to_unix))

    def exec(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Exec:
        v = _EXEC.unpack_from(data, at)
        ino, dev, generation, permitted, effective, exe_flags, total, path_len, argv_len, cwd_len, name_len = v[_HEAD:]
        path_at = at + layout.EV_EXEC_SIZE
        argv_at = path_at + path_len
        cwd_at = argv_at + argv_len
        name_at = cwd_at + cwd_len
        _check(size, name_at + name_len - at)
        return Exec(
            self._head(EventType.EXEC, v, boot_to_unix),
            FileId(ino, dev, generation),
            exe_flags,
            permitted,
            effective,
            self._path(data[path_at:argv_at], v[1]),
            self._argvs[data[argv_at:cwd_at]],
            total,
            self._path(data[cwd_at:name_at], v[1]),
            self._texts[data[name_at : name_at + name_len]],
        )

    def exit(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Exit:
        v = _EXIT.unpack_from(data, at)
        _check(size, layout.EV_EXIT_SIZE, v[-1])
        return Exit(self._head(EventType.EXIT, v, boot_to_unix), v[_HEAD])

    def open(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Open:
        v = _OPEN.unpack_from(data, at)
        *ids, file_flags, open_flags, mode, magic, path_len, pad, name = v[_HEAD:]
        _check(size, layout.EV_OPEN_SIZE + path_len, pad)
        path_at = at + layout.EV_OPEN_SIZE
        return Open(
            self._head(EventType.OPEN, v, boot_to_unix),
            FileId(*ids[:3]),
            FileId(*ids[3:]),
            file_flags,
            open_flags,
            mode,
            magic,
            self._path(data[path_at : path_at + path_len], v[1]),
            name,
        )

    def connection(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Connection:
        v = _CONN.unpack_from(data, at)
        ino, dev, generation, local, peer, local_port, peer_port, family, protocol = v[_HEAD:]
        _check(size, layout.EV_CONN_SIZE)
        if family not in (_AF_INET, _AF_INET6):
            raise MalformedError("family")
        bytes_of_address = 4 if family == _AF_INET else 16
        return Connection(
            self._head(EventType.ACCEPT if v[0] == EventType.ACCEPT else EventType.CONNECT, v, boot_to_unix),
            FileId(ino, dev, generation),
            self._addresses[local[:bytes_of_address]],
            local_port,
            self._addresses[peer[:bytes_of_address]],
            peer_port,
            protocol,
        )

    def chmod(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Chmod:
        v = _CHMOD.unpack_from(data, at)
        mode, path_len, pad = v[_HEAD:]
        _check(size, layout.EV_CHMOD_SIZE + path_len, pad)
        path_at = at + layout.EV_CHMOD_SIZE
        return Chmod(
            self._head(EventType.CHMOD, v, boot_to_unix), mode, self._texts[data[path_at : path_at + path_len]]
        )

    def cgroup(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Cgroup:
        v = _CGROUP.unpack_from(data, at)
        ident, level, path_len, pad = v[_HEAD:]
        _check(size, layout.EV_CGROUP_SIZE + path_len, pad)
        kind = EventType.CGROUP_MKDIR if v[0] == EventType.CGROUP_MKDIR else EventType.CGROUP_RMDIR
        path_at = at + layout.EV_CGROUP_SIZE
        name = self._texts[data[path_at : path_at + path_len]]
        return Cgroup(self._head(kind, v, boot_to_unix), ident, level, name)


def _address(raw: bytes) -> Address:
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)
