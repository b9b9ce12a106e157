"""Records of calls (struct ev_call) to events."""

from collections.abc import Callable
from struct import Struct
from typing import Any

from agent.decode import layout
from agent.decode.malformed import MalformedError, check
from agent.decode.strings import Memo, text
from agent.events import Call, CallKind, EventType, FileId, Head

_CALL = Struct(layout.EV_CALL_FORMAT)
_HEAD = len(layout.EV_HEAD_OFFSETS)  # values before a record's own
_KINDS = {int(kind): kind for kind in CallKind}


class CallReader:
    """Reads one record. `head` makes its Head of the type, all unpacked values and boot_to_unix_ns."""

    def __init__(self, head: Callable[[EventType, tuple[Any, ...], int], Head]) -> None:
        self._head = head
        self._texts = Memo(text)

    def __call__(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Call:
        """Raises: MalformedError ("length", "padding", or "call" for one not in the contract), struct.error."""
        v = _CALL.unpack_from(data, at)
        ino, dev, generation, a, b, c, d, result, start_ns, cgroup_id, pid, kind, text_len, pad = v[_HEAD:]
        text_at = at + layout.EV_CALL_SIZE
        check(size, layout.EV_CALL_SIZE + text_len, pad)
        if kind not in _KINDS:
            raise MalformedError("call")
        return Call(
            self._head(EventType.CALL, v, boot_to_unix),
            FileId(ino, dev, generation),
            _KINDS[kind],
            (a, b, c, d),
            result,
            pid,
            start_ns,
            cgroup_id,
            self._texts[data[text_at : text_at + text_len]],
        )
