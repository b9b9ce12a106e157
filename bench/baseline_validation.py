"""Does the bound of completeness hold? Simulated workloads, looked at after every unit.

Run by hand: `python -m bench.baseline_validation [RUNS]`. For several shapes of behaviour it reports, at targets
10 %, 5 % and 2 %: how many units it took until the class was stable (median), how often it was declared stable
wrongly (must stay below 5 %), and what the plain rule "no novelty for 3/target units" and the estimate Q1/T would
have done instead.
"""

import random
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from detection.baseline.completeness import MAX_WINDOWS, Incidence, unseen_upper, window_of

UNITS = 3000
TARGETS = (0.10, 0.05, 0.02)
CONFIDENCE = 0.95


class Shape(NamedTuple):
    """A kind of workload: draws the probabilities with which its behaviours show up in a unit."""

    name: str
    rates: Callable[[random.Random], list[float]]


SHAPES = (
    Shape("few steady behaviours", lambda _: [0.9, 0.8, 0.5, 0.3]),
    Shape("one rare behaviour", lambda _: [0.9, 0.8, 0.03]),
    Shape("many equally rare", lambda _: [0.02] * 90),
    Shape("long tail (Pareto)", lambda chance: [min(0.9, chance.paretovariate(0.7) * 0.003) for _ in range(60)]),
    Shape("Zipf", lambda _: [min(0.9, 0.6 / rank**1.3) for rank in range(1, 200)]),
)


class Step(NamedTuple):
    """After one unit: the data, the true chance of novelty in the next unit, and how long nothing new came."""

    data: Incidence
    truth: float
    quiet: int


def watch(rates: list[float], chance: random.Random) -> Iterator[Step]:
    """Simulate one workload, unit by unit."""
    counts, novel, quiet = [0] * len(rates), [0] * MAX_WINDOWS, 0
    for unit in range(1, UNITS + 1):
        fresh = False
        for index, rate in enumerate(rates):
            if chance.random() < rate:
                fresh |= counts[index] == 0
                counts[index] += 1
        novel[window_of(unit)] += fresh
        quiet = 0 if fresh else quiet + 1
        missing = 1.0
        for count, rate in zip(counts, rates, strict=True):
            missing *= 1.0 if count else 1.0 - rate
        yield Step(Incidence(unit, counts.count(1), novel=novel), 1.0 - missing, quiet)


RULES: dict[str, Callable[[Step, float], bool]] = {
    "bound": lambda step, target: unseen_upper(step.data, CONFIDENCE) <= target,
    "rule of three": lambda step, target: step.quiet >= 3 / target,
    "Q1/T": lambda step, target: step.data.units >= 30 and step.data.uniques / step.data.units <= target,
}


def stops(rates: list[float], seed: int) -> dict[tuple[str, float], tuple[int, bool]]:
    """Rule and target → the unit at which it said "stable", and whether that was wrong."""
    found: dict[tuple[str, float], tuple[int, bool]] = {}
    for step in watch(rates, random.Random(seed)):
        for name, rule in RULES.items():
            for target in TARGETS:
                if (name, target) not in found and rule(step, target):
                    found[name, target] = (step.data.units, step.truth > target)
        if len(found) == len(RULES) * len(TARGETS):
            break
    return found


def main(runs: int = 100) -> int:
    """Print the table; the exit status is 1 where the bound broke its promise."""
    broken = False
    print(f"{runs} runs of up to {UNITS} units; 'wrong' must stay ≤ {1 - CONFIDENCE:.0%} for the bound")
    for shape in SHAPES:
        chance = random.Random(1)
        results = [stops(shape.rates(chance), seed) for seed in range(runs)]
        for name in RULES:
            for target in TARGETS:
                ends = [r[name, target] for r in results if (name, target) in r]
                wrong = sum(w for _, w in ends) / runs
                broken |= name == "bound" and wrong > 1 - CONFIDENCE
                median = statistics.median(units for units, _ in ends) if ends else float("nan")
                print(f"{shape.name:24} {name:14} target {target:4.0%}: {median:6.0f} units, wrong {wrong:5.1%}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
