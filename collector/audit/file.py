"""An audit log in a file: followed, rotated, checkpointed."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from collector.audit.checkpoint import Checkpoint, Position
from collector.audit.dead_letter import DeadLetter
from collector.audit.detector import Detector
from collector.audit.envelope import parse_lines
from collector.audit.follow import LineFollower, Lines
from collector.audit.format import Format
from collector.audit.intake import take_in
from collector.audit.port import Emit
from collector.audit.problems import ProblemLog
from collector.audit.record import Problem
from collector.errors import CollectorError

_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class AuditFile:
    """An AuditSource over one log file, which may not exist yet.

    The checkpoint moves only after the findings are committed, so a restart repeats at most one piece (repeats have
    the same finding ids) and loses nothing.
    """

    def __init__(
        self,
        form: Format,
        path: Path,
        checkpoint_path: Path,
        detector: Detector,
        *,
        poll_s: float = 0.25,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        self._form = form
        self._path = path
        self._checkpoint = Checkpoint(checkpoint_path)
        self._detector = detector
        self._poll_s = poll_s
        self._problems = ProblemLog(f"file:{path}", dead_letter)
        self._follower: LineFollower | None = None

    async def run(self, emit: Emit) -> None:
        """Follow the file until cancelled."""
        follower = self._follower = LineFollower(self._path, self._resume())
        try:
            while True:
                lines = await self._read(follower)
                if lines is None:
                    await asyncio.sleep(self._poll_s)
                    continue
                await self._take(lines, emit)
        finally:
            follower.close()

    def counters(self) -> Mapping[str, int]:
        """Lines, bad records, rotations, retries and losses since start."""
        counts = Counter(self._problems.counts())
        counts.update(self._follower.counters() if self._follower else {})
        return dict(counts)

    def _resume(self) -> Position | None:
        try:
            return self._checkpoint.load()
        except (OSError, ValueError) as error:
            self._problems.note(
                "checkpoint_unreadable",
                f"audit checkpoint cannot be read ({error}): {self._path} is read from its start, repeats are removed",
            )
            return None

    async def _read(self, follower: LineFollower) -> Lines | None:
        try:
            return await asyncio.to_thread(follower.read)
        except OSError as error:
            self._problems.note("read_failed", f"audit log {self._path} cannot be read: {error}; trying again")
            follower.close()
            return None

    async def _take(self, lines: Lines, emit: Emit) -> None:
        parsed = parse_lines(self._form, lines.lines, f"{lines.where} before byte {lines.position.offset}")
        self._problems.count("lines", len(lines.lines))
        self._problems.took(parsed)
        if lines.damage:
            self._problems.report([Problem(lines.where, lines.damage)])
        for attempt in itertools.count():
            try:
                await take_in(self._form, parsed.records, self._detector, emit)
                break
            except CollectorError as error:
                self._problems.note("emit_retried", f"audit findings wait, they could not be stored: {error}")
                await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
        try:
            await asyncio.to_thread(self._checkpoint.save, lines.position)
        except OSError as error:
            self._problems.note(
                "checkpoint_failed", f"audit checkpoint cannot be written: {error}; a restart will repeat"
            )
