"""Sigma correlations over event time: what begins a story, what prolongs it, and what stays bounded."""

import itertools

import pytest

from detection.rules import RuleSet, dump_rules, load_compiled
from detection.rules.parse import parse_all
from detection.rules.windows import Windows

S = 1_000_000_000
RULE = """
title: Rule {name}
name: {name}
status: test
logsource: {{product: aws, service: cloudtrail}}
detection: {{selection: {{eventName: {name}}}, condition: selection}}
level: low
"""
HEAD = """
title: Story
name: story
status: test
level: high
tags: [attack.credential-access, attack.t1110]
correlation:
  rules: [a, b]
  timespan: 1m
  group-by: [user]
"""


def windows(body, names="ab", **bounds):
    text = "---".join([*(RULE.format(name=name) for name in names), HEAD + body])
    parsed = parse_all([("x.yml", text)])
    assert parsed.problems == ()
    ruleset = load_compiled(dump_rules(parsed.rules, parsed.correlations))  # through JSON, as the agent gets it
    return Windows(ruleset.correlations, **bounds)


def play(state, *events):
    """Stories of events given as (rule, second, user[, more fields]); each is its own event."""
    told = []
    for number, (rule, second, user, *more) in enumerate(events):
        told += state.observe(rule, {"user": user, **(more[0] if more else {})}, second * S, f"e{number}")
    return told


def test_enough_events_of_one_group_within_the_timespan_are_a_story():
    state = windows("  type: event_count\n  condition: {gte: 3}\n")
    assert play(state, ("a", 0, "u"), ("a", 10, "v"), ("a", 70, "u"), ("b", 80, "u")) == []
    (story,) = state.observe("a", {"user": "u"}, 90 * S, "last")
    assert (story.count, story.first_ns, story.last_ns, dict(story.group)) == (3, 70 * S, 90 * S, {"user": "u"})
    assert story.events == ("e2", "e3", "last")
    assert story.correlation.level.label == "high"


def test_a_story_goes_on_under_its_id_and_is_told_again_when_its_count_has_doubled():
    state = windows("  type: event_count\n  condition: {gte: 2}\n")
    told = play(state, *(("a", second, "u") for second in range(20)))
    assert [story.count for story in told] == [2, 4, 8, 16]
    assert len({story.id for story in told}) == 1


def test_the_same_event_twice_counts_once():
    state = windows("  type: event_count\n  condition: {gte: 2}\n")
    assert [state.observe("a", {"user": "u"}, S, "same") for _ in range(3)] == [[], [], []]


def test_different_values_are_counted_not_events():
    state = windows("  type: value_count\n  condition: {field: ip, gte: 3}\n")
    ips = [{"ip": f"10.0.0.{n}"} for n in (1, 1, 2, 2, 1, 3)]
    told = play(state, *(("a", n, "u", ip) for n, ip in enumerate(ips)))
    assert len(told) == 1
    assert told[0].last_ns == 5 * S


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_late_events_complete_a_window_whatever_the_order_of_arrival(order):
    state = windows("  type: event_count\n  condition: {gte: 3}\n")
    times = (10, 20, 65)
    told = [s for n in order for s in state.observe("a", {"user": "u"}, times[n] * S, f"e{n}")]
    assert [(s.first_ns, s.count) for s in told] == [(10 * S, 3)]


def test_temporal_wants_every_rule_in_any_order_and_ordered_in_its_order():
    either = windows("  type: temporal\n")
    assert len(play(either, ("b", 0, "u"), ("a", 30, "u"))) == 1
    ordered = windows("  type: temporal_ordered\n")
    assert play(ordered, ("b", 0, "u"), ("a", 30, "u")) == []
    assert len(ordered.observe("b", {"user": "u"}, 40 * S, "then")) == 1


