"""Harmless weeks through the whole learner: the budget is kept, nothing is silent, an intruder is not."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.learn.store import write_profiles
from agent.workload import Workload
from bench.weeks import Shop
from detection.baseline.budget import Status, state_of
from detection.finding import Severity

WEEK = 168  # slots of an hour


@pytest.fixture(scope="module")
def six_weeks() -> Shop:
    """Six weeks with 40 novelties each, seeded."""
    shop = Shop(3, 40, week=WEEK, target=0.05)
    shop.run(6 * WEEK)
    return shop


@pytest.fixture
def weeks(six_weeks: Shop) -> Shop:
    """The same, to go on with."""
    return deepcopy(six_weeks)


def test_alarms_of_six_weeks_are_within_the_budget_and_all_else_is_informational(weeks: Shop) -> None:
    """Seeded; how many novelties there are depends on what templates fold (exact counts: test_budget.py)."""
    weekly = weeks.per_week()[:6]
    assert 1 <= sum(weekly) <= 6
    assert max(weekly) <= 2
    assert len(weeks.quiet) >= 10 * len(weeks.alarms)
    assert {alarm.anomaly.state for alarm in weeks.alarms} <= {"stable", "learning"}


def test_every_anomaly_says_what_the_budget_says(weeks: Shop) -> None:
    judged = [a for a in weeks.quiet if a.state == "stable"]
    assert judged
    assert all("the budget of 1 false anomalies a week" in a.reasons[-1].lower() for a in judged)
    assert all("kept as informational" in a.reasons[-1] for a in judged)


def test_an_intruder_after_harmless_weeks_is_high_step_by_step(weeks: Shop) -> None:
    weeks.run(2, novel=False)
    steps = (
        weeks.exec("c1", "/bin/sh", "sh", "-i"),
        weeks.exec("c1", "/usr/bin/curl", "curl", "http://x/y"),
        weeks.write("c1", "/etc/cron.d/job"),
    )
    found = [weeks.see(step) for step in steps]
    assert [a.severity for (a,) in found] == [Severity.HIGH, Severity.HIGH, Severity.HIGH]
    assert "belongs to an alarm" in found[1][0].reasons[-1]
    assert any(r.endswith("/bin/sh is a shell.") for r in found[0][0].reasons)
    assert "None of the 1 other instances has shown it." in found[0][0].reasons


def test_the_record_survives_a_restart_and_a_broken_one_is_counted(weeks: Shop, tmp_path: Path) -> None:
    file = tmp_path / "profiles.json"
    config = LearnConfig(slot_s=weeks.slot_s)
    weeks.learner.save(file)
    again = Learner(config)
    assert again.load(file) is None
    (profile,) = again.profiles()
    assert profile.notes["calibration"]["slots"] >= 6 * WEEK
    profile.notes["calibration"]["alarms"] = ["x"]
    write_profiles(file, [profile], 1)
    broken = Learner(config)
    assert broken.load(file) is None
    assert broken.dropped() == {"learn_broken_records": 1}


def test_a_new_version_keeps_the_habits_of_the_one_before(weeks: Shop) -> None:
    (old,) = weeks.learner._tracked.values()
    known = weeks.exec("c9", "/bin/cgi", "cgi", "1")
    weeks.see(replace(known, workload=Workload(known.workload.key, "sha256:2")))
    new = weeks.learner._tracked[known.workload.key, "sha256:2"]
    assert new.record is not old.record
    assert new.record.to_dict() == old.record.to_dict()


def test_the_budget_of_a_workload_can_be_told() -> None:
    shop = Shop(1, 5, week=WEEK, target=0.05)
    shop.run(3 * WEEK)
    (profile,) = shop.learner.profiles()
    tracked = shop.learner._tracked[profile.workload, profile.version]
    state = state_of(tracked.record, LearnConfig(slot_s=shop.slot_s).budgeted())
    assert state.status is Status.KEPT
    assert state.watched_weeks > 1
