"""The spool: what core appends, the sender reads, and the collector's acknowledgement deletes.

Durability. An append reaches the operating system at once, so a crash of the agent loses nothing; a thread forces
the file to the disk at most every `sync_interval_s`, so the core never waits for the disk. A frame is readable only
once it is on the disk: a power cut can take the newest frames, but never one that a collector has already seen.
Were it otherwise, the agent would give their numbers out again for other records.
"""

import fcntl
import logging
import os
import secrets
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from agent.errors import SpoolCorruptError, SpoolError
from agent.spool.frame import FIRST_CHAIN, FRAME_BYTES, HEADER_BYTES, MAX_PAYLOAD, Frame, Header, salvage
from agent.spool.segment import Loaded, Segment, Span, load, read_from

log = logging.getLogger(__name__)

MIN_CAP = 256 << 10
_SEGMENT_RANGE = (32 << 10, 4 << 20)


class Priority(IntEnum):
    """What goes first when the spool is nearly full: LOW, then FINDING; LEDGER stays until the very end."""

    LOW = 1
    FINDING = 2
    LEDGER = 3


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """How the spool stands. `refused` is by cause, since start; `fresh`: this run began a new stream."""

    stream_id: str
    oldest_seq: int
    newest_seq: int
    acked_seq: int
    size_bytes: int
    cap_bytes: int
    refused: Mapping[str, int]
    torn_bytes: int
    corruptions: int
    fresh: bool


