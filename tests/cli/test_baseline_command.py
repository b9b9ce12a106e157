"""`vedette baseline` shows what is in a profile file, safely, and says what to do when it cannot."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.learn.habits import note_habits
from agent.learn.store import read_profiles, write_profiles
from cli.baseline import command
from detection.baseline.budget import BudgetConfig
from detection.baseline.conformal import Calibration
from detection.baseline.profile import Profile, ProfileConfig

WEB, API = "k8s/shop/deployment/web/web", "k8s/shop/deployment/api/api"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    profiles = []
    for key in (WEB, API):
        profile = Profile(key, "sha256:1", ProfileConfig())
        known = profile.of("exec")
        known.learn("/bin/httpd → /bin/cgi <n>", "c1", 1)
        known.learn("/bin/httpd → /bin/sh -c \x1b]0;owned\x07[bold]\u202e", "c1", 1)
        known.close_slot({"c1"})
        for _ in range(400):
            known.see(known.members["/bin/httpd → /bin/cgi <n>"], "c1", 1)
            known.close_slot({"c1"})
        profiles.append(profile)
    path = tmp_path / "profiles.json"
    write_profiles(path, profiles, 1)
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, result.output


def test_list_names_every_profile_with_its_states(file: Path) -> None:
    code, text = run("list", "--file", str(file))
    assert code == 0
    assert WEB in text
    assert API in text
    assert "stable" in text
    assert "401" in text


def test_show_prints_members_and_what_would_raise_an_alarm(file: Path) -> None:
    code, text = run("show", "web", "--file", str(file))
    assert code == 0
    assert "  /bin/httpd\n" in text, "a program that does several things is named once"
    assert "401 units" in text
    assert "→ /bin/cgi <n>" in text
    assert "What would raise an alarm now" in text
    assert "high" in text


def test_show_says_how_far_the_budget_is_kept_and_how_sure_the_estimate_is(file: Path) -> None:
    (profile, *_) = read_profiles(file, ProfileConfig())
    record, budget = Calibration(), BudgetConfig()
    for _ in range(300):
        record.advance(("exec",))
    note_habits(profile, record, budget)
    write_profiles(file, [profile], 1)
    _, text = run("show", profile.workload, "--file", str(file))
    assert "Budget of 1 false anomalies a week not yet provable: 0.03 of 1 weeks watched" in text
    assert "100.0 % complete (98.4-100.0 %)" in text
    (told,) = json.loads(run("list", "--file", str(file), "--format", "json")[1])
    assert (told["budget"]["status"], told["budget"]["alarms"]) == ("unproven", 0)


def test_nothing_in_a_profile_reaches_the_terminal_as_a_control(file: Path) -> None:
    _, text = run("show", "web", "--file", str(file))
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert "[bold]" in text, "markup is shown, not obeyed"


def test_json_is_one_document_with_the_same_figures(file: Path) -> None:
    (shown,) = json.loads(run("show", WEB, "--file", str(file), "--format", "json")[1])
    listed = json.loads(run("list", "--file", str(file), "--format", "json")[1])
    assert shown["summary"] in listed
    assert shown["summary"]["classes"]["exec"]["units"] == 401
    assert {e["behaviour"] for e in shown["would_raise"]} == {
        "exec",
        "write",
        "read",
        "egress",
        "listen",
        "credential",
        "call",
    }


def test_an_ambiguous_or_unknown_workload_is_named_with_the_choices(file: Path) -> None:
    for wanted, problem in (("shop", "several profiles match"), ("nope", "no profile matches")):
        code, text = run("show", wanted, "--file", str(file))
        assert code == 1
        assert problem in text
        assert WEB in text


def test_a_missing_or_broken_file_is_explained(tmp_path: Path) -> None:
    code, text = run("list", "--file", str(tmp_path / "none.json"))
    assert (code, text.startswith("No profiles in")) == (0, True)
    (tmp_path / "bad.json").write_bytes(b"{")
    code, text = run("list", "--file", str(tmp_path / "bad.json"))
    assert code == 1
    assert "cannot be read" in text
