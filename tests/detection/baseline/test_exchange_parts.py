"""Snapshots in parts and members as bytes: what goes in comes out, and nothing else gets in."""

import contextlib
import random
import zlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.baseline.packing import PackingError, Unpacker, pack, pack_classes, unpack_classes
from detection.baseline.parts import PART_BYTES, Assembler, Part, PartError, Update, clamped, split
from detection.baseline.profile import Profile, ProfileConfig
from detection.baseline.snapshot import ClassSnapshot, Shown, Snapshot, Window, applied, profile_of, snapshot

NUMBERS = st.integers(0, 2**40 - 1)
SHOWN = st.builds(
    Shown, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(1, 2**40 - 1), st.booleans(), NUMBERS, st.integers(1, 9)
)
MEMBERS = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60), SHOWN, max_size=8
)


@given(MEMBERS)
@settings(max_examples=200, deadline=None)
def test_members_come_back_as_they_were(members: dict[str, Shown]) -> None:
    assert Unpacker().members(pack(members)) == members


@given(MEMBERS, st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5))
@settings(max_examples=100, deadline=None)
def test_classes_come_back_as_they_were(members: dict[str, Shown], pairs: list[tuple[int, int]]) -> None:
    windows = tuple(Window(max(a, b), min(a, b)) for a, b in pairs)
    classes = {"exec": ClassSnapshot(windows, members, frozenset(list(members)[:2]), 3, 4, 5, 6)}
    assert unpack_classes(pack_classes(classes)) == classes


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_members_or_a_clear_error(data: bytes) -> None:
    for candidate in (data, zlib.compress(data)):
        with contextlib.suppress(PackingError):
            Unpacker().members(candidate)


@pytest.mark.parametrize(
    "rows",
    [
        {},
        [1],
        [[]],
        [["a", 1, 1, 1, 1]],
        [["", 1, 1, 1, 1, 1]],
        [["a" * 4097, 1, 1, 1, 1, 1]],
        [["a", -1, 1, 1, 1, 1]],
        [["a", 1.5, 1, 1, 1, 1]],
        [["a", True, 1, 1, 1, 1]],
        [["a", 2**62, 1, 1, 1, 1]],
        [[1, 1, 1, 1, 1, 1]],
        [["a", 1, 1, 1, 1, 1, "x"]],
    ],
)
def test_rows_out_of_form_are_refused(rows: object) -> None:
    with pytest.raises(PackingError):
        Unpacker().members(zlib.compress(orjson.dumps(rows)))


def test_rows_of_other_versions_are_understood() -> None:
    rows = [["old", 1, 2, 3, 4, 5], ["new", 1, 2, 3, 4, 5, 1, 7, 8, "more", None]]
    members = Unpacker().members(zlib.compress(orjson.dumps(rows)))
    assert members == {"old": Shown(1, 2, 3, 4, 5), "new": Shown(1, 2, 3, 4, 5, True, 7, 8)}


def test_a_message_inflates_to_no_more_than_it_may() -> None:
    half = pack({f"{i}{'x' * 1000}": Shown(1, 1, 1, 1) for i in range(550)})
    unpacker = Unpacker()
    unpacker.members(half)
    with pytest.raises(PackingError, match="do not inflate to at most"):
        unpacker.members(half)


def large(count: int) -> Update:
    members = {f"/bin/app → /srv/{i}/{'x' * 300}": Shown(1, 1, 1, 1) for i in range(count)}
    known = ClassSnapshot((Window(8, 1),), members, frozenset({"bad"}), 2)
    return Update(Snapshot("w", "v", 5, {"exec": known, "write": ClassSnapshot((Window(8, 0),))}), 3, 2, "run")


@pytest.mark.parametrize("count", [0, 1, 700, 5000])
def test_parts_are_bounded_and_make_the_whole_again(count: int) -> None:
    update, assembler = large(count), Assembler()
    parts = split(update)
    sizes = [sum(len(name.encode()) + 64 for _, known in part.classes for name in known.members) for part in parts]
    assert max(sizes) <= PART_BYTES + 512
    made = [assembler.add(part) for part in parts]
    assert made[:-1] == [None] * (len(parts) - 1)
    assert made[-1] == update


def test_parts_out_of_order_are_refused_and_a_new_beginning_is_taken() -> None:
    parts, assembler = split(large(3000)), Assembler()
    assembler.add(parts[0])
    with pytest.raises(PartError, match="does not follow"):
        assembler.add(parts[2])
    with pytest.raises(PartError, match="does not follow"):
        assembler.add(parts[1])
    assert [assembler.add(part) for part in parts][-1] == large(3000)


def test_no_update_grows_beyond_its_bound() -> None:
    assembler = Assembler()
    chunk = tuple((f"/a{i}", Shown(1, 1, 1, 1)) for i in range(20_000))
    parts = [
        Part("w", "v", 1, part=n, parts=4, classes=(("exec", ClassSnapshot(members={f"{n}{k}": s for k, s in chunk})),))
        for n in (1, 2, 3, 4)
    ]
    assembler.add(parts[0])
    assembler.add(parts[1])
    with pytest.raises(PartError, match="more than 50000 members"):
        assembler.add(parts[2])


def test_claims_stay_within_what_was_watched() -> None:
    known = clamped(ClassSnapshot((Window(8, 0),), {"a": Shown(9, 2**39, 1, 1, 2**39, slots=9, agents=7)}, instances=2))
    assert known.members["a"] == Shown(9, 8, 1, 1, 2, slots=0, agents=1)


def test_changes_on_a_base_are_the_whole() -> None:
    rng = random.Random(3)
    profile = Profile("w", "v", ProfileConfig())
    profile.witnessed = 1
    known = profile.of("exec")
    told = snapshot(profile, 0)
    told_ns = 0
    for slot in range(1, 200):
        now = slot * 60 * 10**9
        for _ in range(rng.randrange(4)):
            name = f"/app → /bin/{rng.randrange(40)}"
            row = known.row(name)
            known.touch(row if row >= 0 else known.take(name, "c", now), "c")
        if rng.random() < 0.1:
            known.hold(f"/app → /bin/sh {rng.randrange(9)}", "c", now)
        profile.alive.add("c")
        profile.close_slot(now)
        if rng.random() < 0.2:
            told = applied(told, snapshot(profile, now, max(0, told_ns - 120 * 10**9)))
            told_ns = now
            assert told.classes["exec"] == snapshot(profile, now).classes["exec"]


def test_a_profile_made_of_a_snapshot_says_the_same() -> None:
    profile = Profile("w", "v", ProfileConfig())
    profile.witnessed = 1
    known = profile.of("exec")
    for slot in range(1, 300):
        row = known.row("/app → /bin/a")
        known.touch(row if row >= 0 else known.take("/app → /bin/a", "c", slot), "c")
        profile.alive.add("c")
        profile.close_slot(slot * 60 * 10**9)
    known.hold("/app → /bin/sh", "c", 5)
    known.condemn("/app → /bin/bad")
    again = profile_of(snapshot(profile, 9), ProfileConfig()).of("exec")
    assert (again.state, again.unseen_upper) == (known.state, known.unseen_upper)
    assert again.completeness == pytest.approx(known.completeness)
    assert set(again.members) == set(known.members)
    assert set(again.quarantine) == set(known.quarantine)
    assert set(again.condemned) == set(known.condemned)
