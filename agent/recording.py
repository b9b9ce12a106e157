"""The file format of recordings: what the sensor said and what the host said, in order, in frames.

A file is MAGIC, format version and ABI version, then frames. A frame is its head (kind, packed or not, stored length,
raw length, CRC-32 of head and payload), then the payload, deflated where that made it smaller. Little endian. Every
length is checked before memory is taken for it; a file that ends within a frame is read up to there.
"""

import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import BinaryIO, NamedTuple

from agent.decode.layout import ABI_VERSION
from agent.errors import AgentError
from agent.events import RawBatch

MAGIC = b"\x89VDREC\r\n"
VERSION = 1
MOST_BYTES = 32 << 20  # of one frame's payload: the largest file identify reads is 16 MiB
_START = Struct("<8sHH4x")
_FRAME = Struct("<BB2xIII")
_BATCH = Struct("<qqI")
_FACT = Struct("<BBHI")
_MOST_PATH = 0xFFFF
_SMALL = 128  # not worth deflating
_LEVEL = 1


class RecordingError(AgentError):
    """A file is not a recording, or not one this version can play."""


class Kind(IntEnum):
    """What a frame holds."""

    ABOUT = 1  # JSON: boot id, node and so on; the first frame
    FACTS = 2  # what the host said, before the batch that asked
    SEEDED = 3  # empty: the snapshot of what was there before the recording is complete
    BATCH = 4  # records of the sensor
    COUNTERS = 5  # JSON: class → cause → count
    BEHAVIOURS = 6  # the novelty filter's keys whose count grew, and their counts
    END = 7  # JSON: why the recording ended; the last frame


_KINDS = frozenset(Kind)


class Verb(IntEnum):
    """What was asked of the host."""

    READ = 1
    LINK = 2
    INODE = 3
    ENTRIES = 4


class State(IntEnum):
    """How the host answered."""

    SAID = 0
    ABSENT = 1
    REFUSED = 2  # too large, or not a regular file


class Fact(NamedTuple):
    """One answer. `value` is the content, the link, 8 bytes of inode number, or JSON [[name, is_dir, inode], …]."""

    verb: Verb
    path: str
    state: State
    value: bytes


class Frame(NamedTuple):
    """One frame, unpacked and checked."""

    kind: Kind
    payload: bytes


class RecordingWriter:
    """Writes frames. Raises: OSError. `size` is the file's so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.write(_START.pack(MAGIC, VERSION, ABI_VERSION))

    def write(self, kind: Kind, *parts: bytes) -> None:
        """Append one frame of the parts, one after the other. Raises: ValueError over MOST_BYTES."""
        raw = sum(len(part) for part in parts)
        if raw > MOST_BYTES:
            raise ValueError(f"a frame of {raw} bytes; the format allows {MOST_BYTES}")
        stored, packed = b"".join(parts), 0
        if raw >= _SMALL:
            deflated = zlib.compress(stored, _LEVEL)
            if len(deflated) < raw:
                stored, packed = deflated, 1
        sum_ = zlib.crc32(stored, zlib.crc32(_FRAME.pack(kind, packed, len(stored), raw, 0)))
        self._file.write(_FRAME.pack(kind, packed, len(stored), raw, sum_))
        self._file.write(stored)
        self.size += _FRAME.size + len(stored)

    def batch(self, time_ns: int, batch: RawBatch) -> None:
        """Append what the sensor gave, read at `time_ns` (Unix)."""
        self.write(Kind.BATCH, _BATCH.pack(time_ns, batch.boot_to_unix_ns, batch.records), batch.data)


def batch_of(payload: bytes) -> tuple[int, RawBatch]:
    """(time of reading, batch) of a BATCH frame. Raises: RecordingError."""
    try:
        time_ns, boot_to_unix_ns, records = _BATCH.unpack_from(payload)
    except StructError as error:
        raise RecordingError(f"a batch frame is too short: {error}; record again") from error
    return time_ns, RawBatch(payload[_BATCH.size :], records, boot_to_unix_ns)


def pack_fact(fact: Fact) -> bytes:
    """A fact as it stands in a FACTS frame."""
    path = fact.path.encode("utf-8", "replace")[:_MOST_PATH]
    return _FACT.pack(fact.verb, fact.state, len(path), len(fact.value)) + path + fact.value


def facts_of(payload: bytes) -> Iterator[Fact]:
    """The facts of a FACTS frame. Raises: RecordingError."""
    at, end = 0, len(payload)
    while at < end:
        try:
            verb, state, path_len, value_len = _FACT.unpack_from(payload, at)
            fact = Fact(Verb(verb), "", State(state), b"")
        except (StructError, ValueError) as error:
            raise RecordingError(f"a fact cannot be read: {error}; record again") from error
        path_at = at + _FACT.size
        value_at = path_at + path_len
        at = value_at + value_len
        if at > end:
            raise RecordingError("a fact is longer than its frame; record again")
        path = payload[path_at:value_at].decode("utf-8", "replace")
        yield fact._replace(path=path, value=payload[value_at:at])


class RecordingReader:
    """Frames of a file in order. `problem` says afterwards what part could not be read, "" where all could.

    Raises: RecordingError when it is not a recording of this version and ABI; OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""

    def __iter__(self) -> Iterator[Frame]:
        with self.path.open("rb") as file:
            self._check_start(file.read(_START.size))
            while True:
                at = file.tell()
                try:
                    frame = _next(file)
                except _UnreadableError as error:
                    self.problem = f"{self.path}: {error} at byte {at}; what comes before it was played"
                    return
                if frame is None:
                    return
                yield frame

    def _check_start(self, start: bytes) -> None:
        if len(start) < _START.size or start[: len(MAGIC)] != MAGIC:
            raise RecordingError(f"{self.path}: not a recording; `vedette record FILE` makes one")
        _, version, abi = _START.unpack(start)
        if (version, abi) != (VERSION, ABI_VERSION):
            raise RecordingError(
                f"{self.path}: recorded in format {version} with sensor ABI {abi}, this version plays format {VERSION} "
                f"with ABI {ABI_VERSION}; replay it with the version that recorded it"
            )


class _UnreadableError(Exception):
    """The rest of a file cannot be read; says what is wrong with it."""


def _next(file: BinaryIO) -> Frame | None:
    """The next frame, None at the end."""
    head = file.read(_FRAME.size)
    if not head:
        return None
    if len(head) < _FRAME.size:
        raise _UnreadableError("ends within a frame")
    kind, packed, stored_len, raw, crc = _FRAME.unpack(head)
    if max(stored_len, raw) > MOST_BYTES or kind not in _KINDS or packed > 1:
        raise _UnreadableError("is damaged")
    stored = file.read(stored_len)
    if len(stored) < stored_len:
        raise _UnreadableError("ends within a frame")
    if zlib.crc32(stored, zlib.crc32(_FRAME.pack(kind, packed, stored_len, raw, 0))) != crc:
        raise _UnreadableError("is damaged")
    payload = _unpack(stored, raw) if packed else stored
    if payload is None or len(payload) != raw:
        raise _UnreadableError("is damaged")
    return Frame(Kind(kind), payload)


def _unpack(stored: bytes, raw: int) -> bytes | None:
    """Inflate to exactly `raw` bytes, never more; None where that is not what is there."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(stored, raw + 1)
    except zlib.error:
        return None
    return data if inflate.eof and not inflate.unused_data else None
