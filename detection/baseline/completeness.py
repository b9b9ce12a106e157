"""How complete is a set of observed behaviours? Estimates and a bound from incidence counts.

The data are incidences: T sampling units, and for every behaviour the number of units it was seen in.
Two different questions have two different answers here:

- the *estimate* (`coverage`, `unseen_items`) says what is probably the case, and is shown to people;
- the *bound* (`unseen_upper`) says what we can promise, and decides when learning ends.

Pure functions over plain numbers; no state, no I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, expm1, log, log1p, sqrt

FIRST_WINDOW = 8  # the windows of the bound start after 0, 8, 16, 32, … units
MAX_WINDOWS = 40
_MAX_SUCCESSES = 64  # windows with more novelty than this cannot give a useful bound
_BISECTIONS = 30


@dataclass(frozen=True, slots=True)
class Incidence:
    """What completeness is computed from.

    `units` T; `uniques` Q1 and `duplicates` Q2: behaviours seen in exactly one and two units;
    `incidences` U: sum over behaviours of the units each was seen in; `observed` S_obs: number of behaviours;
    `novel`: how many units brought something new, split by window; `spans`: how many units each window has, by
    default those of one observer (`window_of` the unit's ordinal). Windows of several observers add up.
    """

    units: int = 0
    uniques: int = 0
    duplicates: int = 0
    incidences: int = 0
    observed: int = 0
    novel: Sequence[int] = ()
    spans: Sequence[int] = ()


def window_of(unit: int) -> int:
    """Index of the window in which unit number `unit` (from 1) lies: 0 up to the 8th, 1 up to the 16th, doubling."""
    return min(((unit - 1) // FIRST_WINDOW).bit_length(), MAX_WINDOWS - 1)


def spans_of(units: int) -> list[int]:
    """How many units each window of one observer has after that many units."""
    if not units:
        return []
    starts = [_window_start(index) for index in range(window_of(units) + 1)]
    return [end - start for start, end in zip(starts, [*starts[1:], units], strict=True)]


def _window_start(index: int) -> int:
    return FIRST_WINDOW << (index - 1) if index else 0


def coverage(data: Incidence) -> float:
    """Estimated sample coverage, 0..1: the share of incidences that belongs to behaviours already observed.

    Chao & Jost 2012, Ecology 93:2533, incidence form (their equation 4a with T, Q1, Q2, U in place
    of n, f1, f2, n); for Q2 = 0 with the bias-corrected term used by Chao et al. 2014, Ecological Monographs 84:45.
    0 without units or without incidences: an empty sample covers nothing.
    """
    t, q1, q2 = data.units, data.uniques, data.duplicates
    if t == 0 or data.incidences == 0:
        return 0.0
    if q1 == 0:
        return 1.0
    if t == 1:
        return 0.0
    expected, correction = ((t - 1) * q1, 2 * q2) if q2 else ((t - 1) * (q1 - 1), 2)
    return min(1.0, max(0.0, 1.0 - q1 / data.incidences * expected / (expected + correction)))


def unseen_items(data: Incidence) -> float:
    """Estimated number of behaviours not yet observed (a lower bound of it in expectation).

    Chao2: Chao 1987, Biometrics 43:783; for Q2 = 0 its bias-corrected form.
    """
    t, q1, q2 = data.units, data.uniques, data.duplicates
    if t == 0:
        return 0.0
    if q2:
        return (t - 1) / t * q1 * q1 / (2 * q2)
    return (t - 1) / t * q1 * max(0, q1 - 1) / 2


@lru_cache(maxsize=4096)
def binomial_upper(successes: int, trials: int, error: float) -> float:
    """One-sided Clopper-Pearson bound: the p at which P(Binomial(trials, p) ≤ successes) = error.

    Clopper & Pearson 1934, Biometrika 26:404. With no success it is 1 − error^(1/trials), about
    3/trials for error 0.05, the "rule of three".
    """
    if successes >= trials:
        return 1.0
    if successes == 0:
        return -expm1(log(error) / trials)
    low, high = successes / trials, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _lower_tail(successes, trials, middle) > error else (low, middle)
    return high


def _lower_tail(successes: int, trials: int, p: float) -> float:
    """P(Binomial(trials, p) ≤ successes). Underflows to 0 only where it is below any error asked for."""
    if p >= 1.0:
        return 0.0
    odds = p / (1.0 - p)
    total = term = exp(trials * log1p(-p))
    for k in range(successes):
        term *= (trials - k) / (k + 1) * odds
        total += term
    return total


def unseen_upper(data: Incidence, confidence: float = 0.95) -> float:
    """Upper confidence bound of the unseen mass: P(the next unit brings a behaviour not yet observed).

    Let θ be that probability. A profile only grows, so θ never rises: in every unit since some start s the
    chance of novelty was at least today's θ. The number of novel units since s therefore dominates a
    Binomial(T − s, θ), and the Clopper-Pearson bound on "x of the T − s units since s brought something new" bounds θ.
    (Missing mass by counting novelty goes back to Good 1953, Biometrika 40:237, and Robbins 1968, Ann. Math. Stat.
    39:256. The deviation bounds of McAllester & Schapire 2000 for it shrink with 1/√T; counting
    novel units shrinks with 1/T, which is what lets a quiet workload become stable after hundreds of units.)

    The starts are fixed in advance (0, 8, 16, 32 …), so early, restless units can be left out without
    choosing a window after seeing the data. Start i with x novel units is tested at level
    (1 − confidence) / ((i+1)(i+2)(x+1)(x+2)); these sum to 1 − confidence over all i and x. For a fixed
    threshold the tests are nested in T, so "the bound is below the target" is wrong with probability at most
    1 − confidence even though it is looked at after every unit. Assumes units drawn alike: a behaviour that
    comes once a week is not in the promise until weeks were watched.

    Over several observers that share what they know, every unit of each had at least today's chance too: their
    windows add up, index by index, and the bound holds for what all of them know together.
    """
    bound, since, trials = 1.0, 0, 0
    spans = data.spans or spans_of(data.units)
    for index in range(len(spans) - 1, -1, -1):
        since += data.novel[index] if index < len(data.novel) else 0
        trials += spans[index]
        if trials <= since or since > _MAX_SUCCESSES:
            continue
        error = (1.0 - confidence) / ((index + 1) * (index + 2) * (since + 1) * (since + 2))
        # The bound without any success is cheap and never above the one with some: most windows end here.
        if binomial_upper(0, trials, error) < bound and since / trials < bound:
            bound = min(bound, binomial_upper(since, trials, error))
    return bound


def rate_lower(successes: int, trials: int, deviations: float = 1.645) -> float:
    """One-sided lower confidence bound of a rate (95 % by default). Wilson 1927, JASA 22:209."""
    if trials == 0:
        return 0.0
    rate, square = successes / trials, deviations * deviations
    middle = rate + square / (2 * trials)
    spread = deviations * sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    return max(0.0, (middle - spread) / (1 + square / trials))


def does_not_converge(spans: Sequence[int], novel: Sequence[int], least_rate: float) -> bool:
    """Whether novelty keeps coming: in the two newest windows (at least half of all units) surely more often than
    `least_rate`, and more than half as often as before them.

    Novelty of a behaviour set that is finite, however large, falls at least about as 1/units in the end, so its
    rate halves when the units double.
    """
    recent, recent_novel = sum(spans[-2:]), sum(novel[-2:])
    before, before_novel = sum(spans[:-2]), sum(novel[:-2])
    if not before or rate_lower(recent_novel, recent) <= least_rate:
        return False
    return 2 * recent_novel * before > before_novel * recent
