"""Do the stated bounds of completeness hold? Simulated workloads whose truth is known."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bench.worlds import NEVER, SHAPES, Floats, Replicas, Shape, World
from detection.baseline.completeness import Incidence, unseen_upper
from detection.baseline.interval import new_behaviours, sample_coverage
from detection.baseline.profile import ClassProfile, ProfileConfig

TARGETS = (0.10, 0.05, 0.02)
CONFIDENCE = 0.95
LEVELS = (0.80, 0.90, 0.95)
TIMES = (50, 200, 1000, 5000)
_LAST = 3000
_STEP = 4


class Promise(NamedTuple):
    """How a rule for "stable" did: median units until it said so, share of runs in which it was wrong or never did."""

    shape: str
    rule: str
    target: float
    units: float
    wrong: float
    never: float


class Covered(NamedTuple):
    """How often the interval held the truth, by nominal level; `coverage` for the sample coverage at 95 %.

    `bound`: how often the promise held it; `excess`: median of promise over truth; `empty`: runs with nothing left.
    """

    shape: str
    tail: str
    units: int
    held: tuple[float, ...]
    coverage: float
    bound: float
    excess: float
    empty: float


def promises(runs: int, seed: int = 1) -> list[Promise]:
    """For every shape, rule and target."""
    found = []
    for shape in SHAPES:
        chance = np.random.default_rng(seed)
        stops = [_stops(World(shape.rates(chance), chance)) for _ in range(runs)]
        for rule in ("bound", "rule of three", "Q1/T"):
            for target in TARGETS:
                ended = [s[rule, target] for s in stops if (rule, target) in s]
                units = float(np.median([u for u, _ in ended])) if ended else float("nan")
                wrong = sum(w for _, w in ended) / runs
                found.append(Promise(shape.name, rule, target, units, wrong, 1 - len(ended) / runs))
    return found


def _stops(world: World) -> dict[tuple[str, float], tuple[int, bool]]:
    found: dict[tuple[str, float], tuple[int, bool]] = {}
    for target in TARGETS:
        quiet = int(np.ceil(3 / target))
        gaps = np.diff(np.concatenate((world.fresh, [NEVER])))
        stop = int(world.fresh[np.argmax(gaps > quiet)]) + quiet
        if stop <= _LAST:
            found["rule of three", target] = (stop, world.theta(stop) > target)
    for units in range(_STEP, _LAST + 1, _STEP):
        upper = unseen_upper(Incidence(units, novel=world.novel(units)), CONFIDENCE)
        once = int(((world.first <= units) & (world.second > units)).sum())
        said = {"bound": upper, "Q1/T": once / units if units >= 30 else 1.0}
        for rule, value in said.items():
            for target in TARGETS:
                if value <= target and (rule, target) not in found:
                    found[rule, target] = (units, world.theta(units) > target)
        if len(found) == 3 * len(TARGETS):
            break
    return found


def coverages(runs: int, seed: int = 2) -> list[Covered]:
    """For every shape and length of watch."""
    return [_covered(shape, units, runs, seed) for shape in SHAPES for units in TIMES]


def _covered(shape: Shape, units: int, runs: int, seed: int) -> Covered:
    chance = np.random.default_rng(seed)
    held, coverage, bound, empty, excess = [0] * len(LEVELS), 0, 0, 0, []
    for _ in range(runs):
        world = World(shape.rates(chance), chance)
        data, truth, theta, covered = (
            world.at(units),
            world.new_behaviours(units),
            world.theta(units),
            world.covered(units),
        )
        for place, level in enumerate(LEVELS):
            found = new_behaviours(data, level)
            held[place] += found.low <= truth <= found.high
        share = sample_coverage(data, CONFIDENCE)
        coverage += share.low - 1e-12 <= covered <= share.high + 1e-12
        upper = unseen_upper(data, CONFIDENCE)
        bound += theta <= upper
        empty += truth == 0.0
        excess += [upper / theta] if theta > 0 else []
    shares = tuple(n / runs for n in held)
    middle = float(np.median(excess)) if excess else float("nan")
    return Covered(shape.name, shape.tail, units, shares, coverage / runs, bound / runs, middle, empty / runs)


class Together(NamedTuple):
    """Replicas of which on average `together` show a behaviour at once: how often intervals at 95 % held the truth."""

    replicas: int
    together: float
    slots: int
    by_slot: float
    by_unit: float


def replicas(runs: int, count: int = 5, seed: int = 3) -> list[Together]:
    """Counting by slot against counting every container as independent."""
    chance, shape, found = np.random.default_rng(seed), SHAPES[5], []
    for together in (1.0, 2.0, 3.5, 5.0):
        for slots in (100, 500):
            slot = unit = 0
            for _ in range(runs):
                world = Replicas(shape.rates(chance), count, together, slots, chance)
                truth = world.new_behaviours()
                a, b = new_behaviours(world.by_slot()), new_behaviours(world.by_unit())
                slot += a.low <= truth <= a.high
                unit += count * b.low <= truth <= count * b.high
            found.append(Together(count, together, slots, slot / runs, unit / runs))
    return found


class Restless(NamedTuple):
    """Replicas that all do something new in the same slots, at a rate above the target: how often "stable" was said."""

    replicas: int
    rate: float
    target: float
    by_unit: float
    corrected: float


def restless(runs: int, seed: int = 4) -> list[Restless]:
    """The profile's own bound, corrected for replicas that move together, against container × slot as independent."""
    chance, found = np.random.default_rng(seed), []
    for count in (1, 3, 10):
        for rate, target in ((0.03, 0.02), (0.05, 0.04)):
            wrong = [_declared(count, rate, target, chance) for _ in range(runs)]
            by_unit, corrected = (sum(column) / runs for column in zip(*wrong, strict=True))
            found.append(Restless(count, rate, target, by_unit, corrected))
    return found


