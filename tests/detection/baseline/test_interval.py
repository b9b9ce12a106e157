"""The interval of what is still unseen covers the truth as often as it says."""

import numpy as np
import pytest

from bench.worlds import SHAPES, Replicas, World
from detection.baseline.completeness import Incidence
from detection.baseline.interval import new_behaviours, sample_coverage

RUNS = 300


def test_without_units_nothing_is_known() -> None:
    assert new_behaviours(Incidence()) == (0.0, 0.0, float("inf"))
    assert sample_coverage(Incidence()) == (0.0, 0.0, 1.0)


def test_nothing_seen_once_ends_near_the_rule_of_three() -> None:
    low, estimate, high = new_behaviours(Incidence(1000, 0, 0, 5000, 5))
    assert (low, estimate) == (0.0, 0.0)
    assert 0.003 < high < 0.005


def test_more_confidence_is_wider_and_holds_the_estimate() -> None:
    data = Incidence(200, 12, 5, 900, 40)
    narrow, wide = new_behaviours(data, 0.8), new_behaviours(data, 0.95)
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_truth_lies_inside_as_often_as_stated(shape) -> None:  # type: ignore[no-untyped-def]
    chance, inside = np.random.default_rng(5), 0
    for _ in range(RUNS):
        world = World(shape.rates(chance), chance)
        found = new_behaviours(world.at(200), 0.95)
        inside += found.low <= world.new_behaviours(200) <= found.high
    assert inside / RUNS >= 0.92


def test_replicas_that_move_together_are_counted_by_slot() -> None:
    chance, by_slot, by_unit = np.random.default_rng(6), 0, 0
    for _ in range(RUNS):
        replicas = Replicas(SHAPES[5].rates(chance), 5, 3.5, 200, chance)
        truth = replicas.new_behaviours()
        slot, unit = new_behaviours(replicas.by_slot()), new_behaviours(replicas.by_unit())
        by_slot += slot.low <= truth <= slot.high
        by_unit += 5 * unit.low <= truth <= 5 * unit.high
    assert by_slot / RUNS >= 0.92
    assert by_unit / RUNS <= 0.2, "counting containers as independent is not merely wider, it is wrong"
