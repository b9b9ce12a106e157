"""A growing log file read line by line, through rotation, truncation and restarts."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.audit.checkpoint import Position, fingerprint

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines without their ends, and the position after them, to be saved once they are committed."""

    lines: list[bytes]
    position: Position
    where: str


class LineFollower:
    """Reads one path. Blocking, never waiting: `read` gives None when there is nothing new.

    The file may be absent, renamed and made anew (the old one is read to its end first), or truncated in place
    (copytruncate). A last line without its end waits, unless its file was rotated away. A line longer than
    `max_line` bytes is skipped and counted. `resume` is the position saved by an earlier run: if the path is
    another file by now, the rest is looked for among the rotated files beside it.
    """

    def __init__(self, path: Path, resume: Position | None = None, max_line: int = 4 * 1024 * 1024) -> None:
        self._path = path
        self._resume = resume
        self._max_line = max_line
        self._descriptor = -1
        self._offset = 0  # of the first byte not yet read
        self._rest = b""  # bytes before it that are no whole line yet
        self._skipping = False  # inside a line that is too long
        self._head = (0, "")
        self._queue: list[tuple[Path, int]] = []  # rotated files still to be read, from which offset
        self._counts: Counter[str] = Counter()

    def read(self) -> Lines | None:
        """The next whole lines (about 256 KiB), None when there are none now. Raises: OSError but for absence."""
        if self._descriptor < 0 and not self._open():
            return None
        if self._was_truncated():
            self._counts["truncated"] += 1
            self._start(0)
        while chunk := os.pread(self._descriptor, _CHUNK, self._offset):
            self._offset += len(chunk)
            lines = self._lines(self._rest + chunk)
            if lines is not None:
                return lines
        return self._at_end()

    def counters(self) -> Mapping[str, int]:
        """rotated, truncated, line_too_long, rotated_away (the rest of a file was gone at restart)."""
        return dict(+self._counts)

    def close(self) -> None:
        """Release the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> bool:
        if self._resume is not None:
            self._find_resumed(self._resume)
            self._resume = None
        path, offset = self._queue.pop(0) if self._queue else (self._path, 0)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        self._start(offset)
        return True

    def _start(self, offset: int) -> None:
        self._offset, self._rest, self._skipping = offset, b"", False
        self._head = fingerprint(self._descriptor)

    def _find_resumed(self, position: Position) -> None:
        """Queue the file the position was in, and those rotated after it, oldest first."""
        files = self._candidates()
        for index, path in enumerate(files):
            if _is_file(path, position):
                self._queue = [(path, position.offset), *((later, 0) for later in files[index + 1 :])]
                return
        self._counts["rotated_away"] += 1

    def _candidates(self) -> list[Path]:
        """The path and its rotated siblings (audit.log.1, audit-2026-….log), oldest first; not compressed ones."""
        name, stem, suffix = (re.escape(t) for t in (self._path.name, self._path.stem, self._path.suffix))
        rotated = re.compile(rf"{name}[.-]\d[\dTZ_.:-]*|{stem}-\d[\dTZ_.:-]*{suffix}")
        beside = [p for p in self._path.parent.glob("*") if rotated.fullmatch(p.name) and not p.is_symlink()]
        files = [p for p in (*beside, self._path) if p.is_file()]
        return sorted(files, key=lambda p: (p.stat().st_mtime_ns, p == self._path, p.name))

    def _was_truncated(self) -> bool:
        length, known = self._head
        if os.fstat(self._descriptor).st_size < self._offset or fingerprint(self._descriptor, length) != (
            length,
            known,
        ):
            return True
        if length < 256:
            self._head = fingerprint(self._descriptor)
        return False

    def _lines(self, data: bytes) -> Lines | None:
        *whole, self._rest = data.split(b"\n")
        if self._skipping and whole:
            whole, self._skipping = whole[1:], False
        if self._skipping or len(self._rest) > self._max_line:
            self._counts["line_too_long"] += not self._skipping
            self._rest, self._skipping = b"", True
        short = [line for line in whole if len(line) <= self._max_line]
        self._counts["line_too_long"] += len(whole) - len(short)
        return Lines(short, self._position(), str(self._path)) if whole else None

    def _position(self) -> Position:
        length, known = self._head = fingerprint(self._descriptor)
        inode = os.fstat(self._descriptor).st_ino
        return Position(inode, self._offset - len(self._rest), length, known)

    def _at_end(self) -> Lines | None:
        """Nothing more here: go to the next file, once it is there and this one is surely finished."""
        if not self._queue:
            try:
                stat = self._path.stat()
            except FileNotFoundError:
                return None
            if stat.st_ino == os.fstat(self._descriptor).st_ino:
                return None
        if os.fstat(self._descriptor).st_size > self._offset:
            return None  # grew meanwhile: read again
        self._counts["rotated"] += 1
        rest, self._rest = self._rest, b""
        last = Lines([rest], self._position(), str(self._path)) if rest and not self._skipping else None
        self.close()
        return last if last is not None else self.read()


def _is_file(path: Path, position: Position) -> bool:
    """Is this the file the position was saved in?"""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        stat = os.fstat(descriptor)
        same_head = fingerprint(descriptor, position.head_bytes) == (position.head_bytes, position.head_hash)
        return stat.st_ino == position.inode and stat.st_size >= position.offset and same_head
    finally:
        os.close(descriptor)
