"""Exceptions, overrides and placeholders: a team's own files beside the shipped rules."""

import pytest

from detection.finding import Severity
from detection.rules import RuleSet, dump_rules, load_compiled
from detection.rules.parse import parse_all

RULE = """
title: Package manager
id: 5013bbd0-5e3c-4a6f-9b1e-3c6f2b1d6a01
name: package-manager
status: test
logsource: {product: linux, category: process_creation}
detection:
  selection: {Image|endswith: [/apt, /apk]}
  condition: selection
level: medium
"""
FILTER = """
title: The build image installs packages
logsource: {product: linux, category: process_creation}
filter:
  rules: RULES
  builder: {container.image|startswith: registry.example/builder}
  condition: not builder
"""


def ruleset(*texts, placeholders=None):
    parsed = parse_all([(f"{n}.yml", text) for n, text in enumerate(texts)], placeholders)
    assert parsed.problems == ()
    return load_compiled(dump_rules(parsed.rules, parsed.correlations, parsed.exemptions))


def problems(*texts):
    return parse_all([(f"{n}.yml", text) for n, text in enumerate(texts)]).problems


@pytest.mark.parametrize("named", ["[package-manager]", "[5013bbd0-5e3c-4a6f-9b1e-3c6f2b1d6a01]", "any"])
def test_a_filter_marks_what_it_excepts_and_hides_nothing(named):
    rules = ruleset(RULE, FILTER.replace("RULES", named))
    (here,) = rules.match(
        "process_creation", {"Image": "/usr/bin/apt", "container.image": "registry.example/builder:1"}
    )
    (there,) = rules.match("process_creation", {"Image": "/usr/bin/apt", "container.image": "nginx"})
    assert (here.excepted, there.excepted) == ("The build image installs packages", "")


def test_a_filter_for_other_events_or_rules_does_nothing():
    other = FILTER.replace("RULES", "any").replace("process_creation", "file_event")
    (match,) = ruleset(RULE, other).match(
        "process_creation", {"Image": "/bin/apk", "container.image": "registry.example/builder"}
    )
    assert match.excepted == ""


def test_an_override_changes_the_level_or_switches_a_rule_off():
    lower = "title: Ours\noverride: {rules: [package-manager], level: low}\n"
    off = "title: Off\noverride: {rules: [package-manager], enabled: false}\n"
    assert ruleset(RULE, lower).rules[0].level is Severity.LOW
    assert ruleset(RULE, off).rules == ()


def test_what_is_meant_for_no_rule_is_a_problem():
    found = problems(RULE, FILTER.replace("RULES", "[nobody]"), "title: O\noverride: {rules: [no-one], level: low}\n")
    assert sorted(p.reason for p in found) == ["filter: no rule is called nobody", "override: no rule is called no-one"]


@pytest.mark.parametrize(
    "body", ["{}", "7", "{rules: x}", "{rules: [a], level: loud}", "{rules: [a], enabled: maybe}", "{rules: [a], x: 1}"]
)
def test_a_broken_override_says_what_it_wants(body):
    (problem,) = problems(f"title: O\noverride: {body}\n")
    assert problem.reason.startswith("override: ")


def test_placeholders_take_their_values_and_missing_ones_are_named_with_their_line():
    text = RULE.replace("Image|endswith: [/apt, /apk]", 'User|expand: "%admins%"')
    rules = ruleset(text, placeholders={"admins": ("root", "ops*")})
    assert [bool(rules.match("process_creation", {"User": u})) for u in ("root", "ops-1", "eve")] == [True, True, False]
    (problem,) = problems(text)
    assert (problem.line, "placeholder %admins% has no values" in problem.reason) == (8, True)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("condition: selection", "condition: selection and nothing", 9),
        ("selection: {Image|endswith: [/apt, /apk]}", "selection:\n    CommandLine: x\n    Image|re: '('", 10),
        ("level: medium", "level: loud", 10),
        ("logsource: {product: linux, category: process_creation}", "logsource: 7", 6),
    ],
)
def test_errors_name_file_and_line(before, after, line):
    (problem,) = problems(RULE.replace(before, after))
    assert str(problem).startswith(f"0.yml:{line}: package-manager: ")


def test_references_to_fields_may_begin_end_or_contain():
    def fires(modifier, one, two):
        text = RULE.replace("Image|endswith: [/apt, /apk]", f"Image|fieldref{modifier}: CurrentDirectory")
        return bool(ruleset(text).match("process_creation", {"Image": one, "CurrentDirectory": two}))

    assert fires("", "/a", "/A")
    assert fires("|startswith", "/tmp/x", "/tmp")
    assert fires("|endswith", "/tmp/x", "x")
    assert not fires("|startswith", "/tmp/x", "")


def test_parts_of_a_time_are_compared():
    text = RULE.replace("Image|endswith: [/apt, /apk]", "eventTime|hour: [2, 3]")
    rules = ruleset(text)
    times = ("2026-11-21T02:59:59Z", "2026-11-21T03:00:00.5+02:00", "2026-11-21T04:00:00Z", "soon")
    assert [bool(rules.match("process_creation", {"eventTime": t})) for t in times] == [True, True, False, False]


def test_exceptions_without_rules_leave_matching_as_it_was():
    parsed = parse_all([("a.yml", RULE)])
    assert RuleSet.from_ir(parsed.rules).match("process_creation", {"Image": "/apt"})[0].excepted == ""
