"""Which rules can match at all: an index over what each rule cannot do without.

Most rules need one of a few program names or pieces of text. Looking those up once per event leaves only a few
rules whose conditions have to be evaluated. Names are looked up; pieces of text are found by their grams (see
`Texts`), so that neither costs more the more rules there are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Generic, TypeVar

from detection.rules.ir import And, Condition, Named, Not, Op, Or, Test
from detection.rules.view import Lowered, each, text_of

T = TypeVar("T")
_GRAM = 4
_SEARCHES_PER_GRAM = 2  # cutting one gram out of a value costs about as much as searching for two texts
_COMMON = frozenset({"true", "false"})
_NONE: frozenset[int] = frozenset()


class Place(IntEnum):
    """Where in a field's value an anchor is."""

    WHOLE = 0  # it is the value
    NAME = 1  # it is the last component of a path
    PART = 2  # anywhere


@dataclass(frozen=True, slots=True)
class Anchor:
    """A piece of lower-case text that a field has."""

    field: str
    text: str
    place: Place


Anchors = frozenset[Anchor]


def anchors_of(condition: Condition, asked_by: Mapping[Anchor, int] | None = None) -> Anchors | None:
    """Anchors of which an event must have one for the condition to hold; None where nothing can be said.

    Where several would do, the one that leaves the fewest rules: `asked_by` says how many rules could use an anchor,
    and what many rules look for, many events have.
    """
    return min(_choices(condition), key=lambda anchors: _price(anchors, asked_by or {}), default=None)


def _choices(condition: Condition) -> list[Anchors]:
    """Every set of anchors that would do."""
    match condition:
        case Test():
            anchors = _of_test(condition)
            return [] if anchors is None else [anchors]
        case Named(part=part):
            return _choices(part)
        case Not():
            return []
        case Or(parts=parts):
            found = [min(_choices(part), key=_price, default=None) for part in parts]
            known = [anchors for anchors in found if anchors is not None]
            return [frozenset().union(*known)] if known and len(known) == len(found) else []
        case And(parts=parts):
            return [anchors for part in parts for anchors in _choices(part)]


def _price(anchors: Anchors, asked_by: Mapping[Anchor, int] = MappingProxyType({})) -> tuple[int, int, int, int, int]:
    """Texts too short for a gram must each be searched for; truth values are what many events have."""
    texts = [a.text for a in anchors if a.place is Place.PART]
    short = sum(len(text) < _GRAM for text in texts)
    common = sum(a.text in _COMMON for a in anchors)
    most = max((asked_by.get(a, 0) for a in anchors), default=0)
    return (short, common, len(texts), most, -min((len(t) for t in texts), default=0))


def _of_test(test: Test) -> Anchors | None:
    texts = [str(text_of(value)).lower() for value in test.values]
    if not test.field or not texts or not all(texts):
        return None
    match test.op:
        case Op.ENDSWITH if not test.every and all(t[0] == "/" and t.count("/") == 1 and len(t) > 1 for t in texts):
            return frozenset(Anchor(test.field, t[1:], Place.NAME) for t in texts)
        case Op.EQUALS if not test.every:
            return frozenset(Anchor(test.field, t, Place.WHOLE) for t in texts)
        case Op.CONTAINS | Op.ENDSWITH | Op.STARTSWITH:
            needed = [max(texts, key=len)] if test.every else texts
            return frozenset(Anchor(test.field, t, Place.PART) for t in needed)
        case _:
            return None


class Texts:
    """Pieces of text to find in a value, each with the numbers of the rules that need it.

    Each text is known by one gram of it, the one fewest others have; a value is cut into its grams, and only texts
    whose gram is among them are searched for. That costs by the length of the value, searching for each text by their
    number: `found_in` does what is cheaper.
    """

    __slots__ = ("_all", "_by_gram", "_longest", "_short")

    def __init__(self, table: Mapping[str, frozenset[int]]) -> None:
        self._all = tuple(table.items())
        self._short = tuple((text, ids) for text, ids in self._all if len(text) < _GRAM)
        long = [(text, ids) for text, ids in self._all if len(text) >= _GRAM]
        shared = Counter(gram for text, _ in long for gram in _grams(text))
        by_gram: dict[str, list[tuple[str, frozenset[int]]]] = {}
        for text, ids in long:
            by_gram.setdefault(min(sorted(_grams(text)), key=shared.__getitem__), []).append((text, ids))
        self._by_gram = {gram: tuple(texts) for gram, texts in by_gram.items()}
        self._longest = len(long) // _SEARCHES_PER_GRAM

    def found_in(self, value: str) -> Iterator[frozenset[int]]:
        """The numbers of each text that is in the value."""
        if len(value) > self._longest:
            for text, ids in self._all:
                if text in value:
                    yield ids
            return
        for text, ids in self._short:
            if text in value:
                yield ids
        for gram in self._by_gram.keys() & {value[at : at + _GRAM] for at in range(len(value) - _GRAM + 1)}:
            for text, ids in self._by_gram[gram]:
                if text in value:
                    yield ids


def _grams(text: str) -> set[str]:
    return {text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)}


class Index(Generic[T]):
    """Entries with a condition each; gives those whose condition an event could fulfil, in their order."""

    def __init__(self, entries: Sequence[tuple[Condition, T]]) -> None:
        self._entries = tuple(entry for _, entry in entries)
        tables: dict[Place, dict[str, dict[str, set[int]]]] = {place: {} for place in Place}
        always: list[int] = []
        asked_by = Counter(a for condition, _ in entries for a in frozenset().union(*_choices(condition)))
        for number, (condition, _) in enumerate(entries):
            anchors = anchors_of(condition, asked_by)
            if anchors is None:
                always.append(number)
                continue
            for anchor in anchors:
                tables[anchor.place].setdefault(anchor.field, {}).setdefault(anchor.text, set()).add(number)
        self._always = frozenset(always)
        self._unanchored = tuple(self._entries[i] for i in always)
        self._wholes, self._names, parts = (_frozen(tables[place]) for place in Place)
        self._parts = tuple((field, Texts(table)) for field, table in parts)

    def candidates(self, low: Lowered) -> Iterable[T]:
        """The entries worth evaluating for an event."""
        found = self._looked_up(low)
        for field, texts in self._parts:
            if have := low[field]:
                if not isinstance(have, str):
                    have = "\0".join(have)
                for ids in texts.found_in(have):
                    found |= ids
        if not found:
            return self._unanchored
        return [self._entries[i] for i in sorted(found | self._always)]

    def _looked_up(self, low: Lowered) -> set[int]:
        """Those that need a whole value or a name the event has. Without calls: it is most of the work."""
        found: set[int] = set()
        for field, table in self._wholes:
            value = low[field]
            if value.__class__ is str:
                if value in table:
                    found |= table[value]
            elif value is not None:
                for one in value:
                    found |= table.get(one, _NONE)
        for field, table in self._names:
            for one in each(low[field]):
                if numbers := table.get(one[one.rfind("/") + 1 :]):
                    found |= numbers
        return found


def _frozen(tables: dict[str, dict[str, set[int]]]) -> tuple[tuple[str, dict[str, frozenset[int]]], ...]:
    return tuple((field, {t: frozenset(n) for t, n in table.items()}) for field, table in tables.items())
