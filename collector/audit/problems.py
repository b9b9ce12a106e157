"""Bad records are counted and told about, but never flood a log."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from collector.audit.dead_letter import DeadLetter
from collector.audit.record import Parsed, Problem
from collector.plain import plain

_log = logging.getLogger("vedette.collector.audit")


class ProblemLog:
    """Counts every problem of one source; logs at most `per_minute` of them, and gives them to the dead letter."""

    def __init__(
        self,
        source: str = "",
        dead_letter: DeadLetter | None = None,
        *,
        per_minute: int = 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._dead_letter = dead_letter
        self._per_minute = per_minute
        self._clock = clock
        self._window_start = clock()
        self._in_window = 0
        self._counts: Counter[str] = Counter()

    def report(self, problems: Iterable[Problem]) -> None:
        """Count and log bad records."""
        for problem in problems:
            self.count("bad_record")
            if self._dead_letter is not None and not self._dead_letter.add(self._source, problem):
                self.count("dead_letter_full")
            if self._may_log():
                _log.warning("audit record refused: %s: %s", plain(problem.position), plain(problem.reason))

    def took(self, parsed: Parsed) -> None:
        """Count what a piece of input held, and report what was bad in it."""
        self.report(parsed.problems)
        self.count("records", len(parsed.records))
        if parsed.other:
            self.count("other_log", parsed.other)

    def count(self, cause: str, number: int = 1) -> None:
        """Count something else by cause."""
        self._counts[cause] += number

    def note(self, cause: str, text: str) -> None:
        """Count a cause and log one line about it, within the same bound."""
        self.count(cause)
        if self._may_log():
            _log.warning("%s", plain(text, 512))

    def counts(self) -> Mapping[str, int]:
        """Cause → count since start."""
        return dict(self._counts)

    def _may_log(self) -> bool:
        now = self._clock()
        if now - self._window_start >= 60:
            self._window_start, self._in_window = now, 0
        self._in_window += 1
        return self._in_window <= self._per_minute
