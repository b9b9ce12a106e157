"""Merging: any order, any repetition, the same result; and what one agent can and cannot do to it."""

import itertools
import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from detection.baseline.merge import Approved, FleetConfig, Share, inherited, merge, scaled, total, upper
from detection.baseline.profile import ProfileConfig, State
from detection.baseline.snapshot import ClassSnapshot, Shown, Snapshot, Window, profile_of

DAY_NS = 86_400 * 10**9
NAMES = ("/app → /bin/a", "/app → /bin/b", "/app → /bin/c", "/app → /bin/d")
CONFIG = FleetConfig()
AGENTS = ("n1", "n2", "n3", "n4")


def windows(units: int, novel: int = 1) -> tuple[Window, ...]:
    """Windows of an agent that met something new only at first."""
    first = min(units, 8)
    return (Window(first, min(novel, first)), Window(units - first, 0))


def seen(units: int = 10, *, held: bool = False, first_ns: int = 0, instances: int = 1) -> Shown:
    return Shown(units, 0 if held else units, first_ns, first_ns + 1, instances, held)


def share(
    members: dict[str, Shown], *, units: int = 200, order: int = 1, behaviour: str = "exec", seen_ns: int = 0,
    condemned: tuple[str, ...] = (), novel: int = 1, instances: int = 1,
) -> Share:  # fmt: skip
    known = ClassSnapshot(windows(units, novel), members, frozenset(condemned), instances)
    return Share(order, seen_ns, Snapshot("w", "v", 5, {behaviour: known}))


def known_to(shares: dict[str, Share], **options: object) -> set[str]:
    merged = total(shares, CONFIG, **options)["exec"]  # type: ignore[arg-type]
    return {name for name, shown in merged.members.items() if not shown.held}


@st.composite
def states(draw: st.DrawFn) -> dict[str, Share]:
    """A state some collector could have: content is a function of agent and order."""
    state = {}
    for agent in draw(st.lists(st.sampled_from(AGENTS), unique=True)):
        order = draw(st.integers(0, 3))
        content = random.Random(f"{agent}-{order}")
        members = {
            n: seen(content.randrange(1, 90), held=content.random() < 0.3, first_ns=content.randrange(10**12))
            for n in NAMES
            if content.random() < 0.7
        }
        condemned = tuple(n for n in NAMES if content.random() < 0.15)
        state[agent] = share(members, units=content.randrange(1, 400), order=order, condemned=condemned)
    return state


