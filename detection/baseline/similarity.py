"""Which known members a new behaviour resembles: similarity of token sequences, at bounded cost."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_MAX_TOKENS = 32
_MAX_CANDIDATES = 512  # members looked at
_MAX_ALIGNED = 12  # of those, the ones compared in order
_SPLIT = re.compile(r"[\s/]+")
_ADDRESS = re.compile(r"^(\d+)\.(\d+)\.(\d+)\.(\d+):(\d+)$")


class Neighbour(NamedTuple):
    """A known member and how similar it is: 1 the same, 0 nothing in common."""

    name: str
    similarity: float


def tokens(member: str) -> tuple[str, ...]:
    """The parts of a member, in order; the side of the arrow is part of the token."""
    actor, _, deed = member.partition(" → ")
    parts = [f"<{part}" for part in _SPLIT.split(actor) if part] + [part for part in _SPLIT.split(deed) if part]
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
    if not left or not right:
        return 0.0
    previous = [0] * (len(right) + 1)
    for token in left:
        row = [0]
        for index, other in enumerate(right):
            row.append(previous[index] + 1 if token == other else max(previous[index + 1], row[index]))
        previous = row
    return 2.0 * previous[-1] / (len(left) + len(right))


def nearest(member: str, known: Iterable[str], count: int = 3) -> tuple[Neighbour, ...]:
    """The `count` most similar of the (first 512) known members, best first, without those that share nothing."""
    own = tokens(member)
    bag = set(own)
    overlaps = []
    for position, name in enumerate(known):
        if position >= _MAX_CANDIDATES:
            break
        other = tokens(name)
        overlaps.append((2.0 * len(bag.intersection(other)) / (len(own) + len(other) or 1), name, other))
    overlaps.sort(key=lambda item: (-item[0], item[1]))
    aligned = [Neighbour(name, similarity(own, other)) for bound, name, other in overlaps[:_MAX_ALIGNED] if bound > 0]
    aligned.sort(key=lambda n: (-n.similarity, n.name))
    return tuple(aligned[:count])