class Spool:
    """An append-only sequence of frames on disk, numbered from 1 without gaps.

    One thread appends, one reads and acknowledges; any may ask. Raises: SpoolError when the directory
    cannot be used or another agent uses it.
    """

    def __init__(self, directory: Path, cap_bytes: int = 256 << 20, *, sync_interval_s: float = 0.05) -> None:
        if cap_bytes < MIN_CAP:
            raise SpoolError(f"spool cap {cap_bytes}: give at least {MIN_CAP} bytes")
        self._directory = directory
        self._cap = cap_bytes
        self._limits = _limits(cap_bytes)
        self._segment_bytes = min(max(cap_bytes // 16, _SEGMENT_RANGE[0]), _SEGMENT_RANGE[1])
        self._sync_interval_s = sync_interval_s
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._refused: Counter[str] = Counter()
        self._segments: list[Segment] = []
        self._acked = self._durable = self._torn = self._corruptions = self._generation = 0
        self._place = (0, Path(), 0)  # (seq, path, offset): where the reader goes on
        self._fresh = False
        self._lock_fd = _claim(directory)
        try:
            self._open()
        except OSError as error:
            os.close(self._lock_fd)
            raise SpoolError(f"spool {directory}: {error.strerror}; free the disk or choose another place") from error
        self._syncer = threading.Thread(target=self._sync_forever, name="spool-sync", daemon=True)
        self._syncer.start()

    # -- appending

    def append(self, payload: bytes, *, priority: Priority) -> int | None:
        """Add a record; its sequence number, or None when it was refused (counted by cause, no number is used)."""
        with self._changed:
            cause = self._refusal(len(payload), priority)
            if cause is None:
                try:
                    seq = self._append(payload)
                    self._changed.notify_all()
                    return seq
                except OSError as error:
                    cause = "spool_disk_full" if error.errno in _FULL else "spool_io_error"
            self._refused[cause] += 1
            return None

    def _refusal(self, length: int, priority: Priority) -> str | None:
        if length > MAX_PAYLOAD:
            return "spool_too_large"
        if self._size() + length + FRAME_BYTES > self._limits[priority]:
            return f"spool_cap_{priority.name.lower()}"
        return None

    def _append(self, payload: bytes) -> int:
        active = self._segments[-1]
        if active.size >= self._segment_bytes:
            active = self._roll()
        return active.append(payload).seq

    def _roll(self) -> Segment:
        """Close the active segment and begin the next. Raises: OSError; the active one then stays."""
        active = self._segments[-1]
        new = Segment.create(self._directory, Header(active.header.stream_id, active.last_seq + 1, active.last_chain))
        self._sync(active)
        self._durable = active.last_seq
        self._segments.append(new)
        return new

    def _size(self) -> int:
        return sum(segment.size for segment in self._segments)

    # -- reading

    def read(self, after_seq: int, limit: int) -> list[Frame]:
        """Up to `limit` frames that follow `after_seq`, oldest first; about 1 MiB of them at most.

        Begins with the oldest frame when `after_seq` lies before it. Raises: SpoolCorruptError.
        """
        with self._changed:
            durable, place = self._durable, self._place
            span = next((s.span() for s in self._segments if s.last_seq > after_seq), None)
        if span is None or durable <= after_seq:
            return []
        first = max(after_seq + 1, span.first_seq)
        offset = place[2] if place[:2] == (first, span.path) else self._seek(span, first)
        frames: list[Frame] = []
        for end, frame in self._checked(span, offset, first):
            if len(frames) == limit or frame.seq > durable:
                break
            frames.append(frame)
            offset = end
        if frames:
            self._place = (frames[-1].seq + 1, span.path, offset)
        return frames

    def _seek(self, span: Span, seq: int) -> int:
        """Where frame `seq` begins."""
        offset, expected = HEADER_BYTES, span.first_seq
        while expected < seq:
            for end, frame in self._checked(span, offset, expected):
                if frame.seq == seq:
                    return offset
                offset, expected = end, frame.seq + 1
        return offset

    def _checked(self, span: Span, offset: int, expected: int) -> list[tuple[int, Frame]]:
        frames = list(read_from(span, offset))
        if [frame.seq for _, frame in frames] != list(range(expected, expected + len(frames))) or not frames:
            raise SpoolCorruptError(f"spool {span.path}: record {expected} is damaged")
        return frames

    def wait(self, after_seq: int, timeout_s: float) -> bool:
        """Wait until a frame after `after_seq` can be read; False when none came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._durable > after_seq, timeout_s)

    def ack(self, seq: int) -> None:
        """Everything up to `seq` is safe elsewhere: delete the segments that hold nothing else."""
        with self._changed:
            self._acked = max(self._acked, min(seq, self._segments[-1].last_seq))
            self._retire_active()
            while len(self._segments) > 1 and self._segments[0].last_seq <= self._acked:
                self._segments.pop(0).delete()

    def _retire_active(self) -> None:
        active = self._segments[-1]
        if active.last_seq <= self._acked and active.size > self._segment_bytes // 4:
            try:
                self._roll()
            except OSError:
                pass  # no room for a new file now; this one stays until there is

    # -- knowing

    @property
    def stream_id(self) -> str:
        """Random id of this sequence."""
        with self._changed:
            return self._segments[0].header.stream_id

    @property
    def oldest_seq(self) -> int:
        """Number of the oldest record still here; 0: none is."""
        with self._changed:
            return self._oldest()

    def _oldest(self) -> int:
        first = self._segments[0].header.first_seq
        return first if self._segments[-1].last_seq >= first else 0

    @property
    def newest_seq(self) -> int:
        """Number of the newest record ever appended; 0: none."""
        with self._changed:
            return self._segments[-1].last_seq

    def status(self) -> SpoolStatus:
        """How it stands now."""
        with self._changed:
            return SpoolStatus(
                stream_id=self._segments[0].header.stream_id,
                oldest_seq=self._oldest(),
                newest_seq=self._segments[-1].last_seq,
                acked_seq=self._acked,
                size_bytes=self._size(),
                cap_bytes=self._cap,
                refused=dict(self._refused),
                torn_bytes=self._torn,
                corruptions=self._corruptions,
                fresh=self._fresh,
            )

    # -- opening, saving, closing

    def _open(self) -> None:
        problem = self._load()
        if problem:
            self._corruptions += 1
            log.error("spool %s: %s; its sound records go into a new stream", self._directory, problem)
            self._set_aside()
        if not self._segments:
            self._begin()
        self._save_old()
        for segment in self._segments:
            self._sync(segment)
        self._durable = self._segments[-1].last_seq

    def _load(self) -> str:
        """Read the segments back; "" or what is wrong with them."""
        paths = sorted(self._directory.glob("segment-*.log"))
        for path in paths:
            before = self._segments[-1] if self._segments else None
            found: Loaded = load(path, before, last=path == paths[-1])
            self._torn += found.torn_bytes
            if found.torn_bytes:
                log.warning("spool %s: cut %d bytes that a crash left unfinished", path, found.torn_bytes)
            if found.damaged:
                return f"{path.name} is damaged"
            if found.segment is not None:
                self._segments.append(found.segment)
        return ""

    def recover(self) -> None:
        """Begin a new stream with every record that is still sound; the others are lost, and counted.

        For a spool that is damaged, or whose numbers a collector knows for other records. Raises: SpoolError.
        """
        with self._changed:
            self._corruptions += 1
            try:
                self._set_aside()
                self._begin()
                self._save_old()
                self._sync(self._segments[-1])
            except OSError as error:
                raise SpoolError(f"spool {self._directory}: {error.strerror}; free the disk") from error
            self._durable = self._segments[-1].last_seq
            self._changed.notify_all()

    def _set_aside(self) -> None:
        for segment in self._segments:
            segment.close()
        self._segments = []
        for path in self._directory.glob("segment-*.log"):
            path.rename(path.with_name("old-" + path.name))

    def _begin(self) -> None:
        self._generation += 1
        self._place = (0, Path(), 0)
        self._acked = self._durable = 0
        self._fresh = True
        self._segments = [Segment.create(self._directory, Header(secrets.token_hex(16), 1, FIRST_CHAIN))]
        log.info("spool %s: new stream %s", self._directory, self._segments[0].header.stream_id)

    def _save_old(self) -> None:
        for path in sorted(self._directory.glob("old-*.log")):
            for frame in salvage(path.read_bytes()):
                self._append(frame.payload)
            self._sync(self._segments[-1])
            path.unlink()

    def close(self) -> None:
        """Force everything to the disk and let go of the directory; again does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._syncer.join()
        with self._changed:
            self._sync(self._segments[-1])
            for segment in self._segments:
                segment.close()
            os.close(self._lock_fd)

    # -- the disk

    def _sync(self, segment: Segment) -> None:
        try:
            segment.sync()
        except OSError:
            # The disk refuses; holding the records back as well would help nobody.
            self._refused["spool_sync_error"] += 1

    def _sync_forever(self) -> None:
        while self._sync_once():
            self._closing.wait(self._sync_interval_s)

    def _sync_once(self) -> bool:
        """Wait for something to force to the disk, and do it, without holding up an append."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing.is_set() or self._durable < self._segments[-1].last_seq)
            if self._closing.is_set():
                return False
            generation, newest = self._generation, self._segments[-1].last_seq
            fd = os.dup(self._segments[-1].fd)
        failed = not _fdatasync(fd)
        with self._changed:
            if failed:
                self._refused["spool_sync_error"] += 1
            if generation == self._generation:
                self._durable = max(self._durable, newest)
            self._changed.notify_all()
        return True


_FULL = (28, 122)  # ENOSPC, EDQUOT


def _limits(cap: int) -> dict[Priority, int]:
    findings = cap - max(cap // 16, 64 << 10)
    return {Priority.LOW: findings * 8 // 10, Priority.FINDING: findings, Priority.LEDGER: cap}


def _claim(directory: Path) -> int:
    """Make the directory ours alone. Raises: SpoolError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpoolError(f"spool {directory}: {error.strerror}; choose a directory this user can write") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise SpoolError(f"spool {directory}: another agent uses it; stop that one or choose another") from error
    return fd


def _fdatasync(fd: int) -> bool:
    try:
        os.fdatasync(fd)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
