"""Correlations over a stream of matches, in event time and with bounded state. No clock, no I/O."""

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median

from detection.finding import FieldValue
from detection.rules.correlation import Correlation, Measure, holds
from detection.rules.ir import Op
from detection.rules.view import Document, each, text_of

_SHOWN_EVENTS = 32
_KEPT_ALIKE = 4  # of entries that add nothing but their time, so many are kept
_TEMPORAL = (Measure.TEMPORAL, Measure.TEMPORAL_ORDERED)
_MOST_CHAINED = 4  # correlations of correlations


@dataclass(frozen=True, slots=True)
class Story:
    """What a correlation says: these events belong together.

    `id` stays the same while further events of the group prolong it; `count` grows. `events` are the first of them.
    """

    correlation: Correlation
    id: str
    group: tuple[tuple[str, str], ...]
    first_ns: int
    last_ns: int
    count: int
    events: tuple[str, ...]
    rules: tuple[str, ...]

    def get(self, name: str, /) -> str | None:
        """The values of its group, so that a correlation can be correlated too."""
        return dict(self.group).get(name)

    def keys(self) -> Iterable[str]:
        """Names of its group's fields."""
        return dict(self.group).keys()

    def evidence(self) -> dict[str, FieldValue]:
        """What a finding shows of it: how many events, which rules, which group, and the first events' ids."""
        return {
            "correlation.count": self.count,
            "correlation.rules": self.rules,
            "correlation.events": self.events,
            **{f"correlation.{name}": value for name, value in self.group},
        }

    def sentence(self) -> str:
        """How many events of which rules came together, within what time, for whom."""
        whom = ", ".join(f"{name} {value}" for name, value in self.group)
        seconds = (self.last_ns - self.first_ns) / 1e9
        return f"{self.count} events of {', '.join(self.rules)} within {seconds:.0f} s{' for ' if whom else ''}{whom}."


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    time_ns: int
    event: str
    rule: str = field(compare=False)
    value: str = field(compare=False)


@dataclass(slots=True)
class _Group:
    entries: list[_Entry] = field(default_factory=list)
    story: Story | None = None
    told: int = 0  # the count when it was last given out


class Windows:
    """State of all correlations. `observe` takes every match of a rule; events may come late and out of order.

    Bounded: the groups least recently fed, and the oldest events of a group, make room; `counters` tells.
    """

    def __init__(self, correlations: Iterable[Correlation], max_groups: int = 20_000, max_events: int = 4_096) -> None:
        self._correlations = {correlation.id: correlation for correlation in correlations}
        self._users = _users(self._correlations.values())
        self._groups: OrderedDict[tuple[str, tuple[str, ...]], _Group] = OrderedDict()
        self._max_groups = max_groups
        self._max_events = max_events
        self._counts: Counter[str] = Counter()

    def uses(self, rule: str) -> bool:
        """Whether some correlation looks at matches of this rule."""
        return rule in self._users

    def use(self, correlations: Iterable[Correlation]) -> None:
        """Run these from the next match on. What was counted for a correlation that is the same as before goes on."""
        before = self._correlations
        self._correlations = {correlation.id: correlation for correlation in correlations}
        self._users = _users(self._correlations.values())
        changed = {name for name, old in before.items() if self._correlations.get(name) != old}
        for key in [key for key in self._groups if key[0] in changed] if changed else ():
            del self._groups[key]

    def observe(self, rule: str, doc: Document, time_ns: int, event: str) -> list[Story]:
        """A rule matched an event: the stories this began, or prolonged to twice what was last told."""
        return list(self._observe(rule, doc, time_ns, event, _MOST_CHAINED))

    def counters(self) -> Mapping[str, int]:
        """groups (kept now), groups_evicted, events_evicted, ungrouped (a field to group by was absent)."""
        return {**self._counts, "groups": len(self._groups)}

    def _observe(self, rule: str, doc: Document, time_ns: int, event: str, depth: int) -> Iterator[Story]:
        for correlation in self._users.get(rule, ()):
            story = self._feed(correlation, rule, doc, time_ns, event)
            if story is not None:
                yield story
                if depth and correlation.id in self._users:
                    yield from self._observe(correlation.id, story, time_ns, story.id, depth - 1)

    def _feed(self, correlation: Correlation, rule: str, doc: Document, time_ns: int, event: str) -> Story | None:
        values = tuple(_joined(doc.get(correlation.field_of(name, rule))) for name in correlation.group_by)
        if not all(values):
            self._counts["ungrouped"] += 1
            return None
        fields = [correlation.field_of(name, rule) for name in correlation.fields]
        value = "\0".join(_joined(doc.get(name)) for name in fields)
        if fields and not value.strip("\0"):
            return None
        group = self._group((correlation.id, values))
        entry = _Entry(time_ns, event, rule, value)
        if group.story is not None and _prolongs(group.story, entry):
            return _prolong(group, entry)
        at = bisect_left(group.entries, entry)
        if at < len(group.entries) and group.entries[at] == entry:
            return None  # the same event again
        self._add(correlation, group, entry)
        found = next(_fulfilled(correlation, group.entries, entry), None)
        if found is None:
            return None
        group.story = _story(correlation, values, found)
        group.told = group.story.count
        group.entries = [other for other in group.entries if other not in found]
        return group.story

    def _group(self, key: tuple[str, tuple[str, ...]]) -> _Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
            if len(self._groups) > self._max_groups:
                self._groups.popitem(last=False)
                self._counts["groups_evicted"] += 1
        self._groups.move_to_end(key)
        return group

    def _add(self, correlation: Correlation, group: _Group, entry: _Entry) -> None:
        insort(group.entries, entry)
        horizon = group.entries[-1].time_ns - 2 * correlation.timespan_ns
        while group.entries[0].time_ns < horizon:
            group.entries.pop(0)
        if correlation.measure in (*_TEMPORAL, Measure.VALUE_COUNT):
            alike = [other for other in group.entries if (other.rule, other.value) == (entry.rule, entry.value)]
            if len(alike) > _KEPT_ALIKE:
                group.entries.remove(alike[1])  # the first may begin the story, the last ones go on with it
        if len(group.entries) > self._max_events:
            group.entries.pop(0)
            self._counts["events_evicted"] += 1


