"""The budget is kept on harmless weeks, and said to be unprovable where it is."""

import random
from collections.abc import Callable

import pytest

from detection.baseline.budget import BudgetConfig, Status, poisson_tail, rule, state_of
from detection.baseline.conformal import Calibration

SLOT_S = 1800.0  # 336 slots a week
KEYS = ("exec", "write", "egress")
Draw = Callable[[random.Random], float]


def harmless(budget: float, a_week: float, weeks: int, seed: int, draw: Draw) -> tuple[list[int], Calibration]:
    """Alarms of every week of a workload with so many novelties a week."""
    config, chance = BudgetConfig.of(budget, SLOT_S), random.Random(seed)
    calibration, alarms = Calibration(config.window), [0] * weeks
    for slot in range(weeks * 336):
        if chance.random() < a_week / 336:
            key, strangeness = chance.choice(KEYS), draw(chance)
            ruling = rule(key, strangeness, calibration, config)
            if ruling.begins:
                calibration.note_alarm()
                alarms[slot // 336] += 1
            calibration.note(key, strangeness, f"m{slot}")
        calibration.advance(KEYS)
    return alarms, calibration


def light(chance: random.Random) -> float:
    return 0.3 + abs(chance.gauss(0, 0.4))


def heavy(chance: random.Random) -> float:
    return chance.expovariate(0.8)


@pytest.mark.parametrize("draw", [light, heavy])
@pytest.mark.parametrize(("budget", "a_week"), [(1.0, 3.0), (1.0, 60.0), (3.0, 20.0), (0.5, 10.0)])
def test_from_the_first_provable_week_on_the_budget_is_kept(budget: float, a_week: float, draw: Draw) -> None:
    """Alarms a week over 12 runs of ten weeks: at most the budget and two standard errors, and not far below it."""
    start, runs, weeks = max(1, round(1 / budget)), 12, 10
    total = sum(sum(harmless(budget, a_week, weeks, seed, draw)[0][start:]) for seed in range(runs))
    expected = budget * runs * (weeks - start)
    assert 0.4 * expected <= total <= expected + 2 * expected**0.5


def test_before_that_alarms_are_records_and_few() -> None:
    """n harmless novelties cost at most 1 + 1/2 + … + 1/n on average: 4.7 of sixty, measured over 40 runs."""
    first = [harmless(1.0, 60.0, 1, seed, heavy)[0][0] for seed in range(40)]
    assert sum(first) / 40 <= 4.7
    assert max(first) <= 9


def test_exact_figures_of_one_seeded_run() -> None:
    alarms, calibration = harmless(1.0, 20.0, 8, 1, heavy)
    state = state_of(calibration, BudgetConfig.of(1.0, SLOT_S))
    assert alarms == [2, 2, 2, 0, 1, 0, 1, 1]
    assert (state.status, state.alarms, state.watched_weeks) == (Status.KEPT, 3, 3.5)
    assert state.needed == {"exec": 2.7, "egress": 2.96, "write": 4.62}


def test_one_alarm_lasts_an_hour_and_counts_once() -> None:
    config = BudgetConfig.of(1.0, 60.0)
    calibration = Calibration(config.window)
    for _ in range(12_000):
        calibration.advance(KEYS)
    first = rule("exec", 3.0, calibration, config)
    calibration.note_alarm()
    calibration.note("exec", 3.0, "a")
    for _ in range(59):
        calibration.advance(KEYS)
    second, plain = rule("exec", 1.1, calibration, config), rule("exec", 0.9, calibration, config)
    calibration.advance(KEYS)
    third = rule("exec", 0.1, calibration, config)
    assert [(r.passes, r.begins) for r in (first, second, third)] == [(True, True), (True, False), (False, False)]
    assert (plain.passes, plain.begins) == (False, False), "what is hardly strange does not belong to it"
    assert "belongs to an alarm" in second.reason
    assert (
        "about 1.7 times a week here (as strange in its class: 1 of 1 before; as unusual in all: 1 of 1; p ≤ 1)"
        in third.reason
    )
    assert third.reason.endswith("more than the budget of 1 false anomalies a week, so this is kept as informational.")


def test_a_young_record_promises_nothing_and_says_how_long_it_takes() -> None:
    config = BudgetConfig.of(1.0, 60.0)
    calibration = Calibration(config.window)
    for _ in range(300):
        calibration.advance(("exec",))
    strange, plain = rule("exec", 2.0, calibration, config), rule("exec", 1.0, calibration, config)
    assert (strange.passes, strange.proven, plain.passes) == (True, False, False)
    assert "cannot be proven yet (5.0 hours of 7.0 days watched)" in strange.reason
    state = state_of(calibration, config)
    assert (state.status, state.promised_per_week) == (Status.UNPROVEN, None)
    assert state.needed == {"exec": pytest.approx(1.5, abs=0.01)}
    assert state.sentence == (
        "not yet provable: 0.03 of 1 weeks watched; the least that can be promised is 34 a week "
        "(0 novelties a week without a budget)"
    )


def test_habits_that_change_are_followed_and_the_overrun_is_told() -> None:
    """Strangeness that never stops growing is not exchangeable: every novelty is the strangest so far."""
    config = BudgetConfig.of(1.0, SLOT_S)
    calibration = Calibration(config.window)
    for slot in range(336 * 4):
        if slot % 24 == 0:
            strangeness = slot / 200
            if rule("exec", strangeness, calibration, config).begins:
                calibration.note_alarm()
            calibration.note("exec", strangeness, str(slot))
        calibration.advance(("exec",))
    assert state_of(calibration, config).status is Status.OVERRUN


def test_a_small_budget_gets_a_long_record() -> None:
    assert BudgetConfig.of(0.1, 60.0).window == 20 * 10_080
    assert BudgetConfig.of(1.0, 60.0) == BudgetConfig()
    with pytest.raises(ValueError, match="above 0"):
        BudgetConfig.of(0.0, 60.0)


def test_tail_of_poisson_matches_tables() -> None:
    assert poisson_tail(0, 2.0) == 1.0
    assert poisson_tail(3, 1.0) == pytest.approx(0.0803, abs=1e-4)
    assert poisson_tail(8, 2.5) == pytest.approx(0.00425, abs=1e-5)
