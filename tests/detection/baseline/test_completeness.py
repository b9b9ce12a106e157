"""Estimates against published and hand-computed values, and the bound against simulation."""

import random

import pytest

from detection.baseline.completeness import (
    Incidence,
    binomial_upper,
    coverage,
    unseen_items,
    unseen_upper,
    window_of,
)


def test_coverage_follows_chao_and_jost_with_doubletons() -> None:
    data = Incidence(units=10, uniques=4, duplicates=3, incidences=50, observed=20)
    assert coverage(data) == pytest.approx(1 - 4 / 50 * (9 * 4 / (9 * 4 + 2 * 3)))


def test_coverage_without_doubletons_uses_the_bias_corrected_term() -> None:
    data = Incidence(units=10, uniques=4, duplicates=0, incidences=50, observed=20)
    assert coverage(data) == pytest.approx(1 - 4 / 50 * (9 * 3 / (9 * 3 + 2)))


def test_coverage_of_nothing_is_nothing() -> None:
    assert coverage(Incidence()) == 0.0
    assert coverage(Incidence(units=50)) == 0.0
    assert coverage(Incidence(units=1, uniques=3, incidences=3, observed=3)) == 0.0


def test_coverage_is_complete_when_everything_was_seen_twice() -> None:
    assert coverage(Incidence(units=9, uniques=0, duplicates=2, incidences=20, observed=6)) == 1.0


def test_chao2_in_both_forms() -> None:
    assert unseen_items(Incidence(units=10, uniques=6, duplicates=3)) == pytest.approx(0.9 * 36 / 6)
    assert unseen_items(Incidence(units=10, uniques=6, duplicates=0)) == pytest.approx(0.9 * 6 * 5 / 2)
    assert unseen_items(Incidence()) == 0.0


# The exact upper limits of Clopper and Pearson, as tabulated (one-sided 95 %).
@pytest.mark.parametrize(
    ("successes", "trials", "limit"), [(0, 10, 0.2589), (1, 10, 0.3942), (5, 10, 0.7776), (2, 50, 0.1206)]
)
def test_binomial_bound_matches_published_tables(successes: int, trials: int, limit: float) -> None:
    assert binomial_upper(successes, trials, 0.05) == pytest.approx(limit, abs=2e-4)


def test_rule_of_three_for_no_success() -> None:
    assert binomial_upper(0, 1000, 0.05) == pytest.approx(3 / 1000, rel=0.01)


def test_windows_double() -> None:
    assert [window_of(n) for n in (1, 8, 9, 16, 17, 32, 33, 64, 65)] == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_bound_promises_nothing_without_units() -> None:
    assert unseen_upper(Incidence()) == 1.0


def test_bound_shrinks_like_one_over_units_when_nothing_new_comes() -> None:
    bounds = {t: unseen_upper(Incidence(t, 0, 0, 9 * t, 9, (4,))) for t in (60, 300, 3000)}
    assert bounds[60] < 0.11
    assert bounds[300] < 0.02
    assert bounds[3000] < 0.0025


def test_one_late_novelty_does_not_undo_a_long_record() -> None:
    calm = unseen_upper(Incidence(2000, 0, 3, 9000, 20, (6,)))
    late = unseen_upper(Incidence(2001, 1, 3, 9001, 21, (6, 0, 0, 0, 0, 0, 0, 0, 1)))
    assert calm < late < 2.5 * calm


def test_bound_is_never_below_the_share_of_novel_units_it_was_computed_from() -> None:
    chance = random.Random(11)
    for _ in range(200):
        units = chance.randint(1, 4000)
        novel = [chance.randint(0, 3) for _ in range(window_of(units) + 1)]
        bound = unseen_upper(Incidence(units, novel=novel))
        assert 0.0 < bound <= 1.0


def test_declared_stable_means_unseen_mass_below_target_with_the_stated_confidence() -> None:
    """Of 200 simulated workloads looked at every fourth unit, at most 5 % may be declared stable wrongly."""
    chance, target, wrong, declared = random.Random(7), 0.05, 0, 0
    for _ in range(200):
        rates = [min(0.9, chance.paretovariate(0.7) * 0.01) for _ in range(25)]
        counts, novel, units = [0] * len(rates), [0] * 12, 0
        while units < 400:
            units += 1
            hit = [i for i, rate in enumerate(rates) if chance.random() < rate]
            novel[window_of(units)] += any(counts[i] == 0 for i in hit)
            for i in hit:
                counts[i] += 1
            if units % 4 == 0 and unseen_upper(Incidence(units, novel=novel)) <= target:
                declared += 1
                missing = 1.0
                for count, rate in zip(counts, rates, strict=True):
                    missing *= 1.0 if count else 1.0 - rate
                wrong += 1.0 - missing > target
                break
    assert declared > 100
    assert wrong / declared <= 0.05
