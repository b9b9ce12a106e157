"""Profiles on disk survive restarts, older formats, cut and changed files, a full disk, a crash at the worst moment."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.learn.store import Pace, ProfileFileError, previous_of, read_profiles, write_profiles
from detection.baseline.archive import profile_to_dict
from detection.baseline.profile import Phase, Profile, ProfileConfig, State

CONFIG = ProfileConfig(target=0.1, clean_units=10)
OLD_CLASS = {
    "units": 120, "overflow": 0, "evicted": 1, "losses": 2, "loss_left": 0, "was_stable": True,
    "novel": [1, 0, 0, 0, 0], "instances": ["c1", "c2"],
    "members": {"/bin/a → /bin/b": [500, 120, 1, 7_000_000_000, 9_000_000_000, ["c1", "c2"]]},
    "quarantine": {"/bin/a → /bin/sh": [3, 0, 0, 5, 6, ["c2"]]}, "condemned": {"/bin/a → /bin/nc": 4},
}  # fmt: skip


def made(members: int = 3, workload: str = "w", units: int = 60) -> Profile:
    profile = Profile(workload, "sha256:1", CONFIG)
    profile.witnessed = 1
    for n in range(members):
        profile.of("write").learn(f"/bin/app → /srv/{n}-{'x' * 40}/f", "c1", 10**18)
        profile.of("exec", Phase.STARTUP).learn(f"/bin/init → /bin/{n}", "c1", 10**18)
    for _ in range(units):
        profile.alive.add("c1")
        for member in list(profile.of("write").members.values()):
            profile.of("write").see(member, "c1", 10**18)
        profile.close_slot(10**18)
    profile.close_passing(Phase.STARTUP, ["c1"], 10**18)
    return profile


def plain(profiles: list[Profile]) -> list[object]:
    return [profile_to_dict(p) for p in profiles]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    profiles = [made(), made(workload="v")]
    profiles[0].notes["calibration"] = {"x": [1, 2]}
    write_profiles(tmp_path / "p", profiles, 1)
    assert plain(read_profiles(tmp_path / "p", CONFIG)) == plain(profiles)


def test_a_file_of_format_1_is_taken_over_with_all_it_knew(tmp_path: Path) -> None:
    old = {
        "workload": "w",
        "version": "1",
        "witnessed": 9,
        "last_ns": 8,
        "classes": dict.fromkeys(("exec", "write", "egress"), OLD_CLASS),
    }
    (tmp_path / "p").write_bytes(orjson.dumps({"format": 1, "saved_ns": 1, "profiles": [old]}))
    (profile,) = read_profiles(tmp_path / "p", CONFIG)
    known = profile.of("exec")
    assert (known.units, known.observed, known.incidences, known.state) == (120, 1, 120, State.STABLE)
    assert sum(units for units, _ in known.windows) == 120
    assert (known.members["/bin/a → /bin/b"].spread, known.members["/bin/a → /bin/b"].count) == (2, 500)
    assert known.quarantine["/bin/a → /bin/sh"].instances == {"c2"}
    assert known.condemned == {"/bin/a → /bin/nc": 4}
    write_profiles(tmp_path / "p", [profile], 2)
    assert plain(read_profiles(tmp_path / "p", CONFIG)) == plain([profile]), "and is written in the new format"


def test_nothing_broken_of_format_1_passes(tmp_path: Path) -> None:
    chance = random.Random(1)
    for _ in range(300):
        broken = {
            **OLD_CLASS,
            chance.choice(sorted(OLD_CLASS)): chance.choice([None, -1, "x", [], {}, [[]], {"m": []}, 1 << 60]),
        }
        old = {"workload": "w", "version": "1", "witnessed": 9, "last_ns": 8, "classes": {"exec": broken}}
        (tmp_path / "p").write_bytes(orjson.dumps({"format": 1, "profiles": [old]}))
        try:
            (profile,) = read_profiles(tmp_path / "p", CONFIG)
        except ProfileFileError:
            continue
        assert profile.of("exec").units >= 0


def test_of_a_torn_or_changed_file_the_one_before_is_used_and_it_is_said(tmp_path: Path) -> None:
    path, chance = tmp_path / "p", random.Random(2)
    write_profiles(path, [made(2)], 1)
    before = path.read_bytes()
    write_profiles(path, [made(5)], 2)
    whole = path.read_bytes()
    assert previous_of(path).read_bytes() == before
    for n in range(120):
        torn = whole[: chance.randrange(len(whole))]
        if n % 2:
            at = chance.randrange(len(whole))
            torn = whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
        path.write_bytes(torn)
        learner = Learner(LearnConfig(profile=CONFIG))
        error = learner.load(path)
        assert "the one before it is used" in str(error)
        assert plain(list(learner.profiles())) == plain([made(2)])
        assert learner.dropped() == {"learn_broken_files": 1}
        assert path.with_name("p.broken").read_bytes() == torn


def test_with_both_files_broken_learning_starts_afresh_and_both_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "p"
    for name in ("p", "p.previous"):
        (tmp_path / name).write_bytes(b'{"format":2}\n{}\n')
    error = Learner().load(path)
    assert "the one before it is no better" in str(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.broken", "p.previous.broken"]


def test_a_crash_between_the_two_renames_costs_the_newest_save_only(tmp_path: Path) -> None:
    path = tmp_path / "p"
    write_profiles(path, [made(2)], 1)
    path.rename(previous_of(path))
    (tmp_path / "p.new").write_bytes(b"half")
    learner = Learner(LearnConfig(profile=CONFIG))
    assert learner.load(path) is None
    assert plain(list(learner.profiles())) == plain([made(2)])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "vedette-test", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_what_was_there_and_gives_its_room_back(small_disk: Path) -> None:
    path = small_disk / "p"
    write_profiles(path, [made(2)], 1)
    old = path.read_bytes()
    with pytest.raises(ProfileFileError, match=r"No space left on device.*has room"):
        write_profiles(path, [made(1500, units=2)], 2)
    assert [p.name for p in small_disk.iterdir()] == ["p"]
    assert path.read_bytes() == old
    write_profiles(path, [made(3)], 3)
    assert len(read_profiles(path, CONFIG)[0].of("write").members) == 3


def test_saving_takes_a_hundredth_of_the_time() -> None:
    pace = Pace()
    assert pace.is_due(0.0)
    pace.took(3.0, 10.0)
    assert not pace.is_due(309.0)
    assert pace.is_due(310.0)


def test_the_hosts_profile_keeps_its_room_over_a_restart(tmp_path: Path) -> None:
    profile = Profile("host", "", CONFIG)
    write_profiles(tmp_path / "p", [profile], 1)
    learner = Learner(LearnConfig(profile=CONFIG, host_members=77))
    assert learner.load(tmp_path / "p") is None
    assert [p.config.max_members for p in learner.profiles()] == [77]
