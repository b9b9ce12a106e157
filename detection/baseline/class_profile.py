"""One behaviour class: its members, known, held or condemned, and what is counted of them.

A class is fed within sampling units. A steady unit is one container instance during one time slot; it is open while
the slot lasts (`touch`) and counted when the slot ends (`close_slot`). A unit of startup or shutdown is one start or
stop (`close_unit`). Everything is bounded, and what does not fit is counted. Single-threaded, no clock: every time is
passed in (Unix nanoseconds).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from detection.baseline.completeness import coverage, window_of
from detection.baseline.counts import Counts, ProfileConfig, State
from detection.baseline.folding import Exact, covers, deepest_crowd, files_of_a_kind
from detection.baseline.members import INSTANCE_BITS, Member, Members
from detection.baseline.templates import read_is_exact, write_is_exact

_INSTANCES_PER_CLASS = 1024
_INSTANCES_PER_HELD = 16
_FOLDED: dict[str, Exact] = {"write": write_is_exact, "read": read_is_exact}
_FIRST_FOLD = 32  # members; again whenever they have doubled


@dataclass(slots=True, eq=False)
class Held:
    """A behaviour in quarantine: seen, not learned. Up to 16 instances are told apart."""

    name: str
    first_ns: int
    last_ns: int
    count: int = 0
    instances: set[str] = field(default_factory=set)

    def seen(self, instance: str, now_ns: int) -> None:
        """It happened once more."""
        self.count += 1
        self.last_ns = now_ns
        if len(self.instances) < _INSTANCES_PER_HELD:
            self.instances.add(instance)


class ClassProfile(Counts):
    """One behaviour class of one workload in one phase. `behaviour`: its members may then be folded (read, write).

    Who is in a hurry asks for rows (`row`, `touch`); everyone else for values (`find`, `see`).
    """

    __slots__ = (
        "_exact", "_fold_at", "_folded", "condemned", "instances", "members", "open_units", "quarantine",
    )  # fmt: skip

    def __init__(self, config: ProfileConfig, behaviour: str = "") -> None:
        super().__init__(config)
        self._exact = _FOLDED.get(behaviour)
        self._folded = False
        self._fold_at = _FIRST_FOLD
        self.members = Members()
        self.quarantine: dict[str, Held] = {}
        self.condemned: dict[str, int] = {}
        self.instances: dict[str, int] = {}  # in the order they came, by number
        self.open_units: dict[str, dict[int, int]] = {}  # instance → row → times, in the unit that is open

    def row(self, name: str) -> int:
        """The row of the known member of that name, or of the folded one that covers it; -1 for none."""
        row = self.members.find(name)
        if row < 0 and self._folded and self._exact:
            for wider in covers(name, self._exact):
                row = self.members.find(wider)
                if row >= 0:
                    break
        return row

    def find(self, name: str) -> Member | Held | None:
        """The known member of that name or the one that covers it, else what is in quarantine under it."""
        row = self.row(name)
        return self.members.at(row) if row >= 0 else self.quarantine.get(name)

    def touch(self, row: int, instance: str, times: int = 1) -> None:
        """The member in that row happened `times` in the open unit of `instance`."""
        unit = self.open_units.get(instance)
        if unit is None:
            unit = self.open_units[instance] = {}
        unit[row] = unit.get(row, 0) + times

    def see(self, member: Member, instance: str, now_ns: int, times: int = 1) -> None:
        """A known member happened `times` in the open unit of `instance`; its count grows when the unit ends."""
        self.touch(member.row, instance, times)

    def learn(self, name: str, instance: str, now_ns: int) -> Member | None:
        """As `take`, giving the member or None."""
        row = self.take(name, instance, now_ns)
        return self.members.at(row) if row >= 0 else None

    def take(self, name: str, instance: str, now_ns: int) -> int:
        """Take a new member, or one out of quarantine; its row, -1 (and counted) without room or if condemned."""
        if name in self.condemned:
            self.condemned[name] += 1
            return -1
        if len(self.members) >= self._config.max_members:
            if not self._fold_all():
                self.refuse()
                return -1
            if (row := self.row(name)) >= 0:
                self.touch(row, instance)
                return row
        held = self.quarantine.pop(name, None)
        first_ns = held.first_ns if held else now_ns
        row = self._folded_row(self.members.add(Member(name, 0, first_ns=first_ns, last_ns=now_ns)))
        self.touch(row, instance)
        return row

    def restore(self, member: Member) -> None:
        """Put in a member that was counted elsewhere: in a file, or by other agents."""
        self.members.add(member)
        self._folded = self._folded or (self._exact is not None and "*" in member.name[-40:])
        self.observed += 1
        self.incidences += member.units
        self.uniques += member.units == 1
        self.duplicates += member.units == 2
        self.slot_uniques += member.slots == 1
        self.slot_duplicates += member.slots == 2
        self._forget_bound()

    def hold(self, name: str, instance: str, now_ns: int) -> Held:
        """Put a behaviour in quarantine, or count it there; the oldest makes room."""
        held = self.quarantine.get(name)
        if held is None:
            if len(self.quarantine) >= self._config.max_quarantined:
                self.quarantine.pop(next(iter(self.quarantine)))
                self.evicted += 1
            held = self.quarantine[name] = Held(name, now_ns, now_ns)
        held.seen(instance, now_ns)
        return held

    def condemn(self, name: str) -> bool:
        """Never learn this behaviour; unlearn it if its first unit is still open. Whether it was unlearned."""
        row = self.members.find(name)
        if row >= 0 and self.members.units(row):
            return False
        if len(self.condemned) >= self._config.max_condemned:
            self.condemned.pop(next(iter(self.condemned)))
            self.evicted += 1
        self.condemned.setdefault(name, 0)
        if row < 0:
            return False
        self.members.remove(row)
        return True

    def unlearn(self, name: str) -> None:
        """A person says that this known behaviour is not normal: the class does not know it any more.

        The units that were watched stay: that something was new in them is still true.
        """
        row = self.members.find(name)
        if row >= 0:
            member = self.members.at(row)
            self._weigh(member.units, member.slots, -1)
            self.slot_incidences -= member.slots
            self.members.remove(row)
            self._forget_bound()

    def close_slot(self, alive: Iterable[str], now_ns: int = 0) -> None:
        """End the slot: one unit for each instance in `alive`. Every open unit ends.

        A slot with losses is no evidence of absence: its units are not counted, its members stay.
        """
        opened, self.open_units = self.open_units, {}
        dirty, self._dirty = self._dirty, False
        for unit in opened.values():
            self._count(unit, now_ns)
        if dirty:
            return
        self._close([((instance,), opened.get(instance, {})) for instance in alive])

    def close_unit(self, instances: Iterable[str], now_ns: int = 0) -> None:
        """End one unit that several instances made together, say the starts within one slot; others stay open."""
        seen: dict[int, int] = {}
        names = tuple(instances)
        for instance in names:
            unit = self.open_units.pop(instance, {})
            self._count(unit, now_ns)
            seen.update(unit)
        dirty, self._dirty = self._dirty, self._dirty and bool(self.open_units)
        if dirty or not names:
            return
        self._close([(names, seen)])

    def _count(self, unit: dict[int, int], now_ns: int) -> None:
        for row, times in unit.items():
            if (current := self.members.current(row)) >= 0:
                self.members.saw(current, times, now_ns)

    def _close(self, units: Sequence[tuple[tuple[str, ...], dict[int, int]]]) -> None:
        """Count the units of one slot: who made each, and what was seen in it."""
        if not units:
            return
        bringing, together = 0, set[int]()
        for instances, seen in units:
            rows = {self.members.current(row) for row in seen} - {-1} if seen else set[int]()
            bringing += self._close_unit(instances, rows)
            together |= rows
        for row in together:
            self._count_slot(row)
        if bringing:
            self.windows[-1][1] += 1
            if self.slots:
                self.burst_units += bringing
                self.burst_slots += 1
        self.slots += 1
        self._settle()

    def _close_unit(self, instances: Sequence[str], rows: set[int]) -> bool:
        """Count one unit that showed the members in these rows; whether it brought something new."""
        self.units += 1
        self.loss_left = max(0, self.loss_left - 1)
        bit, novel = self._bit(instances), False
        for row in rows:
            novel |= self._count_incidence(row, bit)
        window = window_of(self.units)
        while len(self.windows) <= window:
            self.windows.append([0, 0])
        self.windows[window][0] += 1
        return novel

    def _bit(self, instances: Sequence[str]) -> int:
        """The bits of these instances in a member's bit set; an instance the class has no room for has none."""
        bits = 0
        for instance in instances:
            number = self.instances.get(instance)
            if number is None and len(self.instances) < _INSTANCES_PER_CLASS:
                number = self.instances[instance] = len(self.instances)
            if number is not None:
                bits |= 1 << number % INSTANCE_BITS
        return bits

    def _count_incidence(self, row: int, bit: int) -> bool:
        """Count a member for the unit being closed; whether this was its first."""
        units = self.members.count_unit(row, self.units, bit)
        self.incidences += 1
        if units == 1:
            self.uniques += 1
            self.observed += 1
        elif units == 2:
            self.uniques -= 1
            self.duplicates += 1
        elif units == 3:
            self.duplicates -= 1
        return units == 1

    def _count_slot(self, row: int) -> None:
        slots = self.members.count_slot(row)
        self.slot_incidences += 1
        if slots <= 3:
            self.slot_uniques += (slots == 1) - (slots == 2)
            self.slot_duplicates += (slots == 2) - (slots == 3)

    def _folded_row(self, row: int) -> int:
        """Fold what the new member in this row makes too many; where it is now."""
        members, exact = self.members, self._exact
        if exact is None:
            return row
        name = members.name(row)
        if members.sibling_count(row) > 1:
            found = files_of_a_kind(name, ((r, members.name(r)) for r in members.siblings(row)), exact)
            if found:
                self._fold(*found)
        if len(members) >= self._fold_at:
            self._fold_all()
        return members.current(row)

    def _fold_all(self) -> bool:
        """Fold crowded directories, deepest first; whether that made room."""
        if self._exact is None:
            return False
        before = len(self.members)
        while found := deepest_crowd(((row, self.members.name(row)) for row in self.members.rows()), self._exact):
            self._fold(*found)
        self._fold_at = max(_FIRST_FOLD, 2 * len(self.members))
        return len(self.members) < before

    def _fold(self, name: str, rows: Sequence[int]) -> None:
        """Make one member of several. Its incidence is that of the most frequent: certainly not too high."""
        members = self.members
        parts = [members.at(row) for row in rows]
        firsts = [p.first_unit for p in parts if p.units]
        instances = 0
        for part in parts:
            instances |= part.instances
            self._weigh(part.units, part.slots, -1)
        whole = Member(
            name, sum(p.count for p in parts), max(p.units for p in parts), min(firsts, default=0),
            min(p.first_ns for p in parts), max(p.last_ns for p in parts), instances,
            slots=max(p.slots for p in parts),
        )  # fmt: skip
        row = members.find(name)
        into = members.add(whole) if row < 0 else row
        if row < 0 and whole.units:
            self._weigh(whole.units, whole.slots, 1)
        for old in rows:
            if old != into:
                members.remove(old, into)
        self._folded = True

    @property
    def completeness(self) -> float:
        """Estimated sample coverage; for a class without members 1 − its bound."""
        return coverage(self.slot_incidence) if len(self.members) else 1.0 - self.unseen_upper

    @property
    def churns(self) -> str:
        """Why it churns, in words; "" where it does not."""
        if self.overflow:
            return f"{self.overflow} behaviours found no room beside the {len(self.members)} known"
        if self.state is not State.CHURNING:
            return ""
        data = self.incidence
        novel, units = sum(data.novel[-2:]), sum(data.spans[-2:])
        return f"{novel} of the last {units} units brought something new, no fewer than before"
