"""Habits count units and know how complete they are; what was stored comes back, what is broken is refused."""

import random

import orjson
import pytest

from detection.baseline.counts import State
from detection.principals.access import CLASSES, Actor, PrincipalKind
from detection.principals.habit import GROUP, PRINCIPAL, Habit, HabitError
from detection.principals.profile import ADOPT_UNITS, Group, PrincipalProfile

SHOWN = ("get pods", "pods in shop", "kubectl", "private", "", "08-12 weekday")


def test_units_and_incidences_are_counted_once_per_unit() -> None:
    habit = Habit(PRINCIPAL)
    habit.learn("a"), habit.learn("b")
    assert habit.close({"a", "b"}) == ("a", "b") or habit.members == {"a": 1, "b": 1}
    assert habit.close({"a"}) == ()
    assert (habit.units, habit.uniques, habit.duplicates, habit.incidences, habit.observed) == (2, 1, 1, 3, 2)


def test_names_that_were_never_learned_do_not_count() -> None:
    habit = Habit(PRINCIPAL)
    habit.close({"held"})
    assert (habit.units, habit.observed, habit.members) == (1, 0, {})


def test_a_quiet_habit_becomes_stable_and_a_restless_one_does_not() -> None:
    quiet, restless = Habit(PRINCIPAL), Habit(PRINCIPAL)
    for hour in range(200):
        quiet.learn("a"), restless.learn(f"new-{hour}")
        quiet.close({"a"}), restless.close({f"new-{hour}"})
    assert quiet.state is State.STABLE
    assert quiet.unseen_upper <= 0.05
    assert restless.state is State.CHURNING


def test_a_full_habit_refuses_and_never_becomes_stable() -> None:
    habit = Habit(PRINCIPAL)
    assert sum(habit.learn(str(n)) for n in range(600)) == 512
    assert habit.overflow == 88
    assert habit.state is State.CHURNING


def test_what_is_held_is_adopted_after_enough_hours_over_enough_days() -> None:
    profile = PrincipalProfile(Actor("x", PrincipalKind.PERSON, ""))
    profile.habits[0].hold("get secrets", 0)
    for n in range(ADOPT_UNITS):
        assert "get secrets" not in profile.habits[0].members
        profile.unit(n * 10).note(("get secrets", "", "", "", "", ""))
        profile.close(n * 10)
    assert profile.habits[0].members == {"get secrets": 1}
    assert profile.adopted == 1


def test_a_group_counts_principals_not_hours() -> None:
    group = Group()
    group.join((("a",), (), (), (), (), ()))
    group.join((("a",), (), (), (), (), ()))
    group.widen((("b",), (), (), (), (), ()))
    assert (group.habits[0].units, group.habits[0].members) == (2, {"a": 2, "b": 1})


def _profile() -> PrincipalProfile:
    profile = PrincipalProfile(Actor("system:serviceaccount:shop:web", PrincipalKind.WORKLOAD, "shop"))
    for index, name in enumerate(SHOWN):
        if name:
            profile.habits[index].learn(name)
    profile.unit(7).note(SHOWN)
    profile.close(7)
    profile.unit(8).note(SHOWN)
    profile.habits[0].hold("list secrets", 5)
    profile.alarm_ns = 99
    return profile


def test_what_was_stored_comes_back_with_its_open_hours() -> None:
    stored = orjson.loads(orjson.dumps(_profile().to_plain()))
    again = PrincipalProfile.from_plain(stored)
    assert orjson.loads(orjson.dumps(again.to_plain())) == stored
    assert again.units[8].names[0] == {"get pods"}
    group = Group()
    group.join((("a",),) * len(CLASSES))
    assert Group.from_plain(orjson.loads(orjson.dumps(group.to_plain()))).habits[2].members == {"a": 1}


@pytest.mark.parametrize("broken", [None, [], {}, "x", {"actor": 1}, [1, 2, 3, 4]])
def test_broken_data_is_refused_with_a_reason(broken: object) -> None:
    with pytest.raises(HabitError):
        PrincipalProfile.from_plain(broken)
    with pytest.raises(HabitError):
        Habit.from_plain(broken, GROUP)


def test_fuzz_damaged_profiles_are_read_or_refused() -> None:
    chance = random.Random(5)
    text = orjson.dumps(_profile().to_plain())
    for _ in range(2000):
        damaged = bytearray(text)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'0129-"[]{},:ae')
        try:
            data = orjson.loads(damaged)
        except orjson.JSONDecodeError:
            continue
        try:
            PrincipalProfile.from_plain(data)
        except HabitError:
            pass
