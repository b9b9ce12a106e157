"""The form of a segment file: one header, then frames back to back.

    header  magic "VSPOOL01", stream id (32 hex digits), first seq u64, chain value before it (32 bytes), crc32
    frame   payload length u32, seq u64, chain value (32 bytes), crc32 of the three and the payload, payload

Integers are little endian; a chain value is SHA-256(previous value ‖ seq, 8 bytes big endian ‖ payload).
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"VSPOOL01"
MAX_PAYLOAD = 1 << 20
FIRST_CHAIN = bytes(32)

_HEADER = struct.Struct("<8s32sQ32sI")
_FRAME = struct.Struct("<IQ32sI")
_CRC_BYTES = 4
HEADER_BYTES = _HEADER.size
FRAME_BYTES = _FRAME.size


class Frame(NamedTuple):
    """One record of the sequence."""

    seq: int
    chain: bytes
    payload: bytes


class Header(NamedTuple):
    """What a segment begins with: whose it is, and where the sequence stood."""

    stream_id: str
    first_seq: int
    chain: bytes


def next_chain(chain: bytes, seq: int, payload: bytes) -> bytes:
    """The chain value of a record, given the one before."""
    return hashlib.sha256(b"".join((chain, seq.to_bytes(8, "big"), payload))).digest()


def pack_header(header: Header) -> bytes:
    """A header as it is on disk."""
    packed = _HEADER.pack(MAGIC, header.stream_id.encode(), header.first_seq, header.chain, 0)
    return packed[:-_CRC_BYTES] + struct.pack("<I", zlib.crc32(packed[:-_CRC_BYTES]))


def unpack_header(data: bytes) -> Header | None:
    """The header at the start of `data`, or None when it is none."""
    if len(data) < HEADER_BYTES:
        return None
    magic, stream_id, first_seq, chain, crc = _HEADER.unpack_from(data)
    if magic != MAGIC or crc != zlib.crc32(data[: HEADER_BYTES - _CRC_BYTES]) or not stream_id.isalnum():
        return None
    return Header(stream_id.decode("ascii", "replace"), first_seq, chain)


def pack_frame(frame: Frame) -> bytes:
    """A frame as it is on disk."""
    head = _FRAME.pack(len(frame.payload), frame.seq, frame.chain, 0)[:-_CRC_BYTES]
    return b"".join((head, struct.pack("<I", zlib.crc32(frame.payload, zlib.crc32(head))), frame.payload))


def unpack_frame(data: bytes, offset: int) -> Frame | None:
    """The frame at `offset`, or None when there is no whole, sound one."""
    if offset + FRAME_BYTES > len(data):
        return None
    length, seq, chain, crc = _FRAME.unpack_from(data, offset)
    end = offset + FRAME_BYTES + length
    if length > MAX_PAYLOAD or end > len(data):
        return None
    head = data[offset : offset + FRAME_BYTES - _CRC_BYTES]
    payload = data[offset + FRAME_BYTES : end]
    return Frame(seq, chain, payload) if zlib.crc32(payload, zlib.crc32(head)) == crc else None


def frames_in(data: bytes, offset: int = HEADER_BYTES) -> Iterator[tuple[int, Frame]]:
    """(offset of the end, frame) for each sound frame, up to the first that is not."""
    while (frame := unpack_frame(data, offset)) is not None:
        offset += FRAME_BYTES + len(frame.payload)
        yield offset, frame


def salvage(data: bytes) -> Iterator[Frame]:
    """Every sound frame anywhere in `data`; damaged stretches are skipped byte by byte."""
    offset = HEADER_BYTES
    while offset + FRAME_BYTES <= len(data):
        frame = unpack_frame(data, offset)
        if frame is None:
            offset += 1
        else:
            offset += FRAME_BYTES + len(frame.payload)
            yield frame
