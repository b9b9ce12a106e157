"""Bad records are counted and told about, but never flood a log."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from collector.audit.record import Problem
from collector.plain import plain

_log = logging.getLogger("vedette.collector.audit")


class ProblemLog:
    """Counts every problem; logs at most `per_minute` of them."""

    def __init__(self, per_minute: int = 20, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._window_start = clock()
        self._in_window = 0
        self._counts: Counter[str] = Counter()

    def report(self, problems: Iterable[Problem]) -> None:
        """Count and log bad records."""
        for problem in problems:
            self.count("bad_record")
            if self._may_log():
                _log.warning("audit record refused: %s: %s", plain(problem.position), plain(problem.reason))

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
