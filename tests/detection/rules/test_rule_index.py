"""The index may only leave out rules that cannot match."""

import random

from detection.rules.anchors import Index, anchors_of
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
    assert anchors_of(Or((text, flag))) is None
    assert anchors_of(Not(name)) is None
