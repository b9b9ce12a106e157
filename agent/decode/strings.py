"""Strings of a record's tail: bytes from a hostile place to `str`, with a bounded memory of the common ones."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
_CACHE_ENTRIES = 8192
_CACHED_BYTES = 256  # longer strings rarely repeat and would make the cache heavy


def text(raw: bytes) -> str:
    """UTF-8 where it is, U+FFFD where it is not."""
    return raw.decode("utf-8", "replace")


def comm(raw: bytes) -> str:
    """A fixed field cut at its first NUL."""
    return text(raw.partition(b"\0")[0])


def path(raw: bytes) -> str:
    """Components from the leaf to the root, each with a NUL, as a path: b"sh\\0bin\\0" is "/bin/sh".

    b"" is "/". A path that lost its root to the bound begins with "…/". Raises: ValueError without the last NUL.
    """
    if not raw:
        return "/"
    if raw[-1]:
        raise ValueError("path")
    parts = text(raw[:-1]).split("\0")
    parts.append("…" if not parts[-1] else "")
    if len(parts) > 2 and not parts[-2]:
        del parts[-2]
    parts.reverse()
    return "/".join(parts)


def arguments(raw: bytes) -> tuple[str, ...]:
    """Strings, each with a NUL; the last may have lost its own to the bound."""
    if not raw:
        return ()
    parts = text(raw).split("\0")
    if not parts[-1]:
        parts.pop()
    return tuple(parts)


class Memo(dict[bytes, T], Generic[T]):
    """`memo[raw]` is `convert(raw)`, remembered up to a bound. Not thread-safe: one per decoder."""

    def __init__(self, convert: Callable[[bytes], T]) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, raw: bytes) -> T:
        value = self._convert(raw)
        if len(raw) <= _CACHED_BYTES:
            if len(self) >= _CACHE_ENTRIES:
                self.clear()
            self[raw] = value
        return value
