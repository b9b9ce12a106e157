"""Audit records that could not be used, kept for whoever looks into them: a file with a cap."""

import logging
import os
import time
from pathlib import Path

import orjson

from collector.audit.record import Problem
from collector.plain import plain
from detection.redact import redact_text

_log = logging.getLogger("vedette.collector.audit")

CAP_BYTES = 4 * 1024 * 1024
_RECORD = 2048


class DeadLetter:
    """Appends one JSON line (time_ns, source, position, reason, record) per problem until the file is full.

    `record` is the beginning of the record, redacted. The file is for its owner only. What does not fit is dropped
    here and stays counted where it was refused. One per file and process; any thread.
    """

    def __init__(self, path: Path, cap_bytes: int = CAP_BYTES) -> None:
        self._path = path
        self._cap = cap_bytes
        self._broken = False

    def add(self, source: str, problem: Problem) -> bool:
        """Keep one problem while there is room; was it kept? Never raises: evidence must not stop the intake."""
        if self._broken:
            return False
        try:
            return self._append(_line(source, problem))
        except OSError as error:
            self._broken = True
            _log.error("dead letter %s: %s; bad records are only counted", self._path, error.strerror)
            return False

    def _append(self, line: bytes) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(line) > self._cap:
                return False
            os.write(descriptor, line)
            return True
        finally:
            os.close(descriptor)


def _line(source: str, problem: Problem) -> bytes:
    letter = {
        "time_ns": time.time_ns(),
        "source": source,
        "position": plain(problem.position, 512),
        "reason": plain(problem.reason, 512),
        "record": redact_text(problem.record[:_RECORD].decode(errors="replace")),
    }
    return orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE)
