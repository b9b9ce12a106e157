"""How much is probably still unseen: an interval for people, where `completeness.unseen_upper` is a promise.

Let M be the expected number of behaviours the next unit brings that were never seen: the sum of the probabilities
of the unseen ones, itself random. Good (1953) estimates it by Q1/T, Chao & Jost (2012) a little lower. Behaviours seen
once and behaviours not seen are different ones, so Q1 and T·M have nearly the same mean m and are nearly
independent, with variance m for Q1 and 2·E[Q2] for T·M (Esty 1983, Ann. Stat. 11:905, whose interval is this with m and
E[Q2] replaced by what was counted; it collapses to a point for Q1 = Q2 = 0). Solving (Q1 − T·M)² ≤ z²·(T·M + 2·Q2)
for M, as Wilson (1927) does for a share, and counting half a behaviour more as seen twice, keeps the interval honest
for small counts: with nothing seen once its upper end is 4.7/T at 95 %, 3/T being the rule of three for one side.

Units must be independent. Containers of one workload that move together are not: count slots instead, one incidence
however many containers showed it in the slot.
"""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from detection.baseline.completeness import Incidence, coverage


class Interval(NamedTuple):
    """An estimate between two bounds."""

    low: float
    estimate: float
    high: float


def new_behaviours(data: Incidence, confidence: float = 0.95) -> Interval:
    """Expected number of new behaviours in the next unit. Infinite above without any unit."""
    if data.units == 0:
        return Interval(0.0, 0.0, float("inf"))
    z2 = NormalDist().inv_cdf((1.0 + confidence) / 2.0) ** 2
    centre, reach = data.uniques + z2 / 2.0, sqrt(z2 * (data.uniques + 2.0 * (data.duplicates + 0.5) + z2 / 4.0))
    estimate = (1.0 - coverage(data)) * data.incidences / data.units if data.observed else 0.0
    low, high = max(0.0, centre - reach) / data.units, (centre + reach) / data.units
    return Interval(min(low, estimate), estimate, max(high, estimate))


def sample_coverage(data: Incidence, confidence: float = 0.95) -> Interval:
    """Share of the next unit's incidences that belongs to behaviours seen before, 0..1. (0, 0, 1) without any."""
    if not data.incidences:
        return Interval(0.0, 0.0, 1.0)
    new = new_behaviours(data, confidence)
    scale = data.units / data.incidences
    return Interval(max(0.0, 1.0 - new.high * scale), max(0.0, 1.0 - new.estimate * scale), 1.0 - new.low * scale)
