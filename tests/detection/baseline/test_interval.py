"""The interval of what is still unseen covers the truth as often as it says."""

import numpy as np
import pytest

from bench.worlds import SHAPES, Replicas, World
from detection.baseline.archive import profile_from_dict, profile_to_dict
from detection.baseline.completeness import Incidence
from detection.baseline.interval import new_behaviours, sample_coverage
from detection.baseline.keys import KEYS, Phase
from detection.baseline.members import Member
from detection.baseline.profile import ClassProfile, Profile, ProfileConfig

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


def test_a_profile_counts_replicas_that_move_together_once_a_slot() -> None:
    """Three replicas show a new behaviour in the same slot: seen three times by unit, once by slot."""
    known = ClassProfile(ProfileConfig())
    for slot in range(20):
        for replica in ("a", "b", "c"):
            for name in ("/app → always", f"/app → job{slot // 2}"):
                member = known.find(name)
                known.see(member, replica, 1) if isinstance(member, Member) else known.learn(name, replica, 1)
        known.close_slot(("a", "b", "c"))
    assert (known.uniques, known.duplicates) == (0, 0)
    found = known.slot_incidence
    assert (found.units, found.uniques, found.duplicates, found.incidences) == (20, 0, 10, 40)
    known.learn("/app → once", "a", 1)
    known.close_slot(("a", "b", "c"))
    assert (known.slot_uniques, known.completeness < 1.0) == (1, True)
    again = profile_from_dict(profile_to_dict(_profile(known)), ProfileConfig()).of("exec")
    assert again.slot_incidence == known.slot_incidence


def _profile(known: ClassProfile) -> Profile:
    profile = Profile("w", "v", ProfileConfig())
    profile.classes[KEYS["exec"][Phase.STEADY]] = known
    return profile
