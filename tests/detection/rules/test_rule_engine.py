"""The engine against the Sigma specification: what each operator means, and that all of it survives JSON."""

import random

import pytest

from detection.errors import RuleError
from detection.rules import RuleSet, dump_rules, load_compiled
from detection.rules.parse import parse_all, parse_rules

_HEAD = """
title: T
id: 6f1b1a5e-0d3c-4b5e-9a53-5a3b5b1b1b1b
name: t
logsource: {product: linux, category: process_creation}
level: high
tags: [attack.execution, attack.t1059.004]
"""


def ruleset(detection: str) -> RuleSet:
    parsed = parse_rules(f"{_HEAD}detection:\n{detection}", "test.yml")
    assert not parsed.problems, parsed.problems
    return load_compiled(dump_rules(parsed.rules))  # through JSON, as the agent gets it


def fires(detection: str, doc: dict[str, object]) -> bool:
    return bool(ruleset(detection).match("process_creation", doc))


def one(line: str) -> str:
    return f"  s:\n    {line}\n  condition: s\n"


CASES = [
    ("F: abc", {"F": "ABC"}, True),
    ("F: abc", {"F": "abcd"}, False),
    ("F|contains: b*d", {"F": "xxBccDxx"}, True),
    ("F: a*c", {"F": "abbc"}, True),
    ("F: a*c", {"F": "abbcx"}, False),
    ("F: a?c", {"F": "abc"}, True),
    (r"F: a\*c", {"F": "a*c"}, True),
    (r"F: a\*c", {"F": "abc"}, False),
    ("F: '*'", {"F": "x"}, True),
    ("F: '*'", {}, False),
    ("F|contains: [x, b]", {"F": "aBc"}, True),
    ("F|contains|all: [a, c]", {"F": "abc"}, True),
    ("F|contains|all: [a, x]", {"F": "abc"}, False),
    ("F|startswith: AB", {"F": "abc"}, True),
    ("F|endswith: [x, BC]", {"F": "abc"}, True),
    ("F|cased: ABC", {"F": "abc"}, False),
    ("F|contains|cased: B", {"F": "aBc"}, True),
    ("F|contains|cased: B", {"F": "abc"}, False),
    ("F|re: 'a.c'", {"F": "xabcx"}, True),
    ("F|re: 'a.c'", {"F": "ABC"}, False),
    ("F|re|i: 'a.c'", {"F": "ABC"}, True),
    (r"F|re: '\d{2}\*'", {"F": "12*"}, True),
    ("F|cidr: 10.0.0.0/8", {"F": "10.9.8.7"}, True),
    ("F|cidr: 10.0.0.0/8", {"F": "11.9.8.7"}, False),
    ("F|cidr: fd00::/8", {"F": "fd00::1"}, True),
    ("F|cidr: 10.0.0.0/8", {"F": "not an address"}, False),
    ("F|exists: true", {"F": ""}, True),
    ("F|exists: true", {}, False),
    ("F|exists: false", {}, True),
    ("F: null", {}, True),
    ("F: null", {"F": ""}, True),
    ("F: null", {"F": "x"}, False),
    ("F: ''", {"F": ""}, True),
    ("F: ''", {"F": "x"}, False),
    ("F|gt: 5", {"F": 6}, True),
    ("F|gte: 6", {"F": "6"}, True),
    ("F|lt: 5", {"F": 5}, False),
    ("F|lte: 5", {"F": 5.0}, True),
    ("F|gt: 5", {"F": "x"}, False),
    ("F: 4444", {"F": 4444}, True),
    ("F: 4444", {"F": "4444"}, True),
    ("F: 1", {"F": 1.0}, True),
    ("F: true", {"F": True}, True),
    ("F: 'true'", {"F": True}, True),
    ("F: true", {"F": False}, False),
    ("F: b", {"F": ["a", "B"]}, True),
    ("F|endswith: /sh", {"F": ("/bin/busybox", "/bin/sh")}, True),
    ("F|contains|all: [a, b]", {"F": ["xa", "xb"]}, True),
    ("F|fieldref: G", {"F": "A", "G": "a"}, True),
    ("F|fieldref: G", {"F": "A", "G": "b"}, False),
    ("F|neq: a", {"F": "b"}, True),
    ("F|neq: a", {"F": "a"}, False),
    ("F|base64: abc", {"F": "YWJj"}, True),
    ("F|base64offset|contains: /bin/sh", {"F": "xL2Jpbi9zaA"}, True),
    ("F|windash|contains: ' -e'", {"F": "x /e"}, True),
    ("F: [abc, 1, null]", {}, True),
    ("F: [abc, 1]", {"F": 1}, True),
]


