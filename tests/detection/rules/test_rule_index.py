"""The index may only leave out rules that cannot match."""

import random

from detection.rules.anchors import Index, Texts, anchors_of
from detection.rules.compile import compile_condition
from detection.rules.ir import And, Condition, Named, Not, Op, Or
from detection.rules.ir import Test as FieldTest
from detection.rules.view import Lowered

_WORDS = ["/sh", "/nc", "a", "bc", "/bin/sh", "A/b", "|", ""]
_OPS = [Op.EQUALS, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH, Op.EXISTS, Op.NULL]


def _condition(source: random.Random, depth: int) -> Condition:
    if depth == 0 or source.random() < 0.3:
        op = source.choice(_OPS)
        values = (
            ()
            if op is Op.NULL
            else (True,)
            if op is Op.EXISTS
            else tuple(source.sample(_WORDS, source.randrange(1, 3)))
        )
        return FieldTest(source.choice("FG"), op, values, every=source.random() < 0.3, cased=source.random() < 0.2)
    parts = tuple(_condition(source, depth - 1) for _ in range(source.randrange(1, 4)))
    return source.choice([lambda: And(parts), lambda: Or(parts), lambda: Not(parts[0]), lambda: Named("n", parts[0])])()


def _value(source: random.Random) -> object:
    text = "".join(source.choices(["/", "sh", "nc", "A", "bc", "bin", "|", "x"], k=source.randrange(4)))
    return source.choice([None, text, (text, "/BIN/sh"), [text]])


def test_a_rule_that_holds_is_always_a_candidate() -> None:
    source = random.Random(11)
    conditions = [_condition(source, 3) for _ in range(400)]
    index = Index([(c, i) for i, c in enumerate(conditions)])
    predicates = [compile_condition(c) for c in conditions]
    held = 0
    for _ in range(200):
        low = Lowered({"F": _value(source), "G": _value(source)})
        holding = [i for i, p in enumerate(predicates) if p(low)]
        candidates = list(index.candidates(low))
        assert candidates == sorted(candidates)
        assert set(holding) <= set(candidates)
        held += len(holding)
    assert held > 5000


def test_an_and_is_anchored_by_its_cheapest_part_and_an_or_by_all_of_them() -> None:
    name = FieldTest("Image", Op.ENDSWITH, ("/nc", "/Ncat"))
    text = FieldTest("CommandLine", Op.CONTAINS, ("-e",))
    flag = FieldTest("process.tty", Op.EQUALS, (True,))
    assert {a.text for a in anchors_of(And((flag, text, name))) or ()} == {"nc", "ncat"}
    assert {a.text for a in anchors_of(Or((text, name))) or ()} == {"-e", "nc", "ncat"}
    assert {a.text for a in anchors_of(Or((text, flag))) or ()} == {"-e", "true"}
    assert anchors_of(Or((text, FieldTest("n", Op.GT, (3,))))) is None
    assert anchors_of(Not(name)) is None


def test_texts_are_found_by_their_grams_exactly_as_by_searching_for_each() -> None:
    """Whatever their number and length, and whether the value is short (grams) or long (searched)."""
    source = random.Random(5)

    def text(most: int) -> str:
        return "".join(source.choices("ab/-\0é", k=source.randrange(1, most)))

    found = 0
    for round_number in range(60):
        table = {text(9): frozenset({number}) for number in range(source.choice((1, 5, 300)))}
        texts = Texts(table)
        for _ in range(60):
            value = text(source.choice((3, 30, 2000 if round_number % 10 == 0 else 60)))
            wanted = {number for part, ids in table.items() if part in value for number in ids}
            got = {number for ids in texts.found_in(value) for number in ids}
            assert got == wanted
            found += len(got)
    assert found > 5000


def test_of_several_anchors_the_one_fewest_rules_ask_for_is_taken() -> None:
    """A hundred rules on tcp with a port each: an event with one of the ports meets one of them."""
    tcp = FieldTest("Protocol", Op.EQUALS, ("tcp",))
    rules = [(And((tcp, FieldTest("DestinationPort", Op.EQUALS, (port,)))), port) for port in range(100)]
    assert list(Index(rules).candidates(Lowered({"Protocol": "tcp", "DestinationPort": 7}))) == [7]
