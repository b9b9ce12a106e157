"""How surprising is what a principal does for the first time?

Per class, in decades (−log10 of a bound of the probability), with θ the upper bound of the unseen mass of the
principal's own class (`completeness.unseen_upper`; 1 for a principal of which nothing is known):

    unknown to its group    max(−log10 θ, POOL × −log10 θ_group) + evidence × (touch + DISTANCE × distance)
    known to k of n there   (1 − POOL × k/n) × (the same without the group)

θ_group is the same bound with principals as units: how often a principal's first hour brings its group something
nobody there had shown. So a new principal borrows from its kind, at half weight, and a new cluster, in which
neither principals nor groups are known, borrows nothing and is quiet.

A combination is the sum over classes of what this principal's hour brought. That is the probability of all of it
only if classes were independent. They are not quite: a new tool comes with new calls. Hence API and resource count
as one (the larger), hours count half, and the sum is no probability but an order, which the budget calibrates.

*Strangeness* is the same without the bounds: what kind of novelty it is, however complete the profiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import NamedTuple

from detection.baseline.counts import State
from detection.finding import Severity
from detection.principals.access import AGENT, API, CLASSES, HOURS, NETWORK, REGION, RESOURCE
from detection.principals.habit import Habit
from detection.principals.profile import Group, News, PrincipalProfile, Shown, Unit
from detection.principals.touches import AccessTouch, touch_of

POOL = 0.5  # how much of what a group knows a principal borrows
DISTANCE = 0.5
NEARLY = 0.25  # unseen bound from which on a class that still learns may alarm, up to medium
_LEAST = 1e-4
_TELLING = 3  # principals in a group
_WEIGHTS = {API: 1.0, RESOURCE: 1.0, AGENT: 1.0, NETWORK: 1.0, REGION: 1.0, HOURS: 0.5}
_NEVER = {
    API: "never called {}",
    RESOURCE: "never touched {}",
    AGENT: "never used the tool {}",
    NETWORK: "never came from {}",
    REGION: "was never active in {}",
    HOURS: "was never active in the hours {}",
}


@dataclass(frozen=True, slots=True)
class AccessScoreConfig:
    """From surprise to severity: below `medium` low, from `high` on high. `floor`: less is not worth a word."""

    medium: float = 3.0
    high: float = 5.5
    floor: float = 1.0


class Part(NamedTuple):
    """One class's novelty. `judged`: complete enough to alarm; `sure`: stable, so without a cap."""

    which: int
    member: str
    decades: float
    strange: float
    judged: bool
    sure: bool
    reason: str
    touch: AccessTouch | None = None


class AccessScore(NamedTuple):
    """Verdict on one record, with what the same principal's hour brought before it."""

    surprise: float
    strangeness: float
    severity: Severity | None
    parts: tuple[Part, ...]
    earlier: tuple[str, ...]

    @property
    def key(self) -> str:
        """The class that is most surprising, which names the finding."""
        return CLASSES[max(self.parts, key=lambda part: part.decades).which]

    @property
    def touch(self) -> AccessTouch | None:
        """What it touches."""
        return next((part.touch for part in self.parts if part.touch), None)


def score(
    profile: PrincipalProfile, groups: Sequence[Group], shown: Shown, novel: Sequence[int], unit: Unit, *,
    config: AccessScoreConfig,
) -> AccessScore:  # fmt: skip
    """Judge a record that shows something new. `groups`: those of its principal, nearest first."""
    parts = tuple(_part(profile.habits[i], [g.habits[i] for g in groups], i, shown[i]) for i in novel)
    earlier = {i: news for i, news in unit.news.items() if i not in novel}
    decades = {i: news.decades for i, news in earlier.items()} | {p.which: p.decades for p in parts}
    strange = {i: news.strange for i, news in earlier.items()} | {p.which: p.strange for p in parts}
    surprise = _sum(decades)
    said = tuple(news.member for news in earlier.values())
    return AccessScore(surprise, _sum(strange), _severity(surprise, parts, config), parts, said)


