"""Findings as JSON lines, for a host without a collector."""

import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import orjson

from agent.errors import UplinkError
from detection.finding import Finding

_ROTATE_BYTES = 64 << 20


class JsonLines:
    """Writes one line per finding (`Finding.as_dict`) to a file, or to standard output for None.

    A file is renamed to `NAME.1` at `rotate_bytes`, replacing the one before. What cannot be written is counted by
    cause. Raises: UplinkError when the file cannot be opened.
    """

    def __init__(self, path: Path | None, rotate_bytes: int = _ROTATE_BYTES) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._fd = sys.stdout.fileno() if path is None else _open(path)
        self._size = 0 if path is None else path.stat().st_size
        self._torn = False  # the output ends in half a line
        self._counts: Counter[str] = Counter()

    def write(self, finding: Finding) -> bool:
        """Write one line at once; whether it was written."""
        try:
            self._write(orjson.dumps(_clean(finding.as_dict()), option=orjson.OPT_APPEND_NEWLINE))
        except BrokenPipeError:
            return self._count("output_closed", False)
        except OSError:
            return self._count("output_error", False)
        except (TypeError, ValueError):
            return self._count("output_unprintable", False)
        return self._count("written", True)

    def counters(self) -> Mapping[str, int]:
        """written, output_closed (nobody reads), output_error (disk full …), output_unprintable."""
        return dict(self._counts)

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._path is not None:
            os.close(self._fd)

    def _count(self, cause: str, written: bool) -> bool:
        self._counts[cause] += 1
        return written

    def _write(self, line: bytes) -> None:
        if self._path is not None and self._size and self._size + len(line) > self._rotate_bytes:
            self._rotate(self._path)
        begun = self._size
        try:
            self._write_all(b"\n" + line if self._torn else line)
            self._torn = False
        except OSError:
            self._cut(begun)
            raise

    def _write_all(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            written = os.write(self._fd, view)
            self._size += written
            view = view[written:]

    def _cut(self, begun: int) -> None:
        """Take half a line back; where that cannot be done, the next line begins on a line of its own."""
        if self._size == begun:
            return
        try:
            os.ftruncate(self._fd, begun)
            self._size = begun
        except OSError:
            self._torn = True

    def _rotate(self, path: Path) -> None:
        path.replace(path.with_name(path.name + ".1"))
        new = _open(path)
        os.close(self._fd)
        self._fd, self._size = new, 0


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UplinkError(f"output {path}: {error.strerror}; give a file this user can write, or -") from error


def _clean(value: object) -> object:
    """The same value with what JSON cannot carry made into text (lone surrogates, huge integers)."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(k): _clean(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(v) for v in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return str(value)
    return value
