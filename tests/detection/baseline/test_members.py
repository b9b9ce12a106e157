"""Compact members behave as a dictionary of members would, and files fold without losing what was counted."""

import random

import pytest

from detection.baseline.folding import covers, place_of
from detection.baseline.members import Member, Members
from detection.baseline.profile import ClassProfile, ProfileConfig
from detection.baseline.templates import read_is_exact, write_is_exact


def learned(names: list[str], behaviour: str, config: ProfileConfig | None = None) -> ClassProfile:
    known = ClassProfile(config or ProfileConfig(), behaviour)
    for name in names:
        if known.row(name) < 0:
            known.learn(name, "c1", 10**18)
        known.close_slot({"c1"}, 10**18)
    return known


def test_members_are_what_a_dictionary_would_hold() -> None:
    chance, members, model = random.Random(4), Members(), {}
    for n in range(4000):
        name = f"/bin/{chance.randrange(9)} → {chance.choice(['/srv/', '/a/b/', 'tcp '])}{chance.randrange(600)}"
        row = members.find(name)
        assert (row >= 0) == (name in model) == (name in members)
        if row >= 0 and chance.random() < 0.3:
            members.remove(row)
            del model[name]
        elif row >= 0:
            members.saw(row, n, n * 10**9)
            members.count_unit(row, n, 1 << n % 32)
            count, units, bits = model[name]
            model[name] = (count + n, units + 1, bits | 1 << n % 32)
        else:
            members.add(Member(name, first_ns=n * 10**9))
            model[name] = (0, 0, 0)
        assert len(members) == len(model)
    assert {m.name: (m.count, m.units, m.instances) for m in members.values()} == model
    assert sorted(members) == sorted(model)
    with pytest.raises(KeyError):
        members["/bin/none → /x"]


@pytest.mark.parametrize("name", ["", " → ", "/", "a → b → /c/d", "/bin/ü → /ß/\ud800", "x" * 5000, "/bin/a → /d/ /e"])
def test_any_name_comes_back_as_it_was(name: str) -> None:
    members = Members()
    assert members.at(members.add(Member(name))).name == name


def test_many_files_of_one_kind_in_one_directory_are_one_member() -> None:
    known = learned([f"/bin/app → /srv/up/{n}x.jpg" for n in range(20)], "write")
    assert sorted(known.members) == ["/bin/app → /srv/up/*.jpg"]
    assert known.find("/bin/app → /srv/up/another.jpg") is not None
    for other in (
        "/bin/app → /srv/up/x.php",
        "/bin/app → /srv/x.jpg",
        "/bin/sh → /srv/up/x.jpg",
        "/bin/app → /srv/up/a/x.jpg",
    ):
        assert known.find(other) is None, other


def test_many_directories_alike_are_one_member() -> None:
    known = learned(
        [f"/bin/app → /srv/mail/u{chr(97 + n % 26)}{chr(97 + n // 26)}/new/a.eml" for n in range(80)], "write"
    )
    assert sorted(known.members) == ["/bin/app → /srv/mail/**/*.eml"]
    assert known.find("/bin/app → /srv/mail/zz/cur/b.eml") is not None
    assert known.find("/bin/app → /srv/mail/zz/cur/b.sh") is None


def test_where_single_names_matter_nothing_folds() -> None:
    names = [f"/bin/app → /etc/cron.d/job{chr(97 + n)}" for n in range(26)]
    assert len(learned(names, "write").members) == 26
    secrets = [f"/bin/app → /home/{chr(97 + n)}/.ssh/id_rsa" for n in range(26)]
    assert len(learned(secrets, "read").members) == 26
    assert len(learned([f"/bin/init → /srv/bin/p{chr(97 + n)}" for n in range(26)], "exec").members) == 26


def test_counts_stay_those_of_the_members_after_folding() -> None:
    """Incremental counts are what a count from scratch gives."""
    known, chance = ClassProfile(ProfileConfig(), "write"), random.Random(6)
    for _ in range(300):
        for _ in range(3):
            name = f"/bin/app → /srv/{chance.choice('abc')}/{chance.randrange(30)}.{chance.choice(['db', 'log'])}"
            row = known.row(name)
            known.touch(row, "c1") if row >= 0 else known.take(name, "c1", 10**18)
        known.close_slot({"c1"}, 10**18)
        units = [m.units for m in known.members.values()]
        data = known.incidence
        assert (data.uniques, data.duplicates) == (units.count(1), units.count(2))
        assert (data.incidences, data.observed) == (sum(units), len(units))
    assert len(known.members) == 6


def test_a_class_that_is_full_folds_before_it_refuses() -> None:
    known = learned(
        [f"/bin/app → /srv/d/{chr(97 + n)}/f" for n in range(24)], "write", ProfileConfig(max_members=16)
    )  # fmt: skip
    assert (sorted(known.members), known.overflow) == (["/bin/app → /srv/d/**/*"], 0)


def test_what_covers_a_file_is_told_narrowest_first() -> None:
    assert list(covers("/bin/a → /x/y/z.jpg", write_is_exact)) == [
        "/bin/a → /x/y/*.jpg", "/bin/a → /x/y/**/*.jpg", "/bin/a → /x/y/**", "/bin/a → /x/**/*.jpg", "/bin/a → /x/**",
    ]  # fmt: skip
    assert list(covers("/bin/a → tcp 10.0.0.1:80", write_is_exact)) == []
    assert list(covers("/bin/a → /etc/shadow", read_is_exact)) == []
    assert place_of("/bin/a → delete /x/y.log") == ("/bin/a → delete ", "/x", "y.log", "")
