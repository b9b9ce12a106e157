"""When a class is stable, lossy or still learning, and what is never learned."""

import random

import pytest

from detection.baseline.archive import ArchiveError, profile_from_dict, profile_to_dict
from detection.baseline.profile import ClassKey, ClassProfile, Held, Profile, ProfileConfig, State

QUICK = ProfileConfig(target=0.1, min_units=30, clean_units=10)


def slot(behaviours: ClassProfile, *names: str, instance: str = "c1") -> None:
    for name in names:
        member = behaviours.members.get(name)
        if member is None:
            behaviours.learn(name, instance, 1)
        else:
            behaviours.see(member, instance, 1)
    behaviours.close_slot({instance})


def stable_class(units: int = 120) -> ClassProfile:
    behaviours = ClassProfile(QUICK)
    for _ in range(units):
        slot(behaviours, "a", "b")
    return behaviours


def test_stable_when_the_bound_says_so_and_not_before() -> None:
    behaviours = ClassProfile(QUICK)
    states = []
    for _ in range(120):
        slot(behaviours, "a", "b")
        states.append((behaviours.unseen_upper, behaviours.state))
    assert behaviours.state is State.STABLE
    assert all(bound <= 0.1 for bound, state in states if state is State.STABLE)
    assert all(state is State.LEARNING for _, state in states[:29])


def test_a_class_that_keeps_bringing_new_things_never_becomes_stable() -> None:
    behaviours = ClassProfile(QUICK)
    for n in range(400):
        slot(behaviours, "a", f"new{n // 3}" if n % 3 == 0 else "a")
        assert behaviours.state is (State.CHURNING if n >= 199 else State.LEARNING)
    assert behaviours.churns == "91 of the last 272 units brought something new, no fewer than before"


def test_a_class_without_members_needs_more_evidence() -> None:
    empty, full = ClassProfile(QUICK), ClassProfile(QUICK)
    first = {}
    for n in range(300):
        slot(empty)
        slot(full, "a")
        for name, behaviours in (("empty", empty), ("full", full)):
            if behaviours.state is State.STABLE:
                first.setdefault(name, n)
    assert first["empty"] > first["full"]
    assert empty.unseen_upper <= QUICK.target / QUICK.empty_factor


def test_a_profile_that_saw_nothing_at_all_never_becomes_stable() -> None:
    profile = Profile("w", "", QUICK)
    for _ in range(500):
        profile.alive.add("c1")
        profile.close_slot()
    assert {c.state for c in profile.classes.values()} == {State.LEARNING}
    assert {c.units for c in profile.classes.values()} == {0}


def test_units_are_instances_times_slots() -> None:
    profile = Profile("w", "", QUICK)
    profile.witnessed = 1
    for _ in range(10):
        profile.alive.update({"c1", "c2", "c3"})
        profile.close_slot()
    assert profile.of("exec").units == 30
    assert profile.of("exec").instances.keys() == {"c1", "c2", "c3"}


def test_a_lossy_class_is_lossy_until_enough_clean_units_passed() -> None:
    behaviours = stable_class()
    units = behaviours.units
    behaviours.note_loss()
    slot(behaviours, "a")
    assert behaviours.state is State.LOSSY
    assert behaviours.units == units, "a slot with losses is no evidence of absence"
    for _ in range(9):
        slot(behaviours, "a")
        assert behaviours.state is State.LOSSY
    slot(behaviours, "a")
    assert behaviours.state is State.STABLE
    assert behaviours.losses == 1


def test_steady_loss_keeps_a_class_from_ever_becoming_stable() -> None:
    behaviours = ClassProfile(QUICK)
    for n in range(500):
        if n % 5 == 0:
            behaviours.note_loss()
        slot(behaviours, "a")
        assert behaviours.state is not State.STABLE


def test_a_full_class_counts_what_it_refuses_and_cannot_be_stable() -> None:
    behaviours = ClassProfile(ProfileConfig(target=0.1, max_members=3))
    slot(behaviours, "a", "b", "c", "d", "e")
    for _ in range(200):
        slot(behaviours, "a")
    assert (len(behaviours.members), behaviours.overflow, behaviours.state) == (3, 2, State.CHURNING)
    assert behaviours.churns == "2 behaviours found no room beside the 3 known"


