"""Is the budget of false anomalies kept? Simulated harmless weeks: the record alone, and through the whole learner."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from detection.baseline.budget import BudgetConfig, rule, state_of
from detection.baseline.conformal import Calibration

WEEKS = 10
_SLOT_S = 1800.0
_SLOTS = 336  # a week
_KEYS = ("exec", "write", "egress")
Draw = Callable[[np.random.Generator, float], float]  # chance, week → strangeness


class Habit(NamedTuple):
    """How a harmless workload is new: how strange, and by what its rate of novelty is multiplied in each week."""

    name: str
    strangeness: Draw
    pace: Callable[[float], float] = lambda _: 1.0
    burst: int = 1  # novelties in one slot


HABITS = (
    Habit("light tail", lambda c, _: 0.3 + abs(c.normal(0.0, 0.4))),
    Habit("heavy tail", lambda c, _: float(c.exponential(1.2))),
    Habit("all alike (ties)", lambda _c, _w: 0.8),
    Habit("settles down", lambda c, _: float(c.exponential(1.2)), lambda week: 3.0 * 0.6**week),
    Habit("ten at a time", lambda c, _: float(c.exponential(1.2)), burst=10),
    Habit("stranger from week 6", lambda c, week: float(c.exponential(1.2)) + 1.5 * (week >= 5)),
    Habit("busier from week 6", lambda c, _: float(c.exponential(1.2)), lambda week: 5.0 if week >= 5 else 1.0),
)


class Kept(NamedTuple):
    """Alarms a week, mean over runs: the first, the provable ones up to week 5, from week 6 on; `error` of the mean."""

    habit: str
    budget: float
    novel_per_week: float
    first: float
    settled: float
    late: float
    error: float
    overrun: float  # share of runs that ended telling so


def kept(runs: int, seed: int = 7) -> list[Kept]:
    """Every habit at several rates with the default budget, and other budgets with one habit."""
    found = [_kept(habit, 1.0, rate, runs, seed) for habit in HABITS for rate in (0.3, 3.0, 30.0, 150.0)]
    return found + [_kept(HABITS[1], budget, 30.0, runs, seed) for budget in (0.25, 0.5, 2.0, 5.0)]


def _kept(habit: Habit, budget: float, rate: float, runs: int, seed: int) -> Kept:
    chance = np.random.default_rng(seed)
    results = [_weeks(habit, budget, rate, chance) for _ in range(runs)]
    alarms = np.array([weeks for weeks, _ in results])
    start = max(1, round(1 / budget))
    settled, late = alarms[:, start:5], alarms[:, 5:]
    every = alarms[:, start:].mean(axis=1)
    return Kept(
        habit.name, budget, rate, float(alarms[:, 0].mean()), float(settled.mean()) if settled.size else float("nan"),
        float(late.mean()), float(every.std() / np.sqrt(runs)), sum(over for _, over in results) / runs,
    )  # fmt: skip


def _weeks(habit: Habit, budget: float, rate: float, chance: np.random.Generator) -> tuple[list[int], bool]:
    config = BudgetConfig.of(budget, _SLOT_S)
    record, alarms = Calibration(config.window), [0] * WEEKS
    for slot in range(WEEKS * _SLOTS):
        week = slot / _SLOTS
        if chance.random() < rate / _SLOTS / habit.burst * habit.pace(week):
            for _ in range(habit.burst):
                key, strangeness = _KEYS[chance.integers(3)], habit.strangeness(chance, week)
                ruling = rule(key, strangeness, record, config)
                if ruling.begins:
                    record.note_alarm()
                    alarms[slot // _SLOTS] += 1
                record.note(key, strangeness, str(slot))
        record.advance(_KEYS)
    return alarms, state_of(record, config).status == "overrun"
