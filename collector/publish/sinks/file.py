"""A file of JSON lines, rotated by size: for shippers that follow files."""

import os
from collections.abc import Sequence
from pathlib import Path

from collector.publish.sinks.config import FileEnd
from collector.publish.sinks.port import Item, RetryError

_TAIL = 1 << 20


class FileSink:
    """Appends a line per event and syncs once per batch. A line cut off by a crash is removed at the next start."""

    def __init__(self, end: FileEnd) -> None:
        self._end = end
        self._descriptor = -1

    def send(self, items: Sequence[Item]) -> None:
        """Append. Blocks for the disk. Raises: RetryError."""
        try:
            size = self._open()
            for item in items:
                size = self._append(item.body + b"\n", size)
            os.fsync(self._descriptor)
        except OSError as error:
            raise RetryError(f"{self._end.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        """Its size; opens it where that is to be done, or where somebody else moved it away."""
        if self._descriptor >= 0 and not self._is_current():
            self.close()
        if self._descriptor < 0:
            self._end.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._end.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640)
            _cut_broken_line(self._descriptor)
        return os.fstat(self._descriptor).st_size

    def _is_current(self) -> bool:
        try:
            there = self._end.path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _append(self, line: bytes, size: int) -> int:
        if size and size + len(line) > self._end.max_bytes:
            self._rotate()
            size = self._open()
        view = memoryview(line)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return size + len(line)

    def _rotate(self) -> None:
        os.fsync(self._descriptor)
        self.close()
        path = self._end.path
        if self._end.keep == 0:
            path.unlink()
            return
        for number in range(self._end.keep - 1, 0, -1):
            older = _numbered(path, number)
            if older.exists():
                older.replace(_numbered(path, number + 1))
        path.replace(_numbered(path, 1))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _cut_broken_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    start = max(size - _TAIL, 0)
    tail = os.pread(descriptor, size - start, start)
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, start + tail.rfind(b"\n") + 1)