def test_a_condemned_behaviour_is_unlearned_and_never_learned() -> None:
    behaviours = ClassProfile(QUICK)
    assert behaviours.learn("bad", "c1", 1) is not None
    assert behaviours.condemn("bad")
    behaviours.close_slot({"c1"})
    assert behaviours.learn("bad", "c1", 2) is None
    assert (behaviours.observed, behaviours.incidences, behaviours.members) == (0, 0, {})


def test_condemning_something_long_known_keeps_it() -> None:
    behaviours = stable_class()
    assert not behaviours.condemn("a")
    assert "a" in behaviours.members


def test_quarantine_is_bounded_and_counts_what_it_lets_go() -> None:
    behaviours = ClassProfile(ProfileConfig(max_quarantined=2))
    for name in ("a", "b", "c"):
        behaviours.hold(name, "c1", 1)
    assert (list(behaviours.quarantine), behaviours.evicted) == (["b", "c"], 1)


def test_incremental_counts_equal_a_count_from_scratch() -> None:
    chance, behaviours = random.Random(3), ClassProfile(QUICK)
    for _ in range(200):
        slot(behaviours, *{f"m{int(chance.paretovariate(0.6))}" for _ in range(4)}, instance=f"c{chance.randint(1, 3)}")
    units = [m.units for m in behaviours.members.values()]
    data = behaviours.incidence
    assert (data.uniques, data.duplicates) == (units.count(1), units.count(2))
    assert (data.incidences, data.observed) == (sum(units), len(units))
    assert sum(data.novel) == len({m.first_unit for m in behaviours.members.values()})


def test_a_profile_survives_the_way_to_disk_and_back() -> None:
    profile = Profile("k8s/shop/deployment/web/web", "sha256:1", QUICK)
    profile.classes[ClassKey("exec")] = stable_class()
    profile.of("exec").hold("odd", "c9", 5)
    profile.of("exec").condemn("bad")
    again = profile_from_dict(profile_to_dict(profile), QUICK)
    assert profile_to_dict(again) == profile_to_dict(profile)
    assert again.of("exec").state is State.STABLE
    assert again.of("exec").incidence == profile.of("exec").incidence


def test_members_of_an_open_unit_are_not_saved() -> None:
    profile = Profile("w", "", QUICK)
    profile.of("write").learn("half", "c1", 1)
    assert profile_to_dict(profile)["classes"]["write"]["members"] == {}


def _mutated(data: object, chance: random.Random) -> object:
    junk = chance.choice([None, -1, 1 << 70, "x", [], {}, 1.5, True])
    if isinstance(data, dict) and data and chance.random() < 0.8:
        key = chance.choice(sorted(data))
        return {**data, key: _mutated(data[key], chance)}
    if isinstance(data, list) and data and chance.random() < 0.8:
        index = chance.randrange(len(data))
        return [*data[:index], _mutated(data[index], chance), *data[index + 1 :]]
    return junk


def test_broken_archives_give_an_archive_error_and_nothing_else() -> None:
    profile = Profile("w", "", QUICK)
    profile.classes[ClassKey("exec")] = stable_class(10)
    whole, chance, refused = profile_to_dict(profile), random.Random(9), 0
    for _ in range(2000):
        try:
            profile_from_dict(_mutated(whole, chance), QUICK)
        except ArchiveError:
            refused += 1
    assert refused > 1000


def test_instances_of_a_held_behaviour_are_bounded() -> None:
    held = Held("m", 0, 0)
    for n in range(100):
        held.seen(f"c{n}", n)
    assert (len(held.instances), held.count, held.last_ns) == (16, 100, 99)


@pytest.mark.parametrize("units", [0, 1])
def test_completeness_of_a_young_class_is_low(units: int) -> None:
    behaviours = ClassProfile(QUICK)
    for _ in range(units):
        slot(behaviours, "a")
    assert behaviours.completeness < 0.5
