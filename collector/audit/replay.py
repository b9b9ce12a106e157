"""Audit logs from files, once, from beginning to end: what the collector would have found in them."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from collector.audit.detector import Detector, Rules
from collector.audit.kubernetes import Parsed, Problem, parse
from collector.errors import CollectorError
from detection.finding import Finding

MOST_BYTES = 1 << 30  # of one file, unpacked
_MOST_EVENTS = 5_000_000
_GZIP = b"\x1f\x8b"


class AuditReplay:
    """Plays files through one detector, so that a request logged twice is one finding.

    `events` and `problems` (the first thousand) say what was met.
    """

    def __init__(self, rules: Rules) -> None:
        self._detector = Detector(rules)
        self.events = 0
        self.refused = 0
        self.problems: list[Problem] = []

    def findings(self, path: Path) -> Iterator[Finding]:
        """Of one file: JSON, JSON lines, an EventList or a list, plain or gzipped. Raises: CollectorError."""
        parsed = read(path)
        self.events += len(parsed.events)
        self.refused += len(parsed.problems)
        self.problems += parsed.problems[: max(0, 1000 - len(self.problems))]
        for event in parsed.events:
            detection = self._detector.detect((event,))
            self._detector.commit(detection)
            yield from detection.findings


def read(path: Path) -> Parsed:
    """The events of a file. Raises: CollectorError when it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CollectorError(f"{path}: {error}; give an audit log, plain or gzipped") from error
    if len(data) > MOST_BYTES:
        raise CollectorError(f"{path}: over {MOST_BYTES >> 20} MiB; split it and give the parts in order")
    return parse(data, str(path), _MOST_EVENTS)
