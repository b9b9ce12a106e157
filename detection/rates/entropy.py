"""How random names look."""

from collections import Counter
from collections.abc import Iterable
from math import log2


def mean_entropy(names: Iterable[str]) -> float:
    """Mean Shannon entropy of the characters within each name, bits a character; 0 without names.

    Words are at 2 to 3, names drawn at random at 3.5 and more: it grows with their length, up to its logarithm.
    """
    values = [_entropy(name) for name in names if name]
    return sum(values) / len(values) if values else 0.0


def _entropy(name: str) -> float:
    total = len(name)
    return -sum(n / total * log2(n / total) for n in Counter(name).values())
