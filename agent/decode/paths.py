"""Records of changes of the file tree (struct ev_path) to events."""

from collections.abc import Callable
from struct import Struct
from typing import Any

from agent.decode import layout
from agent.decode.malformed import MalformedError, check
from agent.decode.strings import Memo, path, text
from agent.events import EventType, FileId, Head, PathChange, PathOp

_PATH = Struct(layout.EV_PATH_FORMAT)
_HEAD = len(layout.EV_HEAD_OFFSETS)  # values before a record's own
_OPS = {int(op): op for op in PathOp}
_WITH_TARGET = frozenset({PathOp.RENAME, PathOp.LINK, PathOp.MOUNT, PathOp.PIVOT_ROOT})
_MS_BIND, _MS_MOVE = 0x1000, 0x2000


class PathReader:
    """Reads one record. `head` makes its Head of the type, all unpacked values and boot_to_unix_ns."""

    def __init__(self, head: Callable[[EventType, tuple[Any, ...], int], Head]) -> None:
        self._head = head
        self._paths = Memo(path)
        self._given = Memo(given_path)
        self._texts = Memo(text)

    def __call__(self, data: bytes, at: int, size: int, boot_to_unix: int) -> PathChange:
        """Raises: MalformedError ("length", "padding", "path", or "op" for one not in the contract), struct.error."""
        v = _PATH.unpack_from(data, at)
        *exe, ino, dev, generation, a, b, kind, file_flags, path_len, target_len, text_len, pad = v[_HEAD:]
        check(size, layout.EV_PATH_SIZE + path_len + target_len + text_len, pad)
        if kind not in _OPS:
            raise MalformedError("op")
        op, flags = _OPS[kind], v[1]
        target_at = at + layout.EV_PATH_SIZE + path_len
        text_at = target_at + target_len
        target = data[target_at:text_at]
        is_text = op not in _WITH_TARGET or (op is PathOp.MOUNT and not a & (_MS_BIND | _MS_MOVE))
        return PathChange(
            self._head(EventType.PATH, v, boot_to_unix),
            FileId(*exe),
            FileId(ino, dev, generation),
            op,
            file_flags,
            (a, b),
            self._path(data[at + layout.EV_PATH_SIZE : target_at], flags),
            self._texts[target] if is_text else self._path(target, flags),
            self._texts[data[text_at : text_at + text_len]],
        )

    def _path(self, raw: bytes, flags: int) -> str:
        if not raw and flags & layout.EV_F_READ_FAILED:
            return ""
        try:
            return self._given[raw] if flags & layout.EV_F_USER_PATH else self._paths[raw]
        except ValueError:
            raise MalformedError("path") from None


def given_path(raw: bytes) -> str:
    """The caller's string, a NUL, and the components of where it starts (as in `path`), as one path.

    b"../x\\0b\\0a\\0" is "/a/x". Empty, "." and ".." are resolved by name alone: what a symbolic link among
    them leads to is not known. Raises: ValueError without the last NUL.
    """
    whole = path(raw)
    if "//" not in whole and "/." not in whole and (whole[-1] != "/" or whole == "/"):
        return whole
    kept: list[str] = []
    for part in whole.split("/"):
        if part == "..":
            if kept and kept != ["…"]:
                kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept) if kept[:1] == ["…"] else "/" + "/".join(kept)
