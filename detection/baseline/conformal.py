"""How strange is a novelty among the novelties this workload has shown before?

A novelty's *strangeness* (`score.py`: distance and touches, less agreement) says what kind it is, not how complete the
profile is, so novelties of different weeks can be compared. What is kept is a rolling record of the strangest
novelty of every slot that had one, for each class while the class was trusted. From it follow

- a conformal p-value, (1 + novelties that rank as high) / (1 + novelties), never below 1/(n + 1): Vovk,
  Gammerman & Shafer 2005, Algorithmic Learning in a Random World, ch. 2. The rolling window is the case of 0/1
  weights of Barber, Candès, Ramdas & Tibshirani 2023, Ann. Stat. 51:816;
- the rate of novelties that rank as high per slot, this one included: what an alarm at this level would cost.

Both assume that the slots with novelty of one workload are exchangeable within the window. Slots (not containers,
not single events) are counted because what one slot brings belongs together: a release, a job, replicas that
move in step. They are not exchangeable where the workload changes its habits; then the record follows within the
window, and `budget.py` tells when it did not.

Novelties rank by their place in their own class first (the strangest of each class before the second of any), then by
strangeness: so a class whose novelties are all of weight (new public addresses, say) does not drown the others, and
one that is new every hour does not drown the quiet. The new one has its place in that order, too, which is the same
whichever of them came last ("full" conformal).

Bounded: 32 novelties a class, the strangest. No clock: time is counted in slots during which a class was trusted, so
neither an idle agent nor a changed clock makes history.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple
from zlib import crc32

from detection.errors import DetectionError

KEPT = 32
_BUCKETS = 8  # the window moves on in eighths
_MAX_ALARMS = 64
_MAX_CLASSES = 27
_LARGEST = 1 << 53
WINDOW = 4 * 7 * 24 * 60  # four weeks of slots of a minute


class CalibrationError(DetectionError):
    """Data that is not a record of novelties; says which part."""


class _Entry(NamedTuple):
    """One slot's strangest novelty of a class. Sorts with the strangest first."""

    less: float  # −strangeness
    clock: int
    mark: int  # of the member, to find it again


class Standing(NamedTuple):
    """Where a novelty stands among those of the window.

    `at_least`: slots with something that ranks as high, `novel`: slots with any novelty, both without this one.
    `own_at_least`, `own_novel`: those of its own class. `watched`: slots its class was trusted
    for, `longest`: the most of any class.
    `exact`: False where weaker novelties had to be let go, so that more than `at_least` are possible.
    """

    at_least: int
    own_at_least: int
    novel: int
    own_novel: int
    watched: int
    longest: int
    exact: bool

    @property
    def p_value(self) -> float:
        """Chance of one at least as strange, if it is exchangeable with those before. At least 1/(novel + 1)."""
        return (self.at_least + 1) / (self.novel + 1) if self.exact else 1.0

    @property
    def per_slot(self) -> float:
        """Novelties that rank as high per slot, this one included; infinite where that cannot be told."""
        if not self.exact or not self.watched:
            return inf
        return (self.own_at_least + 1) / self.watched + (self.at_least - self.own_at_least) / self.longest