@given(st.lists(states(), max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_order_and_any_repetition_give_the_same_state_and_the_same_total(
    parts: list[dict[str, Share]], chance: random.Random
) -> None:
    once = merge(*parts)
    again = [*parts, *chance.choices(parts, k=4)] if parts else []
    chance.shuffle(again)
    assert merge(*again) == once
    assert total(merge(*again), CONFIG) == total(once, CONFIG)


@given(states(), states(), states())
@settings(max_examples=200, deadline=None)
def test_merging_is_associative_commutative_and_idempotent(
    a: dict[str, Share], b: dict[str, Share], c: dict[str, Share]
) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, b) == merge(b, a)
    assert merge(a, a) == a


def test_counts_add_up_and_the_newest_of_each_agent_counts() -> None:
    old = {"n1": share({NAMES[0]: seen(5)}, order=1)}
    new = {"n1": share({NAMES[0]: seen(50)}, order=2), "n2": share({NAMES[0]: seen(7)})}
    merged = total(merge(new, old), CONFIG)["exec"]
    assert merged.members[NAMES[0]][:2] == (57, 57)
    assert merged.members[NAMES[0]].agents == 2


def test_what_one_agent_alone_has_learned_waits_for_a_second() -> None:
    shares = {"n1": share({NAMES[0]: seen(), NAMES[1]: seen()}), "n2": share({NAMES[0]: seen()})}
    assert known_to(shares) == {NAMES[0]}
    shares["n3"] = share({NAMES[1]: seen()})
    assert known_to(shares) == {NAMES[0], NAMES[1]}


def test_where_only_one_agent_has_watched_long_enough_its_word_counts() -> None:
    shares = {"n1": share({NAMES[0]: seen()}), "n2": share({}, units=29)}
    assert known_to(shares) == {NAMES[0]}
    shares["n2"] = share({}, units=30)
    assert known_to(shares) == set()


def test_one_container_of_several_is_no_quorum_even_on_the_only_agent() -> None:
    shares = {"n1": share({NAMES[0]: seen(instances=1), NAMES[1]: seen(instances=2)}, instances=3)}
    assert known_to(shares) == {NAMES[1]}


def test_what_alarmed_becomes_normal_only_when_most_agents_show_it() -> None:
    shares = {f"n{i}": share({NAMES[0]: seen(held=True)} if i < 2 else {}) for i in range(5)}
    assert known_to(shares) == set()
    shares["n2"] = share({NAMES[0]: seen(held=True)})
    assert known_to(shares) == {NAMES[0]}


def test_a_person_needs_no_quorum_and_has_the_last_word() -> None:
    shares = {a: share({NAMES[0]: seen(held=a != "n1"), NAMES[1]: seen()}) for a in AGENTS[:2]}
    people = {"exec": Approved(frozenset({NAMES[0]}), frozenset({NAMES[1]}))}
    assert known_to(shares, people=people) == {NAMES[0]}
    assert NAMES[1] in total(shares, CONFIG, people=people)["exec"].condemned
    assert NAMES[1] not in total(shares, CONFIG, people=people)["exec"].members


def test_what_a_rule_condemned_anywhere_is_learned_nowhere() -> None:
    shares = {"n1": share({}, condemned=(NAMES[0],)), "n2": share({NAMES[0]: seen()})}
    merged = total(shares, CONFIG)["exec"]
    assert merged.condemned == {NAMES[0]}
    assert NAMES[0] not in merged.members


def test_one_agent_cannot_unlearn_what_others_have_established() -> None:
    shares = {a: share({NAMES[0]: seen()}) for a in AGENTS[:3]}
    shares["evil"] = share({}, condemned=(NAMES[0],), units=10**9)
    merged = total(shares, CONFIG)["exec"]
    assert not merged.members[NAMES[0]].held
    assert merged.condemned == frozenset()


def test_one_agent_cannot_teach_however_much_it_claims() -> None:
    shares = {a: share({NAMES[0]: seen()}) for a in AGENTS[:2]}
    shares["evil"] = share({NAMES[1]: seen(10**9, instances=1000)}, units=10**9, instances=1000)
    assert known_to(shares) == {NAMES[0]}
    assert total(shares, CONFIG)["exec"].members[NAMES[1]].instances == 1


def test_one_agent_cannot_make_the_fleet_look_complete() -> None:
    honest = {a: share({NAMES[0]: seen()}, units=40, novel=8) for a in AGENTS[:3]}
    alone = upper(total(honest, CONFIG)["exec"].windows, 0.95)
    evil = {**honest, "evil": share({NAMES[0]: seen()}, units=10**9, novel=0)}
    assert upper(total(evil, CONFIG)["exec"].windows, 0.95) >= alone


def test_one_agent_can_take_the_head_start_away_but_not_the_knowledge() -> None:
    shares = {a: share({NAMES[0]: seen(400)}, units=400) for a in AGENTS}
    restless = tuple(Window(8 << max(0, i - 1), 8 << max(0, i - 1)) for i in range(20))
    shares["evil"] = Share(1, 0, Snapshot("w", "v", 5, {"exec": ClassSnapshot(restless, instances=9)}))
    profile = profile_of(Snapshot("w", "v", 9, total(shares, CONFIG)), ProfileConfig())
    assert profile.of("exec").state is not State.STABLE
    assert profile.of("exec").find(NAMES[0]) is not None


def test_one_agent_that_shows_novelty_without_end_takes_no_knowledge_away() -> None:
    shares = {a: share({NAMES[0]: seen()}) for a in AGENTS[:3]}
    made_up = {f"/app → /bin/{i}": seen(1) for i in range(5000)}
    shares["evil"] = share(made_up, units=10**6, novel=8)
    merged = total(shares, CONFIG)["exec"]
    assert not merged.members[NAMES[0]].held
    assert sum(shown.held for shown in merged.members.values()) == CONFIG.max_held


def test_a_directory_one_agent_claims_vouches_for_nothing_alone() -> None:
    inside, wide = "/app → /srv/data/a.jpg", "/app → /srv/data/*.jpg"
    shares = {"n1": share({wide: seen()}, behaviour="write"), "n2": share({inside: seen()}, behaviour="write")}
    members = total(shares, CONFIG)["write"].members
    assert {name: shown.held for name, shown in members.items()} == {inside: False, wide: True}


def test_units_that_showed_what_the_fleet_does_not_know_count_as_novel() -> None:
    shares = {"n1": share({NAMES[0]: seen(200), NAMES[1]: seen(30)}), "n2": share({NAMES[0]: seen(200)})}
    merged = total(shares, FleetConfig())["exec"]
    # Without n2 nothing else is known worse: what is left is n1's alone, with 30 novel units at the end.
    assert upper(merged.windows, 0.95) > 30 / 200


def test_an_agent_gone_for_long_counts_no_more_but_what_it_showed_stays() -> None:
    now = 30 * DAY_NS
    shares = {
        "gone": share({NAMES[0]: seen(), NAMES[1]: seen()}, seen_ns=DAY_NS),
        "n2": share({NAMES[0]: seen()}, seen_ns=now),
    }
    assert known_to(shares, now_ns=2 * DAY_NS) == {NAMES[0]}
    assert known_to(shares, now_ns=now) == {NAMES[0], NAMES[1]}


def test_replicas_that_meet_everything_together_count_as_one() -> None:
    def fleet(apart: int) -> float:
        shares = {}
        for number in range(10):
            members = {
                f"/app → /bin/{i}": seen(100, first_ns=(i + number * apart * 1000) * 60 * 10**9) for i in range(20)
            }
            shares[f"n{number}"] = share(members, units=100, novel=8)
        return sum(w.units for w in total(shares, CONFIG)["exec"].windows)

    assert fleet(apart=0) < 160  # of 1000 units, as many as one of them watched
    assert fleet(apart=1) > 800


def test_the_bound_holds_over_a_fleet_against_known_truth() -> None:
    """Replicas draw from one distribution; the summed windows' bound is above the true unseen mass."""
    chance, wrong, rounds = random.Random(7), 0, 200
    weights = [1 / (i + 1) ** 1.5 for i in range(300)]
    probabilities = [w / sum(weights) for w in weights]
    for _ in range(rounds):
        shares, union = {}, set()
        for agent in range(6):
            items = chance.choices(range(300), weights, k=60)
            first = {item: at for at, item in reversed(list(enumerate(items)))}
            novel = [int(first[item] == at) for at, item in enumerate(items)]
            spans = [(0, 8), (8, 16), (16, 32), (32, 60)]
            told = tuple(Window(b - a, sum(novel[a:b])) for a, b in spans)
            slots = {f"m{i}": seen(items.count(i), first_ns=(at + 100 * agent) * 60 * 10**9) for i, at in first.items()}
            shares[f"n{agent}"] = Share(1, 0, Snapshot("w", "v", 1, {"exec": ClassSnapshot(told, slots, instances=1)}))
        merged = total(shares, CONFIG)["exec"]
        union = {int(n[1:]) for n, shown in merged.members.items() if not shown.held}
        truth = 1.0 - math.fsum(probabilities[i] for i in union)
        wrong += upper(merged.windows, 0.95) < truth
    assert wrong <= rounds * 0.05


def test_a_new_version_knows_what_its_predecessor_did_at_reduced_weight() -> None:
    before = total({a: share({NAMES[0]: seen(200), NAMES[1]: seen(200)}, units=400) for a in AGENTS[:2]}, CONFIG)
    own = total({"n1": share({NAMES[2]: seen(3)}, units=3)}, CONFIG)
    both = inherited(own, before, 0.25)["exec"]
    assert {n for n, s in both.members.items() if not s.held} == {NAMES[0], NAMES[1], NAMES[2]}
    assert both.members[NAMES[0]].units == 100
    assert 3 < both.units < 0.3 * sum(w.units for w in before["exec"].windows) + 3
    profile = profile_of(Snapshot("w", "v2", 9, inherited(own, before, 0.0)), ProfileConfig())
    assert profile.of("exec").state is State.LEARNING


def test_evidence_at_less_weight_keeps_its_novelty() -> None:
    assert scaled((Window(100, 3), Window(2, 2)), 0.1) == (Window(10, 3), Window(2, 2))


def test_a_merged_profile_judges_like_one_that_was_there_all_along() -> None:
    shares = {a: share({NAMES[0]: seen(400)}, units=400) for a in AGENTS}
    profile = profile_of(Snapshot("w", "v", 9, total(shares, CONFIG)), ProfileConfig())
    known = profile.of("exec")
    assert known.state is State.STABLE
    assert known.find(NAMES[0]) is not None
    assert known.find(NAMES[1]) is None


def test_totals_do_not_depend_on_the_order_agents_come_in() -> None:
    shares = {a: share({NAMES[i]: seen(), NAMES[0]: seen()}) for i, a in enumerate(AGENTS)}
    totals = [total(dict(order), CONFIG) for order in itertools.permutations(shares.items())]
    assert all(t == totals[0] for t in totals)
