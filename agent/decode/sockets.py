"""Socket records (struct ev_socket): addresses for IP, a name for unix sockets."""

from collections.abc import Callable
from struct import Struct
from typing import Any

from agent.decode import layout
from agent.decode.malformed import MalformedError, check
from agent.decode.strings import Memo, text
from agent.events import Address, EventType, FileId, Head, Socket, SocketOp

_SOCKET = Struct(layout.EV_SOCKET_FORMAT)
_HEAD = len(layout.EV_HEAD_OFFSETS)
ADDRESS_BYTES = {2: 4, 10: 16}  # by AF_*
_AF_UNIX = 1
_OPS = {int(op): op for op in SocketOp}

MakeHead = Callable[[EventType, tuple[Any, ...], int], Head]


class SocketReader:
    """Reads one record. Raises: MalformedError, struct.error."""

    def __init__(self, head: MakeHead, addresses: Memo[Address]) -> None:
        self._head = head
        self._addresses = addresses
        self._names = Memo(unix_name)

    def __call__(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Socket:
        v = _SOCKET.unpack_from(data, at)
        *exe, local, peer, local_port, peer_port, family, protocol, kind, op, result, name_len, pad = v[_HEAD:]
        check(size, layout.EV_SOCKET_SIZE + name_len, pad)
        if op not in _OPS:
            raise MalformedError("op")
        n = ADDRESS_BYTES.get(family)
        name_at = at + layout.EV_SOCKET_SIZE
        return Socket(
            self._head(EventType.SOCKET, v, boot_to_unix),
            FileId(*exe),
            _OPS[op],
            family,
            kind,
            protocol,
            self._addresses[local[:n]] if n else None,
            local_port,
            self._addresses[peer[:n]] if n else None,
            peer_port,
            result,
            self._names[data[name_at : name_at + name_len]] if family == _AF_UNIX else "",
        )


def unix_name(raw: bytes) -> str:
    """A path as it was bound, up to its NUL; an abstract name, which begins with NUL, with "@" for each NUL."""
    if raw[:1] == b"\0":
        return text(raw.replace(b"\0", b"@"))
    return text(raw.partition(b"\0")[0])
