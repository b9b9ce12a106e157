"""Which rules can match at all: an index over what each rule cannot do without.

Most rules need one of a few program names or pieces of text. Looking those up once per event leaves only a few
rules whose conditions have to be evaluated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from detection.rules.ir import And, Condition, Named, Not, Op, Or, Test
from detection.rules.view import Lowered, each

T = TypeVar("T")


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


def anchors_of(condition: Condition) -> Anchors | None:
    """Anchors of which an event must have one for the condition to hold; None where nothing can be said."""
    match condition:
        case Test():
            return _of_test(condition)
        case Named(part=part):
            return anchors_of(part)
        case Not():
            return None
        case Or(parts=parts):
            found = [anchors_of(part) for part in parts]
            known = [a for a in found if a is not None]
            return frozenset().union(*known) if known and len(known) == len(found) else None
        case And(parts=parts):
            return min((a for p in parts if (a := anchors_of(p)) is not None), key=_price, default=None)


def _price(anchors: Anchors) -> tuple[int, int]:
    """What is looked up costs nothing; of texts to search for, few and long ones leave the fewest rules."""
    texts = [a.text for a in anchors if a.place is Place.PART]
    return (len(texts), -min((len(t) for t in texts), default=0))


def _of_test(test: Test) -> Anchors | None:
    if not test.field or not test.values or not all(isinstance(v, str) and v for v in test.values):
        return None
    texts = [str(v).lower() for v in test.values]
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


class Index(Generic[T]):
    """Entries with a condition each; gives those whose condition an event could fulfil, in their order."""

    def __init__(self, entries: Sequence[tuple[Condition, T]]) -> None:
        self._entries = tuple(entry for _, entry in entries)
        tables: dict[Place, dict[str, dict[str, set[int]]]] = {place: {} for place in Place}
        always: list[int] = []
        for number, (condition, _) in enumerate(entries):
            anchors = anchors_of(condition)
            if anchors is None:
                always.append(number)
                continue
            for anchor in anchors:
                tables[anchor.place].setdefault(anchor.field, {}).setdefault(anchor.text, set()).add(number)
        self._always = frozenset(always)
        self._unanchored = tuple(self._entries[i] for i in always)
        self._wholes, self._names, parts = (_frozen(tables[place]) for place in Place)
        self._parts = tuple((field, tuple(table.items())) for field, table in parts)

    def candidates(self, low: Lowered) -> Iterable[T]:
        """The entries worth evaluating for an event."""
        found: set[int] = set()
        for field, table in self._wholes:
            for value in each(low[field]):
                if numbers := table.get(value):
                    found |= numbers
        for field, table in self._names:
            for value in each(low[field]):
                if numbers := table.get(value[value.rfind("/") + 1 :]):
                    found |= numbers
        for field, texts in self._parts:
            have = low[field]
            if have.__class__ is tuple:
                have = "\0".join(have)
            if have:
                for text, ids in texts:
                    if text in have:
                        found |= ids
        if not found:
            return self._unanchored
        return [self._entries[i] for i in sorted(found | self._always)]


def _frozen(tables: dict[str, dict[str, set[int]]]) -> tuple[tuple[str, dict[str, frozenset[int]]], ...]:
    return tuple((field, {t: frozenset(n) for t, n in table.items()}) for field, table in tables.items())
