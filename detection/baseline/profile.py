"""What one workload does: a profile of behaviour classes, each a set of templates with incidence counts.

A profile is fed within sampling units. A unit is one container instance during one time slot; it is open while
the slot lasts (`see`) and counted when the slot ends (`close_slot`). Everything is bounded, and what does not fit is
counted. Single-threaded, no clock: every time is passed in (Unix nanoseconds).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from detection.baseline.completeness import Incidence, coverage, unseen_items, unseen_upper, window_of

CLASSES = ("exec", "write", "egress")
_INSTANCES_PER_MEMBER = 16
_INSTANCES_PER_CLASS = 1024


class State(StrEnum):
    """How far a class may be trusted."""

    LEARNING = "learning"
    STABLE = "stable"  # the unseen mass is provably small
    LOSSY = "lossy"  # events of the class were lost: what looks new may only have been missed


@dataclass(frozen=True, slots=True)
class ProfileConfig:
    """When learning ends, and how much is kept.

    A class is stable when P(next unit brings something new) ≤ `target` with `confidence`, after at least `min_units`.
    A class without members is stable ("does nothing") only after `empty_factor` times the units and at
    `target` / `empty_factor`. It stays stable until the bound exceeds `hysteresis` × `target`.
    """

    target: float = 0.02
    confidence: float = 0.95
    min_units: int = 30
    empty_factor: float = 2.0
    hysteresis: float = 2.0
    clean_units: int = 60  # after a loss, this many units without one
    max_members: int = 2000
    max_quarantined: int = 256
    max_condemned: int = 1024


@dataclass(slots=True, eq=False)
class Member:
    """One behaviour. `units` is its incidence, `count` how often it was seen at all."""

    name: str
    first_ns: int
    last_ns: int
    count: int = 0
    units: int = 0
    first_unit: int = 0  # ordinal of the first unit that had it; 0 while that unit is still open
    instances: set[str] = field(default_factory=set)  # at most 16 are told apart
    known: bool = True  # False: quarantined, or forgotten

    def seen_by(self, instance: str) -> None:
        """Note an instance that shows this behaviour."""
        if len(self.instances) < _INSTANCES_PER_MEMBER:
            self.instances.add(instance)


class ClassProfile:
    """One behaviour class of one workload."""

    def __init__(self, config: ProfileConfig) -> None:
        self._config = config
        self.members: dict[str, Member] = {}
        self.quarantine: dict[str, Member] = {}
        self.condemned: dict[str, int] = {}
        self.instances: set[str] = set()
        self.units = self.uniques = self.duplicates = self.incidences = self.observed = 0
        self.novel: list[int] = []
        self.overflow = 0  # behaviours that found no room: the class can no longer become stable
        self.evicted = 0  # quarantined or condemned behaviours that made room for newer ones
        self.losses = 0  # slots in which events were lost
        self.loss_left = 0  # clean units still to come before the class can be trusted again
        self.was_stable = False
        self._dirty = False
        self._open: dict[str, set[Member]] = {}
        self._bound: tuple[int, float] = (-1, 1.0)

    def find(self, name: str) -> Member | None:
        """The member of that name, known or in quarantine."""
        return self.members.get(name) or self.quarantine.get(name)

    def see(self, member: Member, instance: str, now_ns: int, times: int = 1) -> None:
        """`member` happened `times` in the open unit of `instance`."""
        member.count += times
        member.last_ns = now_ns
        unit = self._open.get(instance)
        if unit is None:
            unit = self._open[instance] = set()
        unit.add(member)

    def learn(self, name: str, instance: str, now_ns: int) -> Member | None:
        """Take a new member, or one out of quarantine; None (and counted) when there is no room or it was condemned."""
        if name in self.condemned:
            self.condemned[name] += 1
            return None
        if len(self.members) >= self._config.max_members:
            self.overflow += 1
            self._forget_bound()
            return None
        member = self.quarantine.pop(name, None) or Member(name, now_ns, now_ns)
        member.known = True
        self.members[name] = member
        self.see(member, instance, now_ns)
        return member

    def hold(self, name: str, instance: str, now_ns: int) -> Member:
        """Put a behaviour in quarantine, or count it there; the oldest makes room."""
        member = self.quarantine.get(name)
        if member is None:
            if len(self.quarantine) >= self._config.max_quarantined:
                self.quarantine.pop(next(iter(self.quarantine)))
                self.evicted += 1
            member = self.quarantine[name] = Member(name, now_ns, now_ns, known=False)
        member.count += 1
        member.last_ns = now_ns
        member.seen_by(instance)
        return member

    def condemn(self, name: str) -> bool:
        """Never learn this behaviour; unlearn it if its first unit is still open. Whether it was unlearned."""
        member = self.members.get(name)
        if member is not None and member.units:
            return False
        if len(self.condemned) >= self._config.max_condemned:
            self.condemned.pop(next(iter(self.condemned)))
            self.evicted += 1
        self.condemned.setdefault(name, 0)
        if member is None:
            return False
        member.known = False
        del self.members[name]
        return True

    def note_loss(self) -> None:
        """Events of this class were lost in the open slot."""
        self.losses += not self._dirty
        self._dirty = True
        self.loss_left = self._config.clean_units
        self._forget_bound()

    def close_slot(self, alive: Iterable[str]) -> None:
        """End the slot: one unit for each instance in `alive`.

        A slot with losses is no evidence of absence: its units are not counted, its members stay.
        """
        opened, self._open = self._open, {}
        if self._dirty:
            self._dirty = False
            return
        for instance in alive:
            if len(self.instances) < _INSTANCES_PER_CLASS:
                self.instances.add(instance)
            self._close_unit(instance, opened.get(instance, set()))
        self.was_stable = self.state is State.STABLE or (self.was_stable and self.loss_left > 0)

    def _close_unit(self, instance: str, seen: set[Member]) -> None:
        self.units += 1
        self.loss_left = max(0, self.loss_left - 1)
        novel = False
        for member in seen:
            if member.known:
                novel |= self._count_incidence(member)
                member.seen_by(instance)
        window = window_of(self.units)
        self.novel.extend([0] * (window + 1 - len(self.novel)))
        self.novel[window] += novel

    def _count_incidence(self, member: Member) -> bool:
        """Count a member for the unit being closed; whether this was its first."""
        member.units += 1
        self.incidences += 1
        if member.units == 1:
            member.first_unit = self.units
            self.uniques += 1
            self.observed += 1
        elif member.units == 2:
            self.uniques -= 1
            self.duplicates += 1
        elif member.units == 3:
            self.duplicates -= 1
        return member.units == 1

    @property
    def incidence(self) -> Incidence:
        """The counts completeness is computed from."""
        return Incidence(self.units, self.uniques, self.duplicates, self.incidences, self.observed, tuple(self.novel))

    @property
    def completeness(self) -> float:
        """Estimated sample coverage; for a class without members 1 − its bound."""
        return coverage(self.incidence) if self.members else 1.0 - self.unseen_upper

    @property
    def unseen_items(self) -> float:
        """Estimated number of behaviours not yet seen."""
        return unseen_items(self.incidence)

    @property
    def unseen_upper(self) -> float:
        """Upper bound of P(the next unit brings something new); computed at most once per unit."""
        if self._bound[0] != self.units:
            self._bound = (self.units, unseen_upper(self.incidence, self._config.confidence))
        return self._bound[1]

    def _forget_bound(self) -> None:
        self._bound = (-1, 1.0)

    @property
    def state(self) -> State:
        """Learning, stable or lossy; see ProfileConfig for when."""
        if self.loss_left:
            return State.LOSSY
        config = self._config
        factor = 1.0 if self.observed else config.empty_factor
        slack = config.hysteresis if self.was_stable else 1.0
        enough = self.units >= config.min_units * factor
        if enough and not self.overflow and self.unseen_upper <= config.target / factor * slack:
            return State.STABLE
        return State.LEARNING


class Profile:
    """All classes of one workload in one version, and the instances seen in the open slot.

    `witnessed` counts what the sensor reported of this workload at all. Without it silence proves nothing: the
    probes may not see this workload, so no class is closed and none can become stable.
    """

    def __init__(self, workload: str, version: str, config: ProfileConfig) -> None:
        self.workload = workload
        self.version = version
        self.config = config
        self.witnessed = 0
        self.last_ns = 0
        self.alive: set[str] = set()
        self.classes = {name: ClassProfile(config) for name in CLASSES}

    def close_slot(self) -> None:
        """Count one unit for every instance that was alive in the slot."""
        alive, self.alive = self.alive, set()
        if self.witnessed and alive:
            for behaviours in self.classes.values():
                behaviours.close_slot(alive)