@pytest.mark.parametrize(("line", "doc", "wanted"), CASES)
def test_an_operator_means_what_sigma_says(line: str, doc: dict[str, object], wanted: bool) -> None:
    assert fires(one(line), doc) is wanted


CONDITIONS = [
    ("a and b", {"A": 1, "B": 1}, True),
    ("a and b", {"A": 1}, False),
    ("a or b", {"B": 1}, True),
    ("a and not b", {"A": 1}, True),
    ("a and not b", {"A": 1, "B": 1}, False),
    ("not (a or b)", {}, True),
    ("1 of them", {"C": 1}, True),
    ("1 of [a]*", {}, None),
    ("all of them", {"A": 1, "B": 1, "C": 1}, True),
    ("all of them", {"A": 1, "B": 1}, False),
    ("a or b and c", {"A": 1}, True),
    ("(a or b) and c", {"A": 1}, False),
]


@pytest.mark.parametrize(("condition", "doc", "wanted"), [c for c in CONDITIONS if c[2] is not None])
def test_a_condition_means_what_sigma_says(condition: str, doc: dict[str, object], wanted: bool) -> None:
    detection = f"  a: {{A: 1}}\n  b: {{B: 1}}\n  c: {{C: 1}}\n  condition: {condition}\n"
    assert fires(detection, doc) is wanted


def test_keywords_search_every_field() -> None:
    detection = "  keywords: [secret word, 'a*z']\n  condition: keywords\n"
    assert fires(detection, {"X": "the SECRET WORD is"})
    assert fires(detection, {"X": 1, "Y": ["q", "xxAbcZxx"]})
    assert not fires(detection, {"X": "secret", "Y": "word"})


def test_a_list_of_maps_is_any_of_them() -> None:
    detection = "  s:\n    - {A: 1, B: 1}\n    - {C: 1}\n  condition: s\n"
    assert fires(detection, {"C": 1})
    assert fires(detection, {"A": 1, "B": 1})
    assert not fires(detection, {"A": 1})


def test_all_matching_rules_report_in_order() -> None:
    texts = [
        (f"{n}.yml", f"{_HEAD.replace('name: t', f'name: {n}')}detection:\n{one(f'F|contains: {n}')}") for n in "abc"
    ]
    parsed = parse_all(texts)
    assert [m.rule.id for m in RuleSet.from_ir(parsed.rules).match("process_creation", {"F": "c a"})] == ["a", "c"]


def test_a_match_names_what_matched() -> None:
    detection = (
        "  tool: {Image|endswith: [/nc, /ncat]}\n  args: {CommandLine|contains: [' -e', ' -c']}\n"
        "  condition: tool and args and not x\n  x: {User: app}\n"
    )
    (match,) = ruleset(detection).match("process_creation", {"Image": "/bin/nc", "CommandLine": "nc h 1 -e sh"})
    assert match.matched == ("tool: Image endswith '/nc'", "args: CommandLine contains ' -e'")


def test_rules_meet_only_events_of_their_kind() -> None:
    rules = ruleset(one("F: a"))
    assert rules.keys == {"process_creation"}
    assert rules.match("file_event", {"F": "a"}) == ()


