"""`vedette rules`: what it prints, what it writes, when it fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import rules
from cli.rules import command

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
    (tmp_path / "bad.yml").write_text("title: T\ncorrelation: {}\n")
    code, output = _run("check", str(tmp_path))
    assert code == 1
    assert f"problem: {tmp_path / 'bad.yml'}: T: Sigma correlation rules are not supported" in output


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


@pytest.mark.parametrize("module", ["agent.detect", "cli.rules"])
def test_no_sigma_parser_is_loaded_where_rules_only_run(module: str) -> None:
    code = (
        f"import sys, {module}, rules; from detection.rules import load_compiled; load_compiled(rules.runtime_rules())"
    )
    subprocess.run([sys.executable, "-c", f"{code}; assert not {{'sigma', 'yaml'}} & set(sys.modules)"], check=True)
