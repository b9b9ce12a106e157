"""Audit logs from files, once, from beginning to end: what the collector would have found in them."""

import gzip
import zlib
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from collector.audit.detector import Behaviour, Detector, Rules
from collector.audit.envelope import parse
from collector.audit.format import Format
from collector.audit.record import Parsed, Problem
from collector.audit.stream import joint, parse_stream
from collector.errors import CollectorError
from detection.finding import Finding

MOST_BYTES = 1 << 30  # of one file, unpacked
_MOST_EVENTS = 5_000_000
_GZIP = b"\x1f\x8b"


class AuditReplay:
    """Plays files through one detector, so that a request logged twice is one finding.

    `events` and `problems` (the first thousand) say what was met.
    """

    def __init__(self, form: Format, rules: Rules, behaviour: Behaviour | None = None) -> None:
        self._form = form
        self._detector = Detector(rules, behaviour=behaviour)
        self.events = 0
        self.refused = 0
        self.problems: list[Problem] = []

    def findings(self, path: Path) -> Iterator[Finding]:
        """Of one file: JSON, JSON lines, an envelope or a list, plain or gzipped. Raises: CollectorError."""
        parsed = read(self._form, path)
        self.events += len(parsed.records)
        self.refused += len(parsed.problems)
        self.problems += parsed.problems[: max(0, 1000 - len(self.problems))]
        # Exports of a console come newest first; in order of time, everything is what it was then.
        for record in sorted(parsed.records, key=attrgetter("time_ns")):
            detection = self._detector.detect(self._form, (record,))
            self._detector.commit(detection)
            yield from detection.findings


def read(form: Format, path: Path) -> Parsed:
    """The records of a file; of a damaged or cut one, those before the damage.

    Raises: CollectorError when it cannot be read or is too large.
    """
    try:
        parsed = _whole(form, path)
        # A document that is cut off is no JSON as a whole.
        return _stream(form, path, parsed) if parsed.problems and not parsed.records else parsed
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        parsed = _stream(form, path, None)
        if not parsed.records:
            raise CollectorError(f"{path}: {error}; give an audit log, plain or gzipped") from error
        return parsed
    except OSError as error:
        raise CollectorError(f"{path}: {error}; give an audit log, plain or gzipped") from error


def _whole(form: Format, path: Path) -> Parsed:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    with gzip.open(path) if packed else path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise CollectorError(f"{path}: over {MOST_BYTES >> 20} MiB; split it and give the parts in order")
    return parse(form, data, str(path), _MOST_EVENTS)


def _stream(form: Format, path: Path, instead: Parsed | None) -> Parsed:
    """Piece by piece; `instead` where that finds nothing either."""
    with path.open("rb") as file:
        parsed = joint(parse_stream(form, iter(lambda: file.read(1 << 20), b""), str(path), MOST_BYTES))
    return parsed if parsed.records or instead is None else instead