BROKEN = [
    ("- a list", "mapping"),
    ("title: T\ncorrelation: {type: event_count}", "correlation"),
    (f"{_HEAD}detection:\n  s: {{F|nonsense: 1}}\n  condition: s", "nonsense"),
    (f"{_HEAD}detection:\n  s: {{F: 1}}\n  condition: s and t", "'t'"),
    (f"{_HEAD}detection:\n  s: {{F: 1}}\n  condition: s and", "Expected"),
    (f"{_HEAD}detection:\n  s: {{F|re: '(('}}\n  condition: s", "(("),
    (f"{_HEAD}detection:\n  s: {{F|expand: '%x%'}}\n  condition: s", "placeholders"),
    (f"{_HEAD}detection:\n  s: {{F: 1}}\n  condition: 1 of x*", "x*"),
    ("title: [", "not YAML"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_a_rule_that_cannot_be_used_is_named_with_its_file_and_reason(text: str, reason: str) -> None:
    parsed = parse_rules(text, "dir/broken.yml")
    assert parsed.rules == ()
    (problem,) = parsed.problems
    assert problem.origin == "dir/broken.yml"
    assert reason in problem.reason


def test_one_bad_document_does_not_hide_the_good_ones() -> None:
    good = f"{_HEAD}detection:\n{one('F: a')}"
    parsed = parse_rules(f"{good}\n---\n- x\n---\n{good.replace('name: t', 'name: u')}", "many.yml")
    assert [r.id for r in parsed.rules] == ["t", "u"]
    assert [p.rule for p in parsed.problems] == ["document 2"]


def test_an_id_used_twice_is_a_problem_of_the_later_file() -> None:
    good = f"{_HEAD}detection:\n{one('F: a')}"
    parsed = parse_all([("a.yml", good), ("b.yml", good)])
    assert len(parsed.rules) == 1
    assert [p.origin for p in parsed.problems] == ["b.yml"]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"version":99,"rules":[]}', b'{"version":1,"rules":[{"id":"x"}]}']
)
def test_a_compiled_file_that_is_not_one_says_so(data: bytes) -> None:
    with pytest.raises(RuleError, match="compiled rules"):
        load_compiled(data)


def test_mutated_compiled_files_raise_only_rule_errors() -> None:
    detection = "  a: {F|re: 'a+', G|cidr: 10.0.0.0/8}\n  b: {H|gt: 3}\n  condition: a and not b\n"
    good = dump_rules(ruleset(detection).rules)
    source = random.Random(7)
    refused = 0
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(source.randrange(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            load_compiled(bytes(data)).match("process_creation", {"F": "aa", "G": "10.0.0.1", "H": 1})
        except RuleError:
            refused += 1
    assert refused > 1000


ODD = [
    None,
    True,
    0,
    -1.5,
    float("nan"),
    float("inf"),
    "",
    "\x00\x1b[2J",
    "é" * 9000,
    b"bytes",
    {},
    {"a": 1},
    [[1, [2]], None],
    object(),
]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_no_value_makes_a_test_raise(value: object) -> None:
    lines = [line for line, _, _ in CASES]
    for line in lines:
        ruleset(one(line)).match("process_creation", {"F": value, "G": value})


def test_each_field_is_fetched_at_most_twice_per_event() -> None:
    class Counting(dict[str, str]):
        asked = 0

        def get(self, field: str, default: object = None) -> object:  # type: ignore[override]
            type(self).asked += field == "F"
            return super().get(field)

    texts = [
        (f"{n}.yml", f"{_HEAD.replace('name: t', f'name: r{n}')}detection:\n{one(f'F|re: x{n}')}") for n in range(20)
    ]
    RuleSet.from_ir(parse_all(texts).rules).match("process_creation", Counting(F="y"))
    assert Counting.asked <= 2
