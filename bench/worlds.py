"""Simulated workloads whose truth is known: behaviours with probabilities, replicas that move together, change."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.baseline.completeness import Incidence, spans_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max // 4


class Shape(NamedTuple):
    """A kind of workload: gives the probabilities with which its behaviours show up in a unit (or slot)."""

    name: str
    tail: str  # light or heavy
    rates: Callable[[np.random.Generator], Floats]


def _pareto(chance: np.random.Generator, count: int, index: float, scale: float) -> Floats:
    return np.minimum(0.9, (1.0 + chance.pareto(index, count)) * scale)


SHAPES = (
    Shape("few steady behaviours", "light", lambda _: np.array([0.9, 0.8, 0.5, 0.3])),
    Shape("one rare behaviour", "light", lambda _: np.array([0.9, 0.8, 0.03])),
    Shape("90 equally rare", "light", lambda _: np.full(90, 0.02)),
    Shape("log-normal", "light", lambda c: np.minimum(0.9, c.lognormal(-5.0, 1.5, 80))),
    Shape("Pareto 0.7", "heavy", lambda c: _pareto(c, 60, 0.7, 0.003)),
    Shape("Zipf 1.3 of 200", "heavy", lambda _: np.minimum(0.9, 0.6 / np.arange(1, 200) ** 1.3)),
    Shape("Zipf 1.1 of 5000", "heavy", lambda _: np.minimum(0.9, 0.5 / np.arange(1, 5001) ** 1.1)),
)


class World:
    """One run: when every behaviour was first, second and third seen. Units count from 1 and are drawn alike.

    `begins`: unit from which on a behaviour is possible at all (drift); 1 for all unless given.
    """

    def __init__(self, rates: Floats, chance: np.random.Generator, begins: Ints | None = None) -> None:
        self.rates, self._chance = rates, chance
        self.begins = np.ones(len(rates), np.int64) if begins is None else begins
        safe = np.maximum(rates, 1e-12)
        self.first = self.begins - 1 + chance.geometric(safe)
        self.second = self.first + chance.geometric(safe)
        self.third = self.second + chance.geometric(safe)
        self.fresh = np.unique(self.first)  # units that brought something new

    def at(self, units: int) -> Incidence:
        """What was counted after so many units."""
        seen, twice, thrice = (int((when <= units).sum()) for when in (self.first, self.second, self.third))
        more = self._chance.binomial(np.maximum(0, units - self.third), self.rates).sum()
        novel = self.novel(units)
        return Incidence(units, seen - twice, twice - thrice, seen + twice + thrice + int(more), seen, novel)

    def novel(self, units: int) -> tuple[int, ...]:
        """Units that brought something new, by window."""
        edges = np.minimum(np.concatenate(([0], np.cumsum(spans_of(units)))), units)
        return tuple(np.diff(np.searchsorted(self.fresh, edges, "right")).tolist())

    def theta(self, units: int) -> float:
        """The truth: P(the next unit brings something new)."""
        return float(-np.expm1(np.log1p(-self._unseen(units)).sum()))

    def new_behaviours(self, units: int) -> float:
        """The truth: expected number of new behaviours in the next unit."""
        return float(self._unseen(units).sum())

    def covered(self, units: int) -> float:
        """The truth: share of the next unit's incidences that belongs to behaviours seen before."""
        possible = self.rates[self.begins <= units + 1].sum()
        return 1.0 - self.new_behaviours(units) / float(possible)

    def _unseen(self, units: int) -> Floats:
        return self.rates[(self.first > units) & (self.begins <= units + 1)]


class Replicas:
    """`count` containers that move together: a behaviour shows in one slot on `together` of them on average.

    `rates` are per slot of the whole workload.
    """

    def __init__(self, rates: Floats, count: int, together: float, slots: int, chance: np.random.Generator) -> None:
        self.rates, self.count, self.slots = rates, count, slots
        shows = chance.random((slots, len(rates))) < rates
        share = (together - 1) / max(1, count - 1)
        self.cells = np.where(shows, 1 + chance.binomial(count - 1, share, shows.shape), 0)

    def by_slot(self) -> Incidence:
        """Counted by slot: one incidence a slot, however many replicas."""
        return _incidence((self.cells > 0).sum(axis=0), self.slots)

    def by_unit(self) -> Incidence:
        """Counted by container and slot, as if every container were drawn alone."""
        return _incidence(self.cells.sum(axis=0), self.slots * self.count)

    def new_behaviours(self) -> float:
        """The truth: expected number of new behaviours in the workload's next slot."""
        return float(self.rates[self.cells.sum(axis=0) == 0].sum())


def _incidence(counts: Ints, units: int) -> Incidence:
    return Incidence(
        units, int((counts == 1).sum()), int((counts == 2).sum()), int(counts.sum()), int((counts > 0).sum())
    )
