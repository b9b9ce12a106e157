"""The reader of throttle records."""

from collections.abc import Callable
from struct import Struct
from typing import Any

from agent.decode import layout
from agent.decode.malformed import MalformedError, check
from agent.events import EventType, Head, Throttle

_THROTTLE = Struct(layout.EV_THROTTLE_FORMAT)
_HEAD = len(layout.EV_HEAD_OFFSETS)  # values before a record's own
_CLASSES = frozenset(EventType)
_MakeHead = Callable[[EventType, tuple[Any, ...], int], Head]


class ThrottleReader:
    """Bytes to Throttle events. Raises: MalformedError with "length" or "class", struct.error."""

    def __init__(self, make_head: _MakeHead) -> None:
        self._make_head = make_head

    def __call__(self, data: bytes, at: int, size: int, boot_to_unix: int) -> Throttle:
        v = _THROTTLE.unpack_from(data, at)
        cgroup_id, held_back, since_ns, kind, stop = v[_HEAD:]
        check(size, layout.EV_THROTTLE_SIZE)
        if kind not in _CLASSES:
            raise MalformedError("class")
        head = self._make_head(EventType.THROTTLE, v, boot_to_unix)
        return Throttle(head, cgroup_id, EventType(kind), held_back, since_ns + boot_to_unix, bool(stop))
