"""A gzipped log file as a plain one without a name, so that it is read like any other."""

import gzip
import os
import tempfile
import zlib
from pathlib import Path

MOST_UNPACKED = 1 << 30
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"


def is_packed(descriptor: int) -> bool:
    """Does the file begin as gzip does?"""
    return os.pread(descriptor, 2, 0) == _GZIP


def head_of(path: Path, length: int) -> bytes:
    """The first bytes of a gzip's content; fewer where it is damaged."""
    try:
        with gzip.open(path) as file:
            return file.read(length)
    except (OSError, EOFError, zlib.error):
        return b""


def unpacked(descriptor: int, most: int = MOST_UNPACKED) -> tuple[int, str]:
    """Descriptor of the unpacked content (unlinked; the caller closes it), and what is wrong with the gzip: "" if
    nothing. What stands before the damage, and at most `most` bytes, are there. Raises: OSError (no room)."""
    with tempfile.TemporaryFile() as target:
        wrong = _copy(descriptor, target.fileno(), most)
        return os.dup(target.fileno()), wrong


def _copy(source: int, target: int, most: int) -> str:
    taken = 0
    with os.fdopen(os.dup(source), "rb") as raw, gzip.GzipFile(fileobj=raw) as file:
        while True:
            try:
                piece = file.read1(_CHUNK)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                return f"damaged after {taken} bytes of content: {error}"
            if not piece:
                return ""
            if taken + len(piece) > most:
                return f"over {most >> 20} MiB unpacked: the rest was not read"
            os.write(target, piece)
            taken += len(piece)
