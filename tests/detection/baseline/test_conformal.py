"""The record of novelties: ranks, rates, its window, its bounds, its file form."""

import json
import random
from typing import Any

import pytest

from detection.baseline.conformal import KEPT, Calibration, CalibrationError


def watched(slots: int, *keys: str, window: int = 800) -> Calibration:
    calibration = Calibration(window)
    for _ in range(slots):
        calibration.advance(keys or ("exec",))
    return calibration


def show(calibration: Calibration, strangeness: float, key: str = "exec", member: str = "m", after: int = 1) -> None:
    calibration.note(key, strangeness, member)
    for _ in range(after):
        calibration.advance(calibration.classes())


def test_the_p_value_is_a_rank_and_never_below_one_over_n_plus_one() -> None:
    calibration = watched(10)
    for strangeness in (1.0, 2.0, 3.0):
        show(calibration, strangeness)
    assert calibration.standing("exec", 9.0).p_value == 1 / 4
    assert calibration.standing("exec", 2.5).p_value == 2 / 4
    assert calibration.standing("exec", 2.0).p_value == 3 / 4, "a tie counts against it"
    assert calibration.standing("exec", 0.0).p_value == 1.0
    assert Calibration().standing("exec", 9.0).p_value == 1.0


def test_p_values_of_exchangeable_novelties_are_no_smaller_than_they_say() -> None:
    chance, below = random.Random(4), {0.1: 0, 0.2: 0, 0.5: 0}
    for _ in range(400):
        calibration = watched(1)
        for _ in range(30):
            show(calibration, chance.expovariate(1.0))
        p = calibration.standing("exec", chance.expovariate(1.0)).p_value
        for level in below:
            below[level] += p <= level
    assert {level: n / 400 for level, n in below.items()} == pytest.approx({0.1: 0.1, 0.2: 0.2, 0.5: 0.5}, abs=0.06)


def test_a_slot_counts_once_with_its_strangest_novelty() -> None:
    calibration = watched(10)
    for strangeness in (1.0, 3.0, 2.0):
        calibration.note("exec", strangeness, f"m{strangeness}")
    calibration.advance(("exec",))
    standing = calibration.standing("exec", 2.5)
    assert (standing.novel, standing.at_least, standing.watched) == (1, 1, 11)


def test_the_open_slot_is_not_held_against_its_own_strangest() -> None:
    calibration = watched(10)
    calibration.note("exec", 1.0, "first of the slot")
    assert calibration.standing("exec", 1.0).at_least == 0


def test_the_rate_is_of_those_at_least_as_strange_this_one_included() -> None:
    calibration = watched(97)
    for strangeness in (1.0, 2.0, 3.0):
        show(calibration, strangeness)
    assert calibration.standing("exec", 2.0).per_slot == pytest.approx(3 / 100)
    assert calibration.standing("read", 2.0).per_slot == float("inf"), "a class nobody watched promises nothing"


def test_the_strangest_of_a_class_ranks_before_the_second_of_any() -> None:
    calibration = watched(500, "exec", "write", "egress")
    for n in range(30):
        show(calibration, 2.0 - n / 100, "write", after=2)
    show(calibration, 0.5, "egress")
    standings = [calibration.standing(*new) for new in (("exec", 1.0), ("exec", 3.0), ("write", 1.95), ("egress", 0.4))]
    assert [(s.own_at_least, s.at_least) for s in standings] == [(0, 1), (0, 0), (6, 6 + 1), (1, 1 + 2)]


def test_the_window_moves_on_and_takes_counts_and_entries_with_it() -> None:
    calibration = watched(1, window=80)
    show(calibration, 5.0)
    calibration_before = calibration.standing("exec", 1.0)
    for _ in range(100):
        calibration.advance(("exec",))
    after = calibration.standing("exec", 1.0)
    assert (calibration_before.at_least, after.at_least, after.novel) == (1, 0, 0)
    assert 70 <= after.watched <= 80


def test_slots_in_which_a_class_was_not_trusted_are_no_history() -> None:
    calibration = watched(10)
    calibration.advance(())
    assert calibration.standing("exec", 1.0).watched == 10


def test_only_the_strangest_are_kept_and_the_record_says_what_it_cannot_tell() -> None:
    calibration = watched(1, window=8000)
    for n in range(KEPT + 10):
        show(calibration, n / 10)
    assert not calibration.standing("exec", 0.5).exact
    assert calibration.standing("exec", 0.5).per_slot == float("inf")
    standing = calibration.standing("exec", 3.8)
    assert (standing.exact, standing.at_least, standing.novel) == (True, 4, KEPT + 10)


def test_what_was_condemned_is_no_harmless_novelty() -> None:
    calibration = watched(10)
    show(calibration, 3.0, member="/bin/httpd → /bin/sh")
    show(calibration, 2.0, member="/bin/httpd → /bin/ls")
    calibration.note("exec", 4.0, "/bin/httpd → /bin/nc")
    for member in ("/bin/httpd → /bin/sh", "/bin/httpd → /bin/nc", "never seen"):
        calibration.forget("exec", member)
    calibration.forget("read", "no such class")
    calibration.advance(("exec",))
    standing = calibration.standing("exec", 1.0)
    assert (standing.at_least, standing.novel) == (1, 1)


def test_it_survives_being_written_and_read() -> None:
    calibration = watched(100, "exec", "write/startup")
    for n in range(80):
        show(calibration, n % 7, "exec" if n % 3 else "write/startup", f"m{n}")
    calibration.note_alarm()
    text = json.dumps(calibration.to_dict())
    again = Calibration.from_dict(json.loads(text), 800)
    assert again.to_dict() == calibration.to_dict()
    assert again.standing("exec", 3.0) == calibration.standing("exec", 3.0)


def test_the_largest_record_stays_small() -> None:
    calibration = Calibration(80_000)
    keys = [f"credential/shutdown{n}" for n in range(40)]
    for n in range(80):
        for key in keys:
            calibration.note(key, n + 0.123, f"m{n}")
        calibration.advance(keys)
    assert len(calibration.classes()) == 27, "more classes than there are get no record"
    assert len(json.dumps(calibration.to_dict(), separators=(",", ":"))) <= 32 << 10


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("slots"),
        lambda d: d.update(more=1),
        lambda d: d.update(slots=-1),
        lambda d: d.update(slots=True),
        lambda d: d.update(alarms=["x"]),
        lambda d: d.update(alarms=[1] * 1000),
        lambda d: d.update(classes=[]),
        lambda d: d["classes"].update({"x" * 100: d["classes"]["exec"]}),
        lambda d: d["classes"]["exec"].pop("clock"),
        lambda d: d["classes"]["exec"].update(kept=[[1.0, 2]]),
        lambda d: d["classes"]["exec"].update(kept=[[float("nan"), 1, 1]]),
        lambda d: d["classes"]["exec"].update(kept=[[1.0, 1 << 40, 1]]),
        lambda d: d["classes"]["exec"].update(kept=[[1.0, 1, 1]] * 1000),
        lambda d: d["classes"]["exec"].update(counts=[[0, "1"]]),
        lambda d: d["classes"]["exec"].update(floor=[1.0]),
    ],
)
def test_a_broken_record_is_refused(change: Any) -> None:
    calibration = watched(10)
    show(calibration, 1.0)
    data = calibration.to_dict()
    change(data)
    with pytest.raises(CalibrationError, match="record of novelties"):
        Calibration.from_dict(data)
