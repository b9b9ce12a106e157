"""Which known members a new behaviour resembles: similarity of token sequences, at bounded cost.

A new behaviour is rare, but an intruder can make it frequent; so members are looked up through an index of their
tokens (one bit for each member) and only the few that share most are compared in order. With the index at hand
a search costs some tens of microseconds, whatever the size of the class. Making an index costs as much as
dozens of searches, so it is made once in as many; in between a few members are compared without.
"""

import re
from collections.abc import Collection, Hashable, Iterable
from itertools import islice
from typing import NamedTuple

from detection.baseline.members import Members

_MAX_TOKENS = 32
_MAX_CANDIDATES = 128  # members indexed: of larger classes every second, third, …
_GLANCE = 4  # members compared without an index
_MAX_ALIGNED = 5  # of those, the ones compared in order
_MAX_INDEXES = 64
_EARNED, _SAVED = 1 / 64, 64.0  # indexes that may be made: for every search, and at once
_ADDRESS = re.compile(r"^(\d+)\.(\d+)\.(\d+)\.(\d+):(\d+)$")


class Neighbour(NamedTuple):
    """A known member and how similar it is: 1 the same, 0 nothing in common."""

    name: str
    similarity: float


def tokens(member: str) -> tuple[str, ...]:
    """The parts of a member, in order; the side of the arrow is part of the token."""
    actor, _, deed = member.partition(" → ")
    parts = [f"<{part}" for part in actor.replace("/", " ").split()] + deed.replace("/", " ").split()
    if ":" not in deed:
        return tuple(parts[:_MAX_TOKENS])
    out: list[str] = []
    for part in parts[:_MAX_TOKENS]:
        address = _ADDRESS.match(part)
        if address:
            a, b, c, d, port = address.groups()
            out += [f"{a}.{b}", f"{a}.{b}.{c}", f"{a}.{b}.{c}.{d}", f":{port}"]
        else:
            out.append(part)
    return tuple(out)


def similarity(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    """2·LCS / (|left| + |right|): 1 − the normalised insert-delete edit distance of two token sequences."""
    return _similarity(_places(left), len(left), right)


def _places(sequence: tuple[str, ...]) -> dict[str, int]:
    """Token → bits of the places where it stands."""
    places: dict[str, int] = {}
    for place, token in enumerate(sequence):
        places[token] = places.get(token, 0) | 1 << place
    return places


def _similarity(places: dict[str, int], length: int, right: tuple[str, ...]) -> float:
    """As `similarity`, bit-parallel in the left side: Hyyrö 2004, "Bit-parallel LCS-length computation revisited"."""
    if not length or not right:
        return 0.0
    full = (1 << length) - 1
    rest = full
    for token in right:
        hit = rest & places.get(token, 0)
        rest = (rest + hit | rest - hit) & full
    return 2.0 * (length - rest.bit_count()) / (length + len(right))


class Index:
    """Up to 128 members of a class by their tokens."""

    __slots__ = ("_bits", "_names", "size")

    def __init__(self, members: Collection[str]) -> None:
        self.size = len(members)
        self._names = _some(members, _MAX_CANDIDATES)
        self._bits: dict[str, int] = {}
        for place, name in enumerate(self._names):
            bit = 1 << place
            for token in set(tokens(name)):
                self._bits[token] = self._bits.get(token, 0) | bit

    def nearest(self, member: str, count: int = 3) -> tuple[Neighbour, ...]:
        """The `count` most similar members, best first, without those that share nothing."""
        own = tokens(member)
        places = _places(own)
        found = [
            Neighbour(self._names[index], _similarity(places, len(own), tokens(self._names[index])))
            for index in self._sharing(places)
        ]
        found.sort(key=lambda n: (-n.similarity, n.name))
        return tuple(found[:count])

    def _sharing(self, wanted: Iterable[str]) -> list[int]:
        """The members that share most of these tokens, some that share least of them left out."""
        levels: list[int] = []  # levels[n]: members that share more than n of the tokens
        for token in wanted:
            carry = self._bits.get(token, 0)
            for place, level in enumerate(levels):
                if not carry:
                    break
                levels[place], carry = level | carry, level & carry
            if carry:
                levels.append(carry)
        chosen: list[int] = []
        taken = 0
        for level in reversed(levels):
            left = level & ~taken
            while left and len(chosen) < _MAX_ALIGNED:
                lowest = left & -left
                chosen.append(lowest.bit_length() - 1)
                left ^= lowest
            taken |= level
        return chosen


class Neighbourhoods:
    """Indexes of the classes that met something new last; made when needed and affordable, again when a class grew."""

    def __init__(self, limit: int = _MAX_INDEXES) -> None:
        self._limit = limit
        self._indexes: dict[Hashable, Index] = {}
        self._credit = _SAVED

    def nearest(self, key: Hashable, members: Collection[str], member: str) -> tuple[Neighbour, ...]:
        """As the function `nearest`. `key` names the class; an eighth of the members may be new and not looked at.

        When many classes meet something new at once, only a handful of members is looked at.
        """
        self._credit = min(_SAVED, self._credit + _EARNED)
        index = self._indexes.pop(key, None)
        if index is None or abs(len(members) - index.size) * 8 > index.size:
            if self._credit < 1.0:
                return _glance(member, members)
            self._credit -= 1.0
            index = Index(members)
            if len(self._indexes) >= self._limit:
                self._indexes.pop(next(iter(self._indexes)))
        self._indexes[key] = index
        return index.nearest(member)


def nearest(member: str, known: Collection[str], count: int = 3) -> tuple[Neighbour, ...]:
    """The `count` most similar of the known members, best first, without those that share nothing."""
    return Index(known).nearest(member, count)


def _glance(member: str, members: Collection[str]) -> tuple[Neighbour, ...]:
    own = tokens(member)
    places = _places(own)
    found = [Neighbour(n, _similarity(places, len(own), tokens(n))) for n in _some(members, _GLANCE)]
    return tuple(sorted((n for n in found if n.similarity), key=lambda n: (-n.similarity, n.name))[:3])


def _some(members: Collection[str], most: int) -> list[str]:
    if isinstance(members, Members):
        return members.some(most)
    return list(islice(members, 0, None, -(-len(members) // most) or 1))
