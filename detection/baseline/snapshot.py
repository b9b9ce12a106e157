"""What is told of a profile: a plain value of everything that was counted, whole or as the changes since a time.

A snapshot is the unit of the exchange between agents and collector and of merging (see merge). It holds no open
slot and no judgement. Class names are the text form of a class key: "exec", or "exec/startup" outside the steady phase.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from detection.baseline.members import INSTANCE_BITS, MOST_SLOTS
from detection.baseline.profile import ClassKey, ClassProfile, Held, Member, Profile, ProfileConfig

_MOST_INSTANCES = 1024


class Window(NamedTuple):
    """Sampling units of one window of the bound, and how many of them brought something new."""

    units: int
    novel: int


class Shown(NamedTuple):
    """One behaviour as it was seen. `held`: in quarantine, not learned. At least so many instances and agents."""

    times: int
    units: int
    first_ns: int
    last_ns: int
    instances: int = 1
    held: bool = False
    slots: int = 0
    agents: int = 1


@dataclass(frozen=True, slots=True)
class ClassSnapshot:
    """One class. `windows` in order, the first units first; at least `instances` were watched."""

    windows: tuple[Window, ...] = ()
    members: Mapping[str, Shown] = field(default_factory=dict)
    condemned: frozenset[str] = frozenset()
    instances: int = 0
    overflow: int = 0
    loss_left: int = 0
    slots: int = 0

    @property
    def units(self) -> int:
        """Sampling units in all."""
        return sum(window.units for window in self.windows)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A profile, or what changed of it. `closed_ns` is the end of the last slot counted in it."""

    workload: str
    version: str
    closed_ns: int
    classes: Mapping[str, ClassSnapshot]

    @property
    def size(self) -> int:
        """Members in all classes."""
        return sum(len(known.members) for known in self.classes.values())


def snapshot(profile: Profile, closed_ns: int, since_ns: int = 0) -> Snapshot:
    """What `profile` counted; only members seen since `since_ns` (Unix nanoseconds) and classes that were watched.

    Take it right after a slot was closed: what an open slot saw is in the next one.
    """
    classes = {str(name): _class(known, since_ns) for name, known in profile.classes.items() if _has_content(known)}
    return Snapshot(profile.workload, profile.version, closed_ns, classes)


def applied(base: Snapshot, changes: Snapshot) -> Snapshot:
    """`base` with the classes and members of `changes` in place of its own."""
    classes = dict(base.classes)
    for name, changed in changes.classes.items():
        known = classes.get(name)
        classes[name] = changed if known is None else replace(changed, members={**known.members, **changed.members})
    return replace(changes, classes=classes)


def without_members(base: Snapshot) -> Snapshot:
    """The same with every class emptied of members: what a summary needs."""
    return replace(base, classes={name: replace(known, members={}) for name, known in base.classes.items()})


def _has_content(known: ClassProfile) -> bool:
    return bool(known.units or known.members or known.quarantine or known.condemned or known.overflow)


def _class(known: ClassProfile, since_ns: int) -> ClassSnapshot:
    learned = {
        m.name: Shown(m.count, m.units, m.first_ns, m.last_ns, max(m.spread, 1), slots=_slots(m, known))
        for m in known.members.values()
        if m.units and m.last_ns >= since_ns
    }
    held = {
        h.name: Shown(h.count, 0, h.first_ns, h.last_ns, len(h.instances), held=True)
        for h in known.quarantine.values()
        if h.last_ns >= since_ns
    }
    told = known.incidence  # with as many units as independent replicas would have watched
    return ClassSnapshot(
        windows=tuple(Window(max(units, novel), novel) for units, novel in zip(told.spans, told.novel, strict=True)),
        members={**held, **learned},
        condemned=frozenset(known.condemned),
        instances=len(known.instances),
        overflow=known.overflow,
        loss_left=known.loss_left,
        slots=known.slots,
    )


def _slots(member: Member, known: ClassProfile) -> int:
    """In how many slots it was seen; where that was counted no more, what follows from its units."""
    if member.slots < MOST_SLOTS:
        return member.slots
    return max(MOST_SLOTS, member.units * known.slots // max(known.units, 1))


def profile_of(shown: Snapshot, config: ProfileConfig) -> Profile:
    """A profile with what a snapshot tells, to look things up in and to judge by. Unknown classes are left out.

    Instances have no names here, only their number.
    """
    profile = Profile(shown.workload, shown.version, config)
    profile.last_ns = shown.closed_ns
    for name, known in shown.classes.items():
        try:
            key = ClassKey.parse(name)
        except ValueError:  # a class of a newer version
            continue
        _fill(profile.classes[key], known)
    return profile


def _fill(known: ClassProfile, shown: ClassSnapshot) -> None:
    known.windows = [[units, novel] for units, novel in shown.windows]
    known.units = known.slots = shown.units  # replicas that move together are counted as one already
    known.instances = {f"#{number}": number for number in range(min(shown.instances, _MOST_INSTANCES))}
    known.condemned = dict.fromkeys(sorted(shown.condemned), 0)
    known.overflow, known.loss_left = shown.overflow, shown.loss_left
    for name, one in shown.members.items():
        if one.held:
            voices = {f"#{number}" for number in range(min(one.instances, INSTANCE_BITS))}
            known.quarantine[name] = Held(name, one.first_ns, one.last_ns, one.times, voices)
        else:
            bits = (1 << min(one.instances, INSTANCE_BITS)) - 1
            slots = max(1, min(one.slots or one.units, shown.units))
            known.restore(Member(name, one.times, max(one.units, 1), 1, one.first_ns, one.last_ns, bits, slots=slots))
            known.slot_incidences += max(1, min(one.units, shown.units))
