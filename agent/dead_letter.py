"""Evidence of what could not be decoded: a file with a cap, for whoever looks into it."""

import logging
import time
from pathlib import Path

import orjson

log = logging.getLogger(__name__)

CAP_BYTES = 1 << 20


class DeadLetterFile:
    """Appends one JSON line (time_ns, cause, record in hexadecimal) per record until the file is full.

    What does not fit is dropped here; it stays counted where it was rejected.
    """

    def __init__(self, path: Path, cap_bytes: int = CAP_BYTES) -> None:
        self._path = path
        self._room = cap_bytes - (path.stat().st_size if path.exists() else 0)

    def add(self, cause: str, record: bytes) -> None:
        """Keep one record while there is room. Never raises: evidence must not stop the watch."""
        line = orjson.dumps(
            {"time_ns": time.time_ns(), "cause": cause, "record": record.hex()}, option=orjson.OPT_APPEND_NEWLINE
        )
        if len(line) > self._room:
            return
        self._room -= len(line)
        try:
            with self._path.open("ab") as f:
                f.write(line)
        except OSError as error:
            self._room = 0
            log.error("dead letter %s: %s; no more records are kept, only counted", self._path, error.strerror)