def remember(verdict: AccessScore, unit: Unit) -> None:
    """What the hour brought counts on for what it brings next."""
    for part in verdict.parts:
        before = unit.news.get(part.which)
        if before is None or before.decades < part.decades:
            unit.news[part.which] = News(part.member, part.decades, part.strange)


def _sum(by_class: dict[int, float]) -> float:
    call = max(by_class.get(API, 0.0), by_class.get(RESOURCE, 0.0))
    return call + sum(value for index, value in by_class.items() if index not in (API, RESOURCE))


def _severity(surprise: float, parts: Sequence[Part], config: AccessScoreConfig) -> Severity | None:
    if not any(part.judged for part in parts):
        return Severity.INFORMATIONAL if surprise >= config.floor else None
    if surprise < config.medium:
        return Severity.LOW
    sure = any(part.sure for part in parts)
    return Severity.HIGH if surprise >= config.high and sure else Severity.MEDIUM


def _part(own: Habit, groups: Sequence[Habit], index: int, member: str) -> Part:
    bound, weight = own.unseen_upper, _WEIGHTS[index]
    known, of = max(((g.members.get(member, 0), g.units) for g in groups), key=_share, default=(0, 0))
    touch = touch_of(member) if index == API else None
    extra = (touch.weight if touch else 0.0) + DISTANCE * _distance(own, index, member)
    state = own.state
    sure = state is State.STABLE
    judged = sure or state is State.CHURNING or bound <= NEARLY
    if known:
        less = 1.0 - POOL * _share((known, of))
        decades, strange = less * (_decades(bound) + (1.0 - bound) * extra), less * (weight + extra)
    else:
        pooled = min((g.unseen_upper for g in groups), default=1.0)
        decades = max(_decades(bound), POOL * _decades(pooled))
        decades += max(1.0 - bound, POOL * (1.0 - pooled)) * extra
        strange, judged = weight + extra, judged or pooled <= NEARLY
    reason = _reason(own, index, member, known, of)
    return Part(index, member, weight * decades, strange if judged else 0.0, judged, sure, reason, touch)


def _share(shown_by: tuple[int, int]) -> float:
    known, of = shown_by
    return min(1.0, known / of) if of else 0.0


def _decades(bound: float) -> float:
    return -log10(max(bound, _LEAST))


def _reason(own: Habit, index: int, member: str, known: int, of: int) -> str:
    if own.units:
        text = f"it {_NEVER[index].format(member)} ({CLASSES[index]}: {own.state.value}"
        text += f", {100 * own.completeness:.1f} % complete, unseen ≤ {100 * own.unseen_upper:.1f} %"
        text += f"; nearest: {', '.join(near)})" if (near := nearest(own, index, member)) else ")"
    else:
        text = f"nothing is known yet of its {CLASSES[index]}, now {member}"
    if known:
        return f"{text}, which {known} of {of} principals like it do"
    return f"{text}, which none of {of} principals like it does" if of >= _TELLING else text


def nearest(own: Habit, index: int, member: str, most: int = 2) -> tuple[str, ...]:
    """Known members that resemble it, the most frequent first: of the same service, network, or any."""
    kin = _kin(index, member)
    ranked = sorted(own.members.items(), key=lambda item: (_kin(index, item[0]) != kin, -item[1]))
    return tuple(name for name, _ in ranked[:most])


def _distance(own: Habit, index: int, member: str) -> float:
    """0 where something like it is known, else 1. Of hours nothing is near."""
    kin = _kin(index, member)
    return 0.0 if index == HOURS or any(_kin(index, name) == kin for name in own.members) else 1.0


def _kin(index: int, member: str) -> str:
    if index == API:
        service, colon, _ = member.partition(":")
        return service if colon else member.partition(" ")[2].removesuffix(" refused")
    if index == RESOURCE:
        return member.partition(" in ")[0]
    if index == NETWORK:
        return ".".join(member.split(".")[:2])
    return member