def _users(correlations: Iterable[Correlation]) -> dict[str, list[Correlation]]:
    """Rule id → the correlations that look at its matches."""
    users: dict[str, list[Correlation]] = {}
    for correlation in correlations:
        for rule in correlation.rules:
            users.setdefault(rule, []).append(correlation)
    return users


def _fulfilled(correlation: Correlation, entries: list[_Entry], new: _Entry) -> Iterator[list[_Entry]]:
    """Windows that hold the new entry and fulfil the condition. A late entry may complete a window that ends later."""
    span = correlation.timespan_ns
    first = bisect_left(entries, new.time_ns, key=_time)
    last = bisect_right(entries, new.time_ns + span, key=_time)
    for end in range(first, last):
        window = entries[bisect_left(entries, entries[end].time_ns - span, key=_time) : end + 1]
        if _fulfils(correlation, window):
            yield window


def _time(entry: _Entry) -> int:
    return entry.time_ns


def _fulfils(correlation: Correlation, window: Sequence[_Entry]) -> bool:
    measure = correlation.measure
    if measure is Measure.TEMPORAL_ORDERED:
        return _in_order(correlation.rules, window)
    if measure is Measure.TEMPORAL:
        seen = frozenset(entry.rule for entry in window)
        return holds(correlation.expression, seen) if correlation.expression else seen.issuperset(correlation.rules)
    amount = _amount(correlation, window)
    return amount is not None and _compares(correlation.op, amount, correlation.bound)


def _in_order(rules: Sequence[str], window: Sequence[_Entry]) -> bool:
    """Each rule matched, each not before the one it follows."""
    rest = iter(window)
    return all(any(entry.rule == rule for entry in rest) for rule in rules)


def _amount(correlation: Correlation, window: Sequence[_Entry]) -> float | None:
    match correlation.measure:
        case Measure.EVENT_COUNT:
            return len(window)
        case Measure.VALUE_COUNT:
            return len({entry.value for entry in window})
        case _:
            numbers = sorted(n for entry in window if (n := _number(entry.value)) is not None)
            return _statistic(correlation, numbers) if numbers else None


def _statistic(correlation: Correlation, numbers: list[float]) -> float:
    match correlation.measure:
        case Measure.VALUE_SUM:
            return sum(numbers)
        case Measure.VALUE_AVG:
            return fmean(numbers)
        case Measure.VALUE_MEDIAN:
            return median(numbers)
        case _:  # nearest rank
            return numbers[max(0, -(-len(numbers) * correlation.percentile // 100) - 1)]


def _compares(op: Op, amount: float, bound: float) -> bool:
    match op:
        case Op.GT:
            return amount > bound
        case Op.LT:
            return amount < bound
        case Op.LTE:
            return amount <= bound
        case _:
            return amount >= bound


def _prolongs(story: Story, entry: _Entry) -> bool:
    span = story.correlation.timespan_ns
    return story.first_ns - span <= entry.time_ns <= story.last_ns + span


def _prolong(group: _Group, entry: _Entry) -> Story | None:
    """Count one more event of a story already told; it is told again when its count has doubled."""
    story = group.story
    assert story is not None
    if entry.event in story.events:
        return None
    group.story = replace(story, last_ns=max(story.last_ns, entry.time_ns), count=story.count + 1)
    if group.story.count < 2 * group.told:
        return None
    group.told = group.story.count
    return group.story


def _story(correlation: Correlation, values: tuple[str, ...], window: Sequence[_Entry]) -> Story:
    key = "\0".join((correlation.id, *values, window[0].event))
    return Story(
        correlation=correlation,
        id=hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32],
        group=tuple(zip(correlation.group_by, values, strict=True)),
        first_ns=window[0].time_ns,
        last_ns=window[-1].time_ns,
        count=len(window),
        events=tuple(entry.event for entry in window[:_SHOWN_EVENTS]),
        rules=tuple(dict.fromkeys(entry.rule for entry in window)),
    )


def _joined(value: object) -> str:
    return ",".join(each(text_of(value)))[:512]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
