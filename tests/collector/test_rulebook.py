"""The collector's rules: a team's beside the shipped ones; what is wrong with them is counted and holds up nothing."""

import asyncio
import logging
from pathlib import Path

import pytest

import rules
from collector.metrics import Metrics
from collector.rulebook import Offer, Rulebook
from detection.finding import Severity
from detection.rules import RuleSet, load_compiled
from rules.own import build

RULE = """title: {0}
name: {0}
logsource: {{product: linux, category: process_creation}}
detection: {{s: {{Image: {0}}}, condition: s}}
"""
AUDIT = RULE.replace("product: linux, category: process_creation", "product: kubernetes, service: audit")
SHIPPED = sum(len(load_compiled(rules.compiled(kind)).rules) for kind in rules.KINDS)


def test_without_a_directory_agents_run_what_they_came_with() -> None:
    book = Rulebook()
    assert book.offer == Offer()
    assert {rule.id for rule in book.audit.rules} == {r.id for r in load_compiled(rules.compiled("audit")).rules}


def test_runtime_rules_go_to_agents_and_audit_rules_stay(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(RULE.format("team-runtime"))
    (tmp_path / "two.yml").write_text(AUDIT.format("team-audit"))
    book = Rulebook(tmp_path)
    sent = {rule.id for rule in load_compiled(book.offer.body).rules}
    assert "team-runtime" in sent
    assert "container-entered" in sent
    assert "team-audit" not in sent
    assert "team-audit" in {rule.id for rule in book.audit.rules}


def test_bad_rules_are_named_with_file_and_line_and_the_good_ones_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "good.yml").write_text(RULE.format("team-good"))
    (tmp_path / "taken.yml").write_text(RULE.format("container-entered"))
    (tmp_path / "pattern.yml").write_text(RULE.format("team-bad").replace("{Image: team-bad}", "{Image|re: '('}"))
    (tmp_path / "broken.yml").write_text("title: [\n")
    (tmp_path / "placeholders.yml").write_text("a: b\n")
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere.yml")
    metrics = Metrics()
    with caplog.at_level(logging.WARNING):
        book = Rulebook(tmp_path)
    book.show_in(metrics)
    assert "team-good" in {rule.id for rule in load_compiled(book.offer.body).rules}
    assert metrics.value("vedette_collector_rule_problems") == 4
    said = caplog.text
    assert f"{tmp_path}/pattern.yml:4: team-bad: " in said
    assert f"{tmp_path}/broken.yml:" in said
    assert "the same id as a rule of runtime/container-entered.yml" in said
    assert "write one `name: [value, …]` a line" in said


def test_overrides_change_shipped_rules_and_correlations(tmp_path: Path) -> None:
    correlation = load_compiled(rules.compiled("audit")).correlations[0]
    (tmp_path / "o.yml").write_text(
        f"title: A\noverride: {{rules: [container-entered], enabled: false}}\n---\n"
        f"title: B\noverride: {{rules: [{correlation.id}], level: low}}\n"
    )
    book = Rulebook(tmp_path)
    assert "container-entered" not in {rule.id for rule in load_compiled(book.offer.body).rules}
    assert {c.id: c.level for c in book.audit.correlations}[correlation.id] is Severity.LOW


def test_a_reload_tells_listeners_and_waiting_agents_and_one_that_fails_changes_nothing(tmp_path: Path) -> None:
    team, metrics = tmp_path / "team", Metrics()
    team.mkdir()
    used: list[RuleSet] = []

    async def scenario() -> None:
        book = Rulebook(team)
        book.show_in(metrics)
        book.listen(used.append)
        before = book.offer
        waiting = asyncio.create_task(book.other_than(before.digest))
        (team / "new.yml").write_text(AUDIT.format("team-audit") + "---\n" + RULE.format("team-runtime"))
        await book.reload()
        assert (await waiting) == book.offer != before
        (team / "new.yml").unlink()
        team.rmdir()
        now = book.offer
        await book.reload()
        assert book.offer is now

    asyncio.run(scenario())
    assert ["team-audit" in {rule.id for rule in one.rules} for one in used] == [True]
    assert metrics.value("vedette_collector_rule_reloads_total", result="loaded") == 1
    assert metrics.value("vedette_collector_rule_reloads_total", result="failed") == 1


def test_a_mounted_config_map_holds_each_rule_once(tmp_path: Path) -> None:
    """Kubernetes mounts `x.yml -> ..data/x.yml`, `..data -> ..2026_11_22`."""
    (tmp_path / "..2026_11_22").mkdir()
    (tmp_path / "..2026_11_22" / "x.yml").write_text(RULE.format("team-x"))
    (tmp_path / "..data").symlink_to("..2026_11_22")
    (tmp_path / "x.yml").symlink_to("..data/x.yml")
    built = build([tmp_path])
    assert built.problems == ()
    assert sum(rule.id == "team-x" for rule in built.kinds["runtime"].rules) == 1
    assert sum(len(one.rules) for one in built.kinds.values()) == SHIPPED + 1


def test_what_is_built_of_nothing_is_what_is_shipped() -> None:
    built = build([])
    for kind in rules.KINDS:
        shipped = load_compiled(rules.compiled(kind))
        assert {r.id for r in built.kinds[kind].rules} == {r.id for r in shipped.rules}
        assert {c.id for c in built.kinds[kind].correlations} == {c.id for c in shipped.correlations}
