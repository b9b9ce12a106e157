"""A growing log file read line by line, through rotation, truncation and restarts."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.audit.checkpoint import Position, fingerprint
from collector.audit.unpack import head_of, is_packed, unpacked

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines without their ends, and the position after them, to be saved once they are committed.

    `damage` says what is wrong with the gzip they come from, told once.
    """

    lines: list[bytes]
    position: Position
    where: str
    damage: str = ""


class LineFollower:
    """Reads one path. Blocking, never waiting: `read` gives None when there is nothing new.

    The file may be absent, renamed and made anew (the old one is read to its end first), or truncated in place
    (copytruncate). A last line without its end waits, unless its file was rotated away. A line longer than
    `max_line` bytes is skipped and counted. `resume` is the position saved by an earlier run: if the path is
    another file by now, the rest is looked for among the rotated files beside it, gzipped ones too. A path that
    is itself a gzip is read to its end; another one in its place is read anew.
    """

    def __init__(self, path: Path, resume: Position | None = None, max_line: int = 4 * 1024 * 1024) -> None:
        self._path = path
        self._resume = resume
        self._max_line = max_line
        self._descriptor = -1
        self._opened: tuple[int, ...] = (
            -1,
        )  # which file it is: its inode; of a gzip also size and time, for it does not grow
        self._damage = ""
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
        """rotated, truncated, line_too_long, gzip_damaged, rotated_away (the rest of a file was gone at restart)."""
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
        path, offset = self._queue[0] if self._queue else (self._path, 0)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            del self._queue[:1]
            return False
        try:
            packed = is_packed(descriptor)
            self._opened = _identity(os.fstat(descriptor), packed)
            self._descriptor, self._damage = unpacked(descriptor) if packed else (os.dup(descriptor), "")
        finally:
            os.close(descriptor)
        self._counts["gzip_damaged"] += bool(self._damage)
        del self._queue[:1]
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
        """The path and its rotated siblings (audit.log.1, audit-2026-….log, each also .gz), oldest first."""
        name, stem, suffix = (re.escape(t) for t in (self._path.name, self._path.stem, self._path.suffix))
        rotated = re.compile(rf"(?:{name}[.-]\d[\dTZ_.:-]*|{stem}-\d[\dTZ_.:-]*{suffix})(?:\.gz)?")
        found = {p.name: p for p in self._path.parent.glob("*") if rotated.fullmatch(p.name) and not p.is_symlink()}
        # While a file is being zipped, both are there.
        beside = [p for name, p in found.items() if not (name.endswith(".gz") and name.removesuffix(".gz") in found)]
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
        return self._given(short) if whole else None

    def _position(self) -> Position:
        length, known = self._head = fingerprint(self._descriptor)
        return Position(self._opened[0], self._offset - len(self._rest), length, known)

    def _at_end(self) -> Lines | None:
        """Nothing more here: go to the next file, once it is there and this one is surely finished."""
        if not self._queue:
            try:
                stat = self._path.stat()
            except FileNotFoundError:
                return None
            if self._opened == _identity(stat, len(self._opened) > 1):
                return self._last() if len(self._opened) > 1 else None
        if os.fstat(self._descriptor).st_size > self._offset:
            return None  # grew meanwhile: read again
        self._counts["rotated"] += 1
        last = self._last()
        self.close()
        return last if last is not None else self.read()

    def _last(self) -> Lines | None:
        """The last line, whose end will not come, and what is wrong with the file; None for nothing of both."""
        rest, self._rest = self._rest, b""
        lines = [rest] if rest and not self._skipping else []
        return self._given(lines) if lines or self._damage else None

    def _given(self, lines: list[bytes]) -> Lines:
        damage, self._damage = self._damage, ""
        return Lines(lines, self._position(), str(self._path), damage)


def _identity(stat: os.stat_result, packed: bool) -> tuple[int, ...]:
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns) if packed else (stat.st_ino,)


def _is_file(path: Path, position: Position) -> bool:
    """Is this the file the position was saved in?"""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if is_packed(descriptor):  # zipped since, or all along: its content tells
            head = head_of(path, position.head_bytes)
            return bool(head) and hashlib.sha256(head).hexdigest() == position.head_hash
        stat = os.fstat(descriptor)
        same_head = fingerprint(descriptor, position.head_bytes) == (position.head_bytes, position.head_hash)
        return stat.st_ino == position.inode and stat.st_size >= position.offset and same_head
    finally:
        os.close(descriptor)
