"""What is known of the principals of one source, bounded: profiles, groups, the record of novelties, open hours."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from detection.baseline.budget import BudgetConfig
from detection.baseline.conformal import Calibration
from detection.finding import Source
from detection.principals.access import Actor, PrincipalKind
from detection.principals.profile import Group, PrincipalProfile
from detection.principals.score import NEARLY, AccessScoreConfig

_WEEK_HOURS = 168
_GRACE_HOURS = 2  # an hour is closed when the source has reached the second after it
_MOST_UNSAVED = 10_000
_CLOSED_AT_ONCE = 2  # hours closed with one record, so that nobody waits for thousands
Find = Callable[[str, str], PrincipalProfile | None]


@dataclass(frozen=True, slots=True)
class BehaviourConfig:
    """`budget`: false anomalies a week over all principals of a source. `principals`: of one source in memory."""

    budget: float = 7.0
    principals: int = 20_000
    groups: int = 4_000
    score: AccessScoreConfig = field(default_factory=AccessScoreConfig)

    def __post_init__(self) -> None:
        if not 0.01 <= self.budget <= 10_000:
            raise ValueError(f"a budget of {self.budget} anomalies a week: give 0.01 to 10000")

    @property
    def rules(self) -> BudgetConfig:
        """The budget's; alarms of one hour belong together by principal here, not by source."""
        weeks = min(52.0, max(4.0, 2.0 / self.budget))
        return BudgetConfig(self.budget, _WEEK_HOURS, int(weeks * _WEEK_HOURS), episode_slots=0)


class SourceState:
    """One source's principals. Time is the records' own: `hour` is the newest hour seen, and what closes others."""

    def __init__(self, source: Source, config: BehaviourConfig, find: Find, counts: Counter[str]) -> None:
        self.source = source
        self.config = config
        self.budget = config.rules
        self.record = Calibration(self.budget.window)
        self.profiles: OrderedDict[str, PrincipalProfile] = OrderedDict()
        self.groups: OrderedDict[tuple[str, str], Group] = OrderedDict()
        self.hour = 0
        self.stored = False
        self.dirty: dict[str, PrincipalProfile] = {}  # changed since they were stored; those that left among them
        self.saving: dict[str, PrincipalProfile] = {}  # on their way to the store
        self.dirty_groups: dict[tuple[str, str], Group] = {}
        self._find = find
        self._counts = counts
        self._open: dict[int, list[str]] = {}
        self._closing: deque[tuple[int, str]] = deque()
        self._trusted: set[str] = set()

    def profile(self, actor: Actor) -> PrincipalProfile:
        """The actor's profile: in memory, stored, or a new one."""
        found = self.profiles.get(actor.name)
        if found is not None:
            return found
        known = self.dirty.get(actor.name) or self.saving.get(actor.name) or self._find(self.source.value, actor.name)
        if known is None:
            self._counts["principals"] += 1
        return self.put(known or PrincipalProfile(actor))

    def put(self, profile: PrincipalProfile) -> PrincipalProfile:
        """Keep it in memory; who was not heard of for the longest time leaves."""
        name = profile.actor.name
        self.profiles[name] = profile
        for hour in profile.units:
            self._open.setdefault(hour, []).append(name)
        while len(self.profiles) > self.config.principals:
            _, left = self.profiles.popitem(last=False)
            for hour in list(left.units):
                self._close(left, hour)
            self._changed(left)
            self._counts["left"] += 1
        return profile

    def touch(self, profile: PrincipalProfile) -> None:
        """It was active in a new hour."""
        self.profiles.move_to_end(profile.actor.name)
        self._changed(profile)

    def opened(self, profile: PrincipalProfile, hour: int) -> None:
        """A unit of it was opened."""
        if profile.crowded:
            self._close(profile, min(profile.units))
        profile.unit(hour)
        self._open.setdefault(hour, []).append(profile.actor.name)
        self.touch(profile)

    def groups_of(self, actor: Actor) -> list[Group]:
        """Its group, and all of its kind."""
        keys = {(actor.kind.value, actor.home): None, (actor.kind.value, ""): None}
        return [self.groups[key] for key in keys if key in self.groups]

    def advance(self, hour: int) -> None:
        """The source has reached this hour: what is over for good is closed, a little with each record."""
        if self.hour:
            for _ in range(min(hour - self.hour, self.budget.window)):
                self.record.advance(self._trusted)
        self.hour = max(self.hour, hour)
        for over in sorted(h for h in self._open if h <= hour - _GRACE_HOURS):
            self._closing.extend((over, name) for name in self._open.pop(over))

    def trust(self, kind: str) -> None:
        """Principals of this kind are complete enough that their novelties are judged."""
        self._trusted.add(kind)

    def about(self) -> dict[str, Any]:
        """Of the source itself, JSON-ready."""
        return {"hour": self.hour, "record": self.record.to_dict(), "trusted": sorted(self._trusted)}

    @property
    def closing(self) -> bool:
        """Whether hours wait to be closed."""
        return bool(self._closing)

    def close_some(self, most: int = _CLOSED_AT_ONCE) -> None:
        """Close so many hours that are over."""
        while self._closing and most:
            hour, name = self._closing.popleft()
            profile = self.profiles.get(name)
            if profile is not None and hour in profile.units:
                self._close(profile, hour)
                most -= 1

    @property
    def oldest(self) -> int:
        """The oldest hour that is still open to records."""
        return self.hour - _GRACE_HOURS + 1

    def _close(self, profile: PrincipalProfile, hour: int) -> None:
        adopted = profile.adopted
        first, brought = profile.close(hour)
        self._counts["hours"] += 1
        self._counts["adopted"] += profile.adopted - adopted
        self._changed(profile)
        actor = profile.actor
        if actor.kind is PrincipalKind.SERVICE:
            return
        if actor.kind.value not in self._trusted and any(h.unseen_upper <= NEARLY for h in profile.habits):
            self.trust(actor.kind.value)
        if not first and not any(brought):
            return
        for key in {(actor.kind.value, actor.home): None, (actor.kind.value, ""): None}:
            group = self._group(key)
            group.join(brought) if first else group.widen(brought)
            if self.stored:
                self.dirty_groups[key] = group

    def _changed(self, profile: PrincipalProfile) -> None:
        """To be stored. Where nobody could store for long, the oldest is lost to what comes after it left memory."""
        if not self.stored:
            return
        self.dirty[profile.actor.name] = profile
        if len(self.dirty) > _MOST_UNSAVED + self.config.principals:
            self.dirty.pop(next(iter(self.dirty)))
            self._counts["unsaved"] += 1

    def _group(self, key: tuple[str, str]) -> Group:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group()
            while len(self.groups) > self.config.groups:
                gone, _ = self.groups.popitem(last=False)
                self.dirty_groups.pop(gone, None)
                self._counts["groups_left"] += 1
        self.groups.move_to_end(key)
        return group