class _Record:
    """Novelties of one class."""

    __slots__ = ("clock", "counts", "floor", "floor_clock", "kept", "open")

    def __init__(self) -> None:
        self.clock = 0  # slots the class was trusted for
        self.kept: list[_Entry] = []
        self.counts: dict[int, int] = {}  # eighth of the window → slots with novelty
        self.open: _Entry | None = None  # of the slot that is not over
        self.floor = -inf  # strangeness up to which entries were let go
        self.floor_clock = 0

    def close(self, eighth: int, trusted: bool) -> None:
        if self.open is not None:
            insort(self.kept, self.open)
            bucket = self.open.clock // eighth
            self.counts[bucket] = self.counts.get(bucket, 0) + 1
            self.open = None
            if len(self.kept) > KEPT:
                gone = self.kept.pop()
                self.floor, self.floor_clock = max(self.floor, -gone.less), self.clock
        if trusted:
            self.clock += 1
            if self.clock % eighth == 0:
                self._expire(eighth)

    def _expire(self, eighth: int) -> None:
        start = self.start(eighth)
        self.kept = [entry for entry in self.kept if entry.clock >= start]
        self.counts = {bucket: n for bucket, n in self.counts.items() if bucket * eighth >= start}
        if self.floor_clock < start:
            self.floor = -inf

    def start(self, eighth: int) -> int:
        """First slot of the window: a multiple of an eighth, so that it expires whole."""
        return max(0, self.clock // eighth - _BUCKETS + 1) * eighth

    def before(self, place: int, less: float) -> int:
        """How many rank before a novelty of another class with that place (from 0) and −strangeness there."""
        kept = self.kept
        ahead = min(place, len(kept)) + (place < len(kept) and kept[place].less <= less)
        return ahead + (self.open is not None and self.open.less <= less)

    @property
    def novel(self) -> int:
        return sum(self.counts.values())


class Calibration:
    """Rolling record of one workload's novelties. `window` in slots; rounded to eighths of it."""

    def __init__(self, window: int = WINDOW) -> None:
        self._eighth = max(1, window // _BUCKETS)
        self._records: dict[str, _Record] = {}
        self._unwatched = _Record()
        self._totals: tuple[int, int, list[_Record]] | None = None
        self.slots = 0
        self.alarms: list[int] = []  # slots at which an alarm began, of the last 64

    def standing(self, key: str, strangeness: float) -> Standing:
        """Where a novelty of class `key` stands. Costs about a microsecond for each class that ever had one."""
        own = self._records.get(key, self._unwatched)
        less = -round(strangeness, 3)
        own_at_least = bisect_right(own.kept, (less, inf))
        novel, longest, busy = self._totals or self._total()
        at_least = own_at_least
        for other in busy:
            if other is not own:
                at_least += other.before(own_at_least, less)
        watched, exact = own.clock - own.start(self._eighth), strangeness > own.floor
        return Standing(at_least, own_at_least, novel - (own.open is not None), own.novel, watched, longest, exact)

    def _total(self) -> tuple[int, int, list[_Record]]:
        """Slots with novelty, the longest watch, and the classes that ever were new; until something changes."""
        records = self._records.values()
        novel = sum(record.novel + (record.open is not None) for record in records)
        longest = max((record.clock - record.start(self._eighth) for record in records), default=1)
        busy = [record for record in records if record.kept or record.open is not None]
        self._totals = novel, max(1, longest), busy
        return self._totals

    def note(self, key: str, strangeness: float, member: str) -> None:
        """A novelty happened in the open slot of a trusted class; of several in a slot the strangest counts."""
        record = self._record(key)
        if record is not None:
            entry = _Entry(-round(strangeness, 3), record.clock, crc32(member.encode("utf-8", "replace")))
            if record.open is None:
                record.open, self._totals = entry, None
            record.open = min(record.open, entry)

    def note_alarm(self) -> None:
        """An alarm begins in the open slot."""
        self.alarms.append(self.slots)
        del self.alarms[:-_MAX_ALARMS]

    def forget(self, key: str, member: str) -> None:
        """This was no harmless novelty (a rule or a person condemned it): it does not count as one."""
        record, mark = self._records.get(key), crc32(member.encode("utf-8", "replace"))
        if record is None:
            return
        self._totals = None
        if record.open is not None and record.open.mark == mark:
            record.open = None
        for entry in [e for e in record.kept if e.mark == mark]:
            record.kept.remove(entry)
            bucket = entry.clock // self._eighth
            record.counts[bucket] = max(0, record.counts.get(bucket, 0) - 1)

    def advance(self, trusted: Iterable[str]) -> None:
        """The slot is over. `trusted`: the classes that were trusted in it."""
        self.slots += 1
        self._totals = None
        trusted = set(trusted)
        for key in trusted:
            self._record(key)
        for key, record in self._records.items():
            record.close(self._eighth, key in trusted)

    def classes(self) -> tuple[str, ...]:
        """Classes that were ever trusted."""
        return tuple(self._records)

    @property
    def novel_per_slot(self) -> float:
        """Slots with novelty per slot watched, summed over classes."""
        spans = ((r.novel, r.clock - r.start(self._eighth)) for r in self._records.values())
        return sum(novel / span for novel, span in spans if span)

    @property
    def watched(self) -> int:
        """Slots of the window during which at least one class was trusted (the longest record's)."""
        return max((r.clock - r.start(self._eighth) for r in self._records.values()), default=0)

    def alarms_since(self, slots: int) -> int:
        """Alarms of the last so many slots."""
        return sum(alarm >= self.slots - slots for alarm in self.alarms)

    def _record(self, key: str) -> _Record | None:
        record = self._records.get(key)
        if record is None and len(self._records) < _MAX_CLASSES:
            record = self._records[key] = _Record()
        return record

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form. The open slot is left out."""
        return {
            "slots": self.slots,
            "alarms": list(self.alarms),
            "classes": {
                key: {
                    "clock": record.clock,
                    "kept": [[-entry.less, entry.clock, entry.mark] for entry in record.kept],
                    "counts": [[bucket * self._eighth, count] for bucket, count in record.counts.items()],
                    "floor": None if record.floor == -inf else [record.floor, record.floor_clock],
                }
                for key, record in self._records.items()
            },
        }

    def copy(self) -> "Calibration":
        """The same record, without the open slot, to go on with apart."""
        return Calibration.from_dict(self.to_dict(), self._eighth * _BUCKETS)

    @classmethod
    def from_dict(cls, data: Any, window: int = WINDOW) -> "Calibration":
        """What `to_dict` gave. With another window what no longer fits expires. Raises: CalibrationError."""
        _expect(isinstance(data, dict) and set(data) == {"slots", "alarms", "classes"}, "a record of novelties", data)
        found = cls(window)
        found.slots = _count(data["slots"], "slots")
        found.alarms = [_count(a, "alarms") for a in _list(data["alarms"], "alarms", _MAX_ALARMS)]
        _expect(isinstance(data["classes"], dict) and len(data["classes"]) <= _MAX_CLASSES, "classes", data["classes"])
        for key, entry in data["classes"].items():
            _expect(isinstance(key, str) and len(key) <= 64, "the name of a class", key)
            found._records[key] = _read_record(entry, key, found._eighth)
        return found


def _read_record(data: Any, key: str, eighth: int) -> _Record:
    _expect(isinstance(data, dict) and set(data) == {"clock", "kept", "counts", "floor"}, f"class {key}", data)
    record = _Record()
    record.clock = _count(data["clock"], f"{key} clock")
    for row in _list(data["kept"], f"{key} kept", KEPT):
        _expect(isinstance(row, list) and len(row) == 3, f"{key} novelty", row)
        entry = _Entry(-_decades(row[0], key), _count(row[1], key), _count(row[2], key))
        _expect(entry.clock <= record.clock, f"{key}: a novelty of the past", row)
        insort(record.kept, entry)
    for row in _list(data["counts"], f"{key} counts", 4 * _BUCKETS):
        _expect(isinstance(row, list) and len(row) == 2, f"{key} counts", row)
        bucket = _count(row[0], key) // eighth
        record.counts[bucket] = record.counts.get(bucket, 0) + _count(row[1], key)
    if data["floor"] is not None:
        row = _list(data["floor"], f"{key} floor", 2)
        _expect(len(row) == 2, f"{key} floor", row)
        record.floor, record.floor_clock = _decades(row[0], key), _count(row[1], key)
    record._expire(eighth)
    return record


def _decades(value: Any, where: str) -> float:
    _expect(isinstance(value, int | float) and -100 <= value <= 100, f"{where}: a strangeness", value)
    return float(value)


def _count(value: Any, where: str) -> int:
    _expect(type(value) is int and 0 <= value < _LARGEST, f"{where}: a count", value)
    return int(value)


def _list(value: Any, where: str, most: int) -> list[Any]:
    _expect(isinstance(value, list) and len(value) <= most, f"{where}: a list of at most {most}", value)
    return list(value)


def _expect(condition: bool, what: str, got: Any) -> None:
    if not condition:
        raise CalibrationError(f"record of novelties: expected {what[:200]!r}, found {repr(got)[:80]}")
