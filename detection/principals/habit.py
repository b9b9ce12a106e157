"""One class of a principal's (or of a group's) behaviour: members, and how complete they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from detection.baseline.completeness import coverage, window_of
from detection.baseline.counts import Counts, ProfileConfig
from detection.errors import DetectionError

HOUR_NS = 3600 * 10**9
_MOST_HELD = 64
_LARGEST = 1 << 62
_MOST_WINDOWS = 40
_MOST_TEXT = 512
_COUNTS = (
    "units", "uniques", "duplicates", "incidences", "observed", "overflow", "slots", "slot_uniques", "slot_duplicates",
    "slot_incidences", "was_stable", "was_churning",
)  # fmt: skip


class HabitError(DetectionError):
    """Data that is no stored habit; says which part."""


# A principal's units are hours in which it did something, so they come hundreds of times slower than a container's.
PRINCIPAL = ProfileConfig(target=0.05, min_units=30, churn_units=100, churn_factor=2.0, max_members=512)
# A group's units are its principals.
GROUP = ProfileConfig(target=0.05, min_units=30, churn_units=100, churn_factor=2.0, max_members=4096)


@dataclass(slots=True)
class Held:
    """A behaviour that was reported and is not yet taken for normal: when first, and in how many units."""

    first_ns: int
    units: int = 0


class Habit(Counts):
    """`members`: name → units that showed it (0: in a unit that is still open). `held`: reported, not learned."""

    __slots__ = ("held", "members")

    def __init__(self, config: ProfileConfig) -> None:
        super().__init__(config)
        self.members: dict[str, int] = {}
        self.held: dict[str, Held] = {}

    def learn(self, name: str) -> bool:
        """Take it in now; its unit counts it when it ends. False, and counted, where there is no room."""
        if name not in self.members and len(self.members) >= self._config.max_members:
            self.refuse()
            return False
        self.members.setdefault(name, 0)
        self.held.pop(name, None)
        return True

    def hold(self, name: str, time_ns: int) -> None:
        """Reported, and not normal yet; the oldest makes room."""
        if name not in self.held and len(self.held) >= _MOST_HELD:
            self.held.pop(next(iter(self.held)))
            self.evicted += 1
        self.held.setdefault(name, Held(time_ns))

    def close(self, names: Iterable[str]) -> tuple[str, ...]:
        """One unit ends that showed these members; those it brought. Names that are not members do not count."""
        brought = tuple(name for name in names if self._count(name))
        self.units += 1
        self.slots += 1
        window = window_of(self.units)
        while len(self.windows) <= window:
            self.windows.append([0, 0])
        self.windows[window][0] += 1
        self.windows[window][1] += bool(brought)
        self._settle()
        return brought

    def _count(self, name: str) -> bool:
        units = self.members.get(name)
        if units is None:
            return False
        self._weigh(units, units, -1)
        self.members[name] = units = units + 1
        self._weigh(units, units, 1)
        self.slot_incidences = self.incidences
        return units == 1

    @property
    def completeness(self) -> float:
        """Estimated sample coverage, 0 … 1."""
        return coverage(self.incidence) if self.members else 1.0 - self.unseen_upper

    def to_plain(self) -> list[Any]:
        """JSON-ready."""
        held = {name: [h.first_ns, h.units] for name, h in self.held.items()}
        return [[int(getattr(self, name)) for name in _COUNTS], self.windows, self.members, held]

    @classmethod
    def from_plain(cls, data: Any, config: ProfileConfig) -> "Habit":
        """What `to_plain` gave. Raises: HabitError."""
        if not isinstance(data, list) or len(data) != 4:
            raise HabitError("a habit is a list of counts, windows, members and held ones")
        counts, windows, members, held = data
        habit = cls(config)
        for name, value in zip(_COUNTS, numbers(counts, "counts", len(_COUNTS)), strict=True):
            setattr(habit, name, bool(value) if name.startswith("was_") else value)
        if not isinstance(windows, list) or len(windows) > _MOST_WINDOWS:
            raise HabitError("windows: expected a list of pairs")
        habit.windows = [numbers(row, "windows", 2) for row in windows]
        habit.members = {name: numbers([n], "members", 1)[0] for name, n in _texts(members, "members").items()}
        habit.held = {name: Held(*numbers(row, "held", 2)) for name, row in _texts(held, "held").items()}
        return habit


def numbers(value: Any, where: str, count: int) -> list[int]:
    """That many whole numbers from 0 on. Raises: HabitError."""
    if not isinstance(value, list) or len(value) != count:
        raise HabitError(f"{where}: expected {count} numbers")
    if not all(type(n) is int and 0 <= n < _LARGEST for n in value):
        raise HabitError(f"{where}: a number is not a count")
    return list(value)


def _texts(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(k, str) and len(k) <= _MOST_TEXT for k in value):
        raise HabitError(f"{where}: expected an object with short names")
    return value
