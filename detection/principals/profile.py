"""What one principal does, hour by hour of the records' own time, and what the principals of a group have in common."""

from typing import Any

from detection.principals.access import CLASSES, Access, Actor, PrincipalKind
from detection.principals.habit import GROUP, HOUR_NS, PRINCIPAL, Habit, HabitError, numbers

Shown = tuple[str, ...]  # the fields of an Access in the order of CLASSES
_MOST_SHOWN = 4096
_MOST_OPEN = 8
ADOPT_UNITS = 8  # what was held is normal after so many hours with it
ADOPT_NS = 2 * 86_400 * 10**9  # over so long a time


class News:
    """What an hour brought that was new in one class: its decades, and its share of the strangeness."""

    __slots__ = ("decades", "member", "strange")

    def __init__(self, member: str, decades: float, strange: float) -> None:
        self.member, self.decades, self.strange = member, decades, strange


class Unit:
    """An open hour. `shown` is what needs no second look (bounded); `names` what counts when it ends."""

    __slots__ = ("names", "news", "shown")

    def __init__(self) -> None:
        self.shown: set[Shown] = set()
        self.names: tuple[set[str], ...] = tuple(set() for _ in CLASSES)
        self.news: dict[int, News] = {}

    def note(self, shown: Shown) -> None:
        """This happened."""
        if len(self.shown) >= _MOST_SHOWN:
            self.shown.clear()
        self.shown.add(shown)
        for names, name in zip(self.names, shown, strict=True):
            if name:
                names.add(name)


class Group:
    """Principals of one kind and home. Units are principals: what the first hour of each brought."""

    __slots__ = ("habits",)

    def __init__(self) -> None:
        self.habits = tuple(Habit(GROUP) for _ in CLASSES)

    def join(self, names: tuple[tuple[str, ...], ...]) -> None:
        """The first hour of a principal has ended."""
        for habit, shown in zip(self.habits, names, strict=True):
            for name in shown:
                habit.learn(name)
            habit.close(shown)

    def widen(self, names: tuple[tuple[str, ...], ...]) -> None:
        """A principal began to do this later on: one more does, but that is no unit."""
        for habit, shown in zip(self.habits, names, strict=True):
            for name in shown:
                if habit.learn(name):
                    habit.members[name] += 1

    def to_plain(self) -> list[Any]:
        """JSON-ready."""
        return [habit.to_plain() for habit in self.habits]

    @classmethod
    def from_plain(cls, data: Any) -> "Group":
        """What `to_plain` gave. Raises: HabitError."""
        group = cls()
        group.habits = _habits(data, group=True)
        return group


class PrincipalProfile:
    """`alarm_ns`: when its last alarm that cost budget began. `adopted`: held behaviours that became normal."""

    __slots__ = ("actor", "adopted", "alarm_ns", "habits", "units")

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.habits = tuple(Habit(PRINCIPAL) for _ in CLASSES)
        self.units: dict[int, Unit] = {}  # by hour
        self.alarm_ns = 0
        self.adopted = 0

    def unit(self, hour: int) -> Unit:
        """The hour's unit, opened if need be. One too many open ones: the oldest must be closed first."""
        unit = self.units.get(hour)
        if unit is None:
            unit = self.units[hour] = Unit()
        return unit

    @property
    def crowded(self) -> bool:
        """Whether no more hours may be open."""
        return len(self.units) >= _MOST_OPEN

    def novel(self, shown: Shown) -> tuple[int, ...]:
        """Classes whose member it has never shown."""
        habits = self.habits
        return tuple(i for i, name in enumerate(shown) if name and name not in habits[i].members)

    def close(self, hour: int) -> tuple[bool, tuple[tuple[str, ...], ...]]:
        """The hour is over: (whether it was the principal's first, by class what it brought)."""
        unit = self.units.pop(hour)
        first = not self.habits[0].units
        brought = []
        for habit, names in zip(self.habits, unit.names, strict=True):
            self._adopt(habit, names, hour)
            brought.append(habit.close(names))
        return first, tuple(brought)

    def _adopt(self, habit: Habit, names: set[str], hour: int) -> None:
        for name in names & habit.held.keys():
            held = habit.held[name]
            held.units += 1
            if held.units >= ADOPT_UNITS and (hour + 1) * HOUR_NS - held.first_ns >= ADOPT_NS:
                self.adopted += habit.learn(name)

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready; open hours with what they have shown."""
        units = {str(hour): [sorted(names) for names in unit.names] for hour, unit in self.units.items()}
        habits = [habit.to_plain() for habit in self.habits]
        return {"actor": list(self.actor), "habits": habits, "units": units, "alarm_ns": self.alarm_ns}

    @classmethod
    def from_plain(cls, data: Any) -> "PrincipalProfile":
        """What `to_plain` gave. Raises: HabitError."""
        if not isinstance(data, dict) or not {"actor", "habits", "units", "alarm_ns"} <= data.keys():
            raise HabitError("a principal has actor, habits, units and alarm_ns")
        profile = cls(_actor(data["actor"]))
        profile.habits = _habits(data["habits"], group=False)
        profile.alarm_ns = numbers([data["alarm_ns"]], "alarm_ns", 1)[0]
        if not isinstance(data["units"], dict) or len(data["units"]) > _MOST_OPEN:
            raise HabitError(f"units: expected at most {_MOST_OPEN} hours")
        for hour, names in data["units"].items():
            profile.units[_hour(hour)] = _unit(names)
        return profile


def shown_of(access: Access) -> Shown:
    """The fields that are behaviour."""
    return access[1:7]


def _habits(data: Any, *, group: bool) -> tuple[Habit, ...]:
    if not isinstance(data, list) or len(data) != len(CLASSES):
        raise HabitError(f"habits: expected {len(CLASSES)} classes")
    return tuple(Habit.from_plain(part, GROUP if group else PRINCIPAL) for part in data)


def _actor(data: Any) -> Actor:
    if not isinstance(data, list) or len(data) != 3 or not all(isinstance(part, str) for part in data):
        raise HabitError("actor: expected name, kind and home")
    try:
        return Actor(data[0], PrincipalKind(data[1]), data[2])
    except ValueError as error:
        raise HabitError(f"actor: {str(error)[:80]}") from error


def _hour(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise HabitError("units: an hour is a number")
    return int(text)


def _unit(names: Any) -> Unit:
    if not isinstance(names, list) or len(names) != len(CLASSES):
        raise HabitError(f"units: expected names of {len(CLASSES)} classes")
    unit = Unit()
    for known, part in zip(unit.names, names, strict=True):
        if not isinstance(part, list) or not all(isinstance(name, str) for name in part):
            raise HabitError("units: names are texts")
        known.update(part)
    return unit
