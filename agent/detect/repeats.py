"""Repeats of a finding: the first goes out at once, the rest are counted and told later."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from detection.finding import Finding


@dataclass(slots=True)
class _Entry:
    """One finding within its window. `told` is the count last reported."""

    finding: Finding
    opened_ns: int
    count: int = 1
    last_ns: int = 0
    told: int = 1
    told_ns: int = 0


class Repeats:
    """Aggregates equal findings within a window; bounded, and nothing counted is lost when it overflows.

    Windows run from a finding's first occurrence, by the caller's clock, so the oldest entries are always in front.
    """

    def __init__(self, window_ns: int, capacity: int, report_ns: int) -> None:
        self._window_ns = window_ns
        self._capacity = capacity
        self._report_ns = report_ns
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._pending: dict[Hashable, _Entry] = {}
        self.repeats = 0
        self.evicted = 0

    def seen(self, key: Hashable, time_ns: int, now_ns: int) -> bool:
        """Count a repeat; False when this is the first of its window (then call `open`)."""
        entry = self._entries.get(key)
        if entry is None or now_ns - entry.opened_ns > self._window_ns:
            return False
        entry.count += 1
        entry.last_ns = max(entry.last_ns, time_ns)
        self._pending[key] = entry
        self.repeats += 1
        return True

    def open(self, key: Hashable, finding: Finding, now_ns: int) -> Iterator[Finding]:
        """Start a window for a finding; gives the last word on entries that had to make room."""
        old = self._entries.pop(key, None)
        if old is not None:
            yield from self._close(key, old)
        if len(self._entries) >= self._capacity:
            evicted_key, evicted = self._entries.popitem(last=False)
            self.evicted += 1
            yield from self._close(evicted_key, evicted)
        self._entries[key] = _Entry(finding, opened_ns=now_ns, last_ns=finding.time_ns, told_ns=now_ns)

    def correct(self, finding: Finding) -> Finding:
        """More is known of a finding: later reports of it say so too. Gives it with its count so far."""
        entry = next((e for e in self._entries.values() if e.finding.id == finding.id), None)
        if entry is None:
            return finding
        entry.finding = replace(finding, lossy=entry.finding.lossy)
        entry.told = entry.count
        return replace(finding, count=entry.count, last_ns=entry.last_ns if entry.count > 1 else finding.last_ns)

    def flush(self, now_ns: int) -> Iterator[Finding]:
        """Counts that grew and are due, and the last word on windows that ended."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if now_ns - entry.opened_ns <= self._window_ns:
                break
            del self._entries[key]
            yield from self._close(key, entry)
        for key, entry in list(self._pending.items()):
            if now_ns - entry.told_ns >= self._report_ns:
                entry.told_ns = now_ns
                yield from self._tell(key, entry)

    def drain(self) -> Iterator[Finding]:
        """Every count not yet told; for the end of the process."""
        for key, entry in list(self._pending.items()):
            yield from self._tell(key, entry)

    def __len__(self) -> int:
        return len(self._entries)

    def _close(self, key: Hashable, entry: _Entry) -> Iterator[Finding]:
        if key in self._pending:
            yield from self._tell(key, entry)

    def _tell(self, key: Hashable, entry: _Entry) -> Iterator[Finding]:
        self._pending.pop(key, None)
        if entry.count > entry.told:
            entry.told = entry.count
            yield replace(entry.finding, count=entry.count, last_ns=entry.last_ns)
