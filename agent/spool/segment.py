"""One segment file: made, appended to, read, checked and deleted."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from agent.spool.frame import (
    FRAME_BYTES,
    HEADER_BYTES,
    MAX_PAYLOAD,
    Frame,
    Header,
    frames_in,
    next_chain,
    pack_frame,
    pack_header,
    salvage,
    unpack_header,
)

READ_BYTES = MAX_PAYLOAD + FRAME_BYTES  # one read always holds at least one whole frame


class Span(NamedTuple):
    """A reader's view of a segment at one moment: frames first..last end at `size`."""

    path: Path
    first_seq: int
    last_seq: int
    size: int


class Segment:
    """A file of frames. Appended to by one thread; its path may be read by another."""

    def __init__(self, path: Path, header: Header, fd: int) -> None:
        self.path = path
        self.header = header
        self.fd = fd
        self.size = HEADER_BYTES
        self.last_seq = header.first_seq - 1
        self.last_chain = header.chain

    @classmethod
    def create(cls, directory: Path, header: Header) -> Self:
        """A new, empty segment. Raises: OSError."""
        path = directory / f"segment-{header.first_seq:020d}.log"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, pack_header(header), 0)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return cls(path, header, fd)

    def append(self, payload: bytes) -> Frame:
        """Write the next frame after the last one. Raises: OSError; the file is then as before."""
        seq = self.last_seq + 1
        frame = Frame(seq, next_chain(self.last_chain, seq, payload), payload)
        self._extend(pack_frame(frame))
        self.last_seq, self.last_chain = seq, frame.chain
        return frame

    def _extend(self, data: bytes) -> None:
        try:
            write_all(self.fd, data, self.size)
        except OSError:
            self._truncate()
            raise
        self.size += len(data)

    def _truncate(self) -> None:
        try:
            os.ftruncate(self.fd, self.size)
        except OSError:
            pass  # harmless: the next frame is written over what was half written

    def span(self) -> Span:
        """What a reader may read now."""
        return Span(self.path, self.header.first_seq, self.last_seq, self.size)

    def sync(self) -> None:
        """Force it to the disk. Raises: OSError."""
        os.fdatasync(self.fd)

    def close(self) -> None:
        """Close the file, keeping it."""
        os.close(self.fd)

    def delete(self) -> None:
        """Close and remove the file."""
        self.close()
        self.path.unlink(missing_ok=True)


class Loaded(NamedTuple):
    """A segment read back: sound up to its end, or `damaged`, or cut by a crash (`torn_bytes`)."""

    segment: Segment | None
    torn_bytes: int = 0
    damaged: bool = False


def load(path: Path, before: Segment | None, last: bool) -> Loaded:
    """Open an existing file and check every frame against the sequence and the chain.

    `before` is the segment that precedes it. Only the last file may end in a torn frame: it is cut off.
    """
    data = path.read_bytes()
    header = unpack_header(data)
    if header is None:
        torn = last and not any(salvage(data))
        if torn:
            path.unlink()
        return Loaded(None, len(data) if torn else 0, damaged=not torn)
    if before is not None and header != Header(before.header.stream_id, before.last_seq + 1, before.last_chain):
        return Loaded(None, damaged=True)
    segment = Segment(path, header, os.open(path, os.O_RDWR | os.O_CLOEXEC))
    return _walk(segment, data, last)


def _walk(segment: Segment, data: bytes, last: bool) -> Loaded:
    for end, frame in frames_in(data):
        seq = segment.last_seq + 1
        if frame.seq != seq or frame.chain != next_chain(segment.last_chain, seq, frame.payload):
            return _damaged(segment)
        segment.size, segment.last_seq, segment.last_chain = end, seq, frame.chain
    torn = len(data) - segment.size
    if torn and (not last or any(salvage(data[segment.size - HEADER_BYTES :]))):
        return _damaged(segment)
    if torn:
        os.ftruncate(segment.fd, segment.size)
    return Loaded(segment, torn)


def _damaged(segment: Segment) -> Loaded:
    segment.close()
    return Loaded(None, damaged=True)


def read_from(span: Span, offset: int) -> Iterator[tuple[int, Frame]]:
    """(end offset, frame) for sound frames from `offset`, at most about one READ_BYTES of them. Raises: OSError."""
    fd = os.open(span.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, min(READ_BYTES, span.size - offset), offset)
    finally:
        os.close(fd)
    for end, frame in frames_in(data, 0):
        yield offset + end, frame


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write everything, or raise OSError (a short write means that the disk is full)."""
    if os.pwrite(fd, data, offset) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