def test_an_expression_over_rules_is_evaluated():
    body = "  type: temporal\n  condition: a and b and not c\n".replace("rules", "rules")
    text = "---".join(
        [*(RULE.format(name=n) for n in "abc"), (HEAD + body).replace("rules: [a, b]", "rules: [a, b, c]")]
    )
    parsed = parse_all([("x.yml", text)])
    assert parsed.problems == ()
    assert len(play(Windows(parsed.correlations), ("a", 0, "u"), ("b", 1, "u"))) == 1
    assert play(Windows(parsed.correlations), ("c", 0, "u"), ("a", 1, "u"), ("b", 2, "u")) == []


def test_an_alias_reads_each_rules_own_field():
    state = windows("  type: temporal\n  aliases: {user: {a: actor, b: target}}\n")
    assert state.observe("a", {"actor": "eve"}, 0, "1") == []
    (story,) = state.observe("b", {"target": "eve"}, S, "2")
    assert dict(story.group) == {"user": "eve"}


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("  type: value_sum\n  condition: {field: n, gt: 9}\n", True),
        ("  type: value_sum\n  condition: {field: n, gt: 10}\n", False),
        ("  type: value_avg\n  condition: {field: n, gte: 3}\n", True),
        ("  type: value_median\n  condition: {field: n, gte: 3}\n", True),
        ("  type: value_percentile\n  condition: {field: n, gte: 7, percentile: 99}\n", False),
    ],
)
def test_numbers_are_summed_and_averaged(body, fires):
    state = windows(body)
    told = play(state, ("a", 0, "u", {"n": 1}), ("a", 1, "u", {"n": "3"}), ("a", 2, "u", {"n": 6}))
    assert bool(told) is fires


def test_a_correlation_can_be_a_part_of_another():
    chain = HEAD + "  type: event_count\n  condition: {gte: 2}\n"
    outer = (
        HEAD.replace("name: story", "name: outer").replace("rules: [a, b]", "rules: [story]")
        + "  type: event_count\n  condition: {gte: 1}\n"
    )
    text = "---".join([RULE.format(name="a"), RULE.format(name="b"), chain, outer])
    parsed = parse_all([("x.yml", text)])
    assert parsed.problems == ()
    told = play(Windows(parsed.correlations), ("a", 0, "u"), ("a", 1, "u"))
    assert [story.correlation.id for story in told] == ["story", "outer"]


def test_state_is_bounded_and_what_was_dropped_is_counted():
    state = windows("  type: event_count\n  condition: {gte: 100}\n", max_groups=10, max_events=20)
    play(state, *(("a", 0, f"u{n}") for n in range(50)))
    assert state.counters() == {"groups": 10, "groups_evicted": 40}
    play(state, *(("a", n / 10, "u") for n in range(50)))
    assert state.counters()["events_evicted"] == 30


def test_an_event_without_the_field_to_group_by_belongs_to_no_group():
    state = windows("  type: event_count\n  condition: {gte: 1}\n")
    assert state.observe("a", {}, 0, "x") == []
    assert state.counters() == {"groups": 0, "ungrouped": 1}


def test_rules_of_a_silent_correlation_are_parts_of_it():
    body = HEAD + "  type: temporal\n"
    text = "---".join([RULE.format(name="a"), RULE.format(name="b"), body])
    for generate, parts in (("", {"a", "b"}), ("  generate: true\n", set())):
        parsed = parse_all([("x.yml", text + generate)])
        assert RuleSet.from_ir(parsed.rules, parsed.correlations).parts == parts


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("  type: event_count\n  condition: {lt: 3}\n", "a stream has no end"),
        ("  type: event_count\n  condition: {gte: 100000}\n", "at most 4000"),
        ("  type: value_count\n  condition: {gte: 3}\n", "without field reference"),
        ("  type: temporal\n  condition: a and b and nobody\n", "nobody"),
        ("  type: sideways\n", "no valid Sigma correlation type"),
    ],
)
def test_what_cannot_be_evaluated_is_said_with_the_reason(body, reason):
    text = "---".join([RULE.format(name="a"), RULE.format(name="b"), HEAD + body])
    (problem,) = parse_all([("x.yml", text)]).problems
    assert reason in problem.reason
    assert problem.line > 14
