"""Reading small files other programs own: bounded, never blocking, never through a symbolic link at the end."""

import os
import stat

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TooLargeError(ValueError):
    """A file is larger than anything an honest program writes there."""


def read_regular(path: str, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises: OSError when it is absent, a link or not readable; TooLargeError when it is over the limit;
    ValueError when it is not a regular file (a pipe would block, a device may never end).
    """
    fd = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError(f"{path}: not a regular file")
        data = _read_all(fd, limit)
    finally:
        os.close(fd)
    return data


def _read_all(fd: int, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise TooLargeError(f"file over {limit} bytes")
    return b"".join(parts)


def read_proc(path: str, limit: int = 65_536) -> bytes:
    """The first `limit` bytes of a file in /proc, where files have no size. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, limit)
        # seq_file hands out one page or one record at a time.
        while len(data) < limit and (more := os.read(fd, limit - len(data))):
            data += more
    finally:
        os.close(fd)
    return data


def text(raw: bytes) -> str:
    """Bytes of unknown encoding as a string that always prints and always encodes."""
    return raw.decode("utf-8", "replace")
