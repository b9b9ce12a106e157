"""Every shipped rule keeps the promises of a shipped rule."""

import re
from collections import Counter
from pathlib import PurePosixPath

import pytest
import yaml

import rules
from agent.detect.document import fields_of_category
from detection.rules import Rule, RuleSet, dump_rules
from detection.rules.correlation import Correlation
from detection.rules.ir import fields_of
from detection.rules.parse import parse_all, parse_rules
from detection.rules.samples import sample_problems
from detection.rules.taxonomy import AUDIT_KEYS

SOURCES = [(kind, origin, text) for kind in rules.KINDS for origin, text in rules.sources(kind)]
IDS = [origin for _, origin, _ in SOURCES]
TACTICS = {
    "reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
    "defense-evasion", "credential-access", "discovery", "lateral-movement", "collection", "command-and-control",
    "exfiltration", "impact",
}  # fmt: skip


def _only(origin: str, text: str) -> Rule | Correlation:
    parsed = parse_rules(text, origin)
    assert parsed.problems == ()
    (rule,) = (*parsed.rules, *parsed.correlations)
    return rule


@pytest.mark.parametrize(("kind", "origin", "text"), SOURCES, ids=IDS)
def test_a_rule_says_what_it_is_why_it_matters_and_what_to_do(kind: str, origin: str, text: str) -> None:
    rule, path = _only(origin, text), PurePosixPath(origin)
    assert rule.id == ("k8s-" if path.parent.name == "kubernetes" else "") + path.stem
    assert kind == "runtime" or rule.id.startswith({"kubernetes": "k8s"}.get(path.parent.name, path.parent.name) + "-")
    assert len(rule.title) <= 80
    assert len(rule.reason) >= 60
    assert len(rule.advice) >= 15
    assert rule.falsepositives
    assert rule.techniques
    for technique in rule.techniques:
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", technique.id)
        assert technique.tactic in TACTICS


@pytest.mark.parametrize(("kind", "origin", "text"), SOURCES, ids=IDS)
def test_a_rule_fires_on_its_attacks_and_not_on_their_look_alikes(kind: str, origin: str, text: str) -> None:
    rule = _only(origin, text)
    assert sample_problems(yaml.safe_load(text), rule) == []


@pytest.mark.parametrize(("kind", "origin", "text"), SOURCES, ids=IDS)
def test_a_rule_reads_only_fields_its_events_carry(kind: str, origin: str, text: str) -> None:
    rule = _only(origin, text)
    if isinstance(rule, Correlation):
        return
    if kind == "runtime":
        assert fields_of(rule.condition) <= fields_of_category(rule.key)
    else:
        assert rule.key in AUDIT_KEYS


def test_the_sample_check_finds_missing_and_wrong_samples() -> None:
    _, origin, text = SOURCES[0]
    (rule,) = parse_rules(text, origin).rules
    document = yaml.safe_load(text)
    samples = document["vedette"]["samples"]
    swapped = {"vedette": {"samples": {"attack": samples["benign"], "benign": samples["attack"]}}}
    assert len(sample_problems(swapped, rule)) == len(samples["attack"]) + len(samples["benign"])
    assert len(sample_problems({"vedette": {"samples": {"attack": [], "benign": []}}}, rule)) == 2
    assert len(sample_problems({}, rule)) == 1


@pytest.mark.parametrize("kind", rules.KINDS)
def test_the_compiled_file_is_what_the_sources_compile_to(kind: str) -> None:
    parsed = parse_all(rules.sources(kind))
    assert parsed.problems == ()
    assert dump_rules(parsed.rules, parsed.correlations, parsed.exemptions) == rules.compiled(kind), (
        "run `vedette rules compile`"
    )
    assert RuleSet.from_ir(parsed.rules).problems == ()


def test_there_are_enough_rules() -> None:
    counts = Counter("/".join(PurePosixPath(origin).parts[:-1]) for _, origin, _ in SOURCES)
    wanted = {
        "runtime": 72,
        "audit/kubernetes": 35,
        "audit/aws": 45,
        "audit/gcp": 25,
        "audit/azure": 25,
        "audit/waf": 8,
    }
    assert {folder: counts[folder] for folder in wanted if counts[folder] < wanted[folder]} == {}
