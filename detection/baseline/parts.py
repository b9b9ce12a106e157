"""A snapshot in parts of bounded size, and parts put together again: the exchange between agents and collectors.

Plain values: protobuf stays with those who speak it. What comes from the other side is checked here, whoever that is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from detection.baseline.completeness import FIRST_WINDOW, MAX_WINDOWS
from detection.baseline.keys import ClassKey
from detection.baseline.packing import MAX_NAME, portions
from detection.baseline.snapshot import ClassSnapshot, Shown, Snapshot, Window
from detection.errors import DetectionError

PART_BYTES = 256 << 10  # before compression
MAX_PARTS = 64
MAX_KEY = 1024
MAX_CONDEMNED = 2048
MAX_UPDATE_MEMBERS = 50_000
_MAX_CLASSES = 64
_LARGEST = 1 << 40
_LARGEST_TIME = 1 << 62


class PartError(DetectionError):
    """A part that does not say what a part may say."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some classes of an update, and some members of each. See `vedette.v1.Profile`."""

    workload: str
    version: str
    number: int
    base: int = 0  # 0: the whole profile
    part: int = 1
    parts: int = 1
    run_id: str = ""
    closed_ns: int = 0
    classes: tuple[tuple[str, ClassSnapshot], ...] = ()
    agents: int = 0
    inherited_from: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """A profile, or what changed of it since number `base`."""

    snapshot: Snapshot
    number: int
    base: int = 0
    run_id: str = ""
    agents: int = 0
    inherited_from: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Workload and version."""
        return self.snapshot.workload, self.snapshot.version


def split(update: Update) -> list[Part]:
    """The parts of an update, in order; at least one. What is beyond MAX_PARTS is left out."""
    bundles = list(_bundles(update.snapshot.classes))[:MAX_PARTS] or [()]
    shown = update.snapshot
    whole = Part(
        workload=shown.workload,
        version=shown.version,
        number=update.number,
        base=update.base,
        parts=len(bundles),
        run_id=update.run_id,
        closed_ns=shown.closed_ns,
        agents=update.agents,
        inherited_from=update.inherited_from,
    )
    return [replace(whole, part=place, classes=bundle) for place, bundle in enumerate(bundles, 1)]


def _bundles(classes: Mapping[str, ClassSnapshot]) -> Iterator[tuple[tuple[str, ClassSnapshot], ...]]:
    """Classes together as long as they are small; a large one in portions, each with all that is not members."""
    small: list[tuple[str, ClassSnapshot]] = []
    room = PART_BYTES
    for name in sorted(classes):
        known = classes[name]
        for portion in portions(known.members, PART_BYTES):
            size = sum(len(member) + 64 for member in (*portion, *known.condemned))
            if small and size > room:
                yield tuple(small)
                small, room = [], PART_BYTES
            small.append((name, replace(known, members=portion)))
            room -= size
    if small:
        yield tuple(small)


@dataclass(slots=True)
class Assembler:
    """Puts the parts of one update after the other together. Parts of another update begin that one."""

    _parts: list[Part] = field(default_factory=list)
    _members: int = 0

    def add(self, part: Part) -> Update | None:
        """The update once its last part is there. Raises: PartError; what was begun is then given up."""
        try:
            self._check(part)
        except PartError:
            self._parts = []
            raise
        self._parts.append(part)
        if part.part < part.parts:
            return None
        whole, self._parts = _joined(self._parts), []
        return whole

    def _check(self, part: Part) -> None:
        check(part)
        if part.part == 1:
            self._parts, self._members = [], 0
        elif not self._parts or not _follows(self._parts[-1], part):
            raise PartError(f"part {part.part} of {part.parts} does not follow the one before")
        self._members += sum(len(known.members) for _, known in part.classes)
        if self._members > MAX_UPDATE_MEMBERS:
            raise PartError(f"an update of more than {MAX_UPDATE_MEMBERS} members")


def _follows(before: Part, part: Part) -> bool:
    return replace(part, part=before.part, classes=before.classes) == before and part.part == before.part + 1


def _joined(parts: list[Part]) -> Update:
    classes: dict[str, ClassSnapshot] = {}
    for part in parts:
        for name, known in part.classes:
            before = classes.get(name)
            classes[name] = known if before is None else replace(known, members={**before.members, **known.members})
    last = parts[-1]
    shown = Snapshot(last.workload, last.version, last.closed_ns, classes)
    return Update(shown, last.number, last.base, last.run_id, last.agents, last.inherited_from)


def check(part: Part) -> None:
    """Raises: PartError unless every bound holds and every name may stand in a profile."""
    for what, text, least in (("workload", part.workload, 1), ("version", part.version, 0)):
        if not least <= len(text) <= MAX_KEY or not (text.isprintable()):
            raise PartError(f"{what} must be {least} to {MAX_KEY} characters that can be seen")
    if not 1 <= part.part <= part.parts <= MAX_PARTS:
        raise PartError(f"part {part.part} of {part.parts}; at most {MAX_PARTS} are taken")
    if not 0 <= part.base < part.number < _LARGEST_TIME or not 0 <= part.closed_ns < _LARGEST_TIME:
        raise PartError("an update's number is above that of its base, and its time is not negative")
    if len(part.run_id) > 64 or len(part.inherited_from) > MAX_KEY or len(part.classes) > _MAX_CLASSES:
        raise PartError(f"run_id, inherited_from or classes are too long; at most {_MAX_CLASSES} classes are taken")
    for name, known in part.classes:
        _check_class(name, known)


def _check_class(name: str, known: ClassSnapshot) -> None:
    try:
        canonical = str(ClassKey.parse(name[:64]))
    except ValueError as error:
        raise PartError("no such class of behaviour") from error
    if canonical != name:
        raise PartError("no such class of behaviour")
    if len(known.windows) > MAX_WINDOWS or not all(0 <= w.novel <= w.units < _LARGEST for w in known.windows):
        raise PartError(f"{name}: windows are at most {MAX_WINDOWS} pairs of units and novel units")
    if not all(0 <= n < _LARGEST for n in (known.instances, known.overflow, known.loss_left, known.slots)):
        raise PartError(f"{name}: a count is out of range")
    if len(known.condemned) > MAX_CONDEMNED or not all(_is_name(member) for member in known.condemned):
        raise PartError(f"{name}: at most {MAX_CONDEMNED} condemned behaviours of {MAX_NAME} characters")
    if not all(_is_name(member) for member in known.members):
        raise PartError(f"{name}: a member's name is 1 to {MAX_NAME} characters")


def _is_name(text: str) -> bool:
    """Any characters: containers choose names. Who shows them makes them fit for a terminal."""
    return 0 < len(text) <= MAX_NAME


def clamped(known: ClassSnapshot) -> ClassSnapshot:
    """What an agent claims, within what can be: no window above its size, no member in more units than there were."""
    sizes = (FIRST_WINDOW << max(0, index - 1) for index in range(len(known.windows)))
    pairs = ((min(w.units, size), w.novel) for w, size in zip(known.windows, sizes, strict=True))
    windows = tuple(Window(units, min(units, novel)) for units, novel in pairs)
    units = sum(window.units for window in windows)

    def within(shown: Shown) -> Shown:
        return shown._replace(
            units=min(shown.units, units),
            slots=min(shown.slots, known.slots),
            instances=min(max(shown.instances, 1), max(known.instances, 1)),
            agents=1,
        )

    return replace(known, windows=windows, members={name: within(shown) for name, shown in known.members.items()})