def _declared(
    count: int, rate: float, target: float, chance: np.random.Generator, slots: int = 500
) -> tuple[bool, bool]:
    """Whether "stable" was ever said, counting units as independent, and by the profile."""
    profile, instances = ClassProfile(ProfileConfig(target=target)), [f"c{n}" for n in range(count)]
    naive = corrected = False
    bursts = chance.random(slots) < rate
    for slot in range(slots):
        if bursts[slot]:
            for instance in instances:
                profile.learn(f"/app → /job-{slot}-{instance}", instance, slot)
        profile.close_slot(instances, slot)
        if slot % 5 == 4:
            corrected = corrected or profile.unseen_upper <= target
            novel = tuple(count * n for n in profile.novel)
            spans = tuple(units for units, _ in profile.windows)
            naive = naive or unseen_upper(Incidence(profile.units, novel=novel, spans=spans), CONFIDENCE) <= target
    return naive, corrected


class Drifting(NamedTuple):
    """`after` units after new behaviours became possible: how often bound and interval held, and "stable" was said."""

    kind: str
    after: int
    bound: float
    interval: float
    stable: float
    theta: float


def drift(runs: int, seed: int = 5) -> list[Drifting]:
    """Behaviours that were impossible before: a release at unit 1000, and a slow inflow without end."""
    found: list[Drifting] = []
    for kind, at in (("release", (0, 20, 50, 100, 300, 1000, 3000)), ("inflow", (100, 1000, 3000))):
        rows = list(_drifting(kind, at, runs, np.random.default_rng(seed)))
        for place, after in enumerate(at):
            column = [row[place] for row in rows]
            bound, interval, stable, theta = (float(np.mean(values)) for values in zip(*column, strict=True))
            found.append(Drifting(kind, after, bound, interval, stable, theta))
    return found


def _drifting(
    kind: str, at: tuple[int, ...], runs: int, chance: np.random.Generator
) -> Iterator[list[tuple[bool, bool, bool, float]]]:
    change = 1000
    for _ in range(runs):
        old = np.array([0.9, 0.8, 0.5, 0.3, 0.1, 0.05])
        fresh: Floats = chance.uniform(0.005, 0.03, 12 if kind == "release" else 60)
        late = np.full(len(fresh), change + 1) if kind == "release" else chance.integers(1, 6000, len(fresh))
        begins = np.concatenate((np.ones(len(old), np.int64), late))
        world = World(np.concatenate((old, fresh)), chance, begins)
        yield [_looked(world, change + after) for after in at]


def _looked(world: World, units: int) -> tuple[bool, bool, bool, float]:
    data, theta, truth = world.at(units), world.theta(units), world.new_behaviours(units)
    upper, found = unseen_upper(data, CONFIDENCE), new_behaviours(data, CONFIDENCE)
    return theta <= upper, found.low <= truth <= found.high, upper <= 0.05, theta
