"""A Sigma condition → the compiled form: detections, modifiers, values."""

from collections.abc import Mapping
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from detection.errors import RuleError
from detection.rules.ir import And, Condition, Named, Not, Op, Or, Scalar, Test

Placeholders = Mapping[str, tuple[str, ...]]

_COMPARE = {
    CompareOperators.LT: Op.LT,
    CompareOperators.LTE: Op.LTE,
    CompareOperators.GT: Op.GT,
    CompareOperators.GTE: Op.GTE,
}
_FIELD_OPS = {
    (False, False): Op.FIELD,
    (True, False): Op.FIELD_STARTSWITH,
    (False, True): Op.FIELD_ENDSWITH,
    (True, True): Op.FIELD_CONTAINS,
}
_FLAGS = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}


def condition_of(detections: SigmaDetections, placeholders: Placeholders) -> Condition:
    """The compiled form of a rule's detections; `placeholders` gives the values of `%name%`.

    Raises: RuleError, SigmaError.
    """
    _expand(detections, placeholders)
    return _condition(detections)


def _expand(detections: SigmaDetections, placeholders: Placeholders) -> None:
    """Put the values of placeholders in, in place."""
    for detection in detections.detections.values():
        _expand_items(detection, placeholders)


def _expand_items(detection: SigmaDetection, placeholders: Placeholders) -> None:
    for item in detection.detection_items:
        if isinstance(item, SigmaDetection):
            _expand_items(item, placeholders)
            continue
        expanded = [new for value in item.value for new in _expanded(item.field or "", value, placeholders)]
        item.value = expanded


def _expanded(field: str, value: Any, placeholders: Placeholders) -> list[Any]:
    if not isinstance(value, SigmaString | SigmaRegularExpression) or not value.contains_placeholder():
        return [value]

    def values(placeholder: Any) -> Any:
        if placeholder.name not in placeholders:
            raise RuleError(
                f"field {field}: placeholder %{placeholder.name}% has no values; give them in placeholders.yml"
            )
        yield from (SigmaString(text) for text in placeholders[placeholder.name])

    return list(value.replace_placeholders(values))


def _condition(detections: SigmaDetections) -> Condition:
    trees = [
        _tree(SigmaCondition(text, detections).parse(postprocess=False), detections) for text in detections.condition
    ]
    return trees[0] if len(trees) == 1 else Or(tuple(trees))


def _tree(node: Any, detections: SigmaDetections) -> Condition:
    match node:
        case ConditionIdentifier():
            return _named(node.identifier, detections)
        case ConditionSelector():
            return _selected(node, detections)
        case ConditionNOT():
            return Not(_tree(node.args[0], detections))
        case ConditionAND():
            return And(tuple(_tree(a, detections) for a in node.args))
        case ConditionOR():
            return Or(tuple(_tree(a, detections) for a in node.args))
        case _:
            raise RuleError(f"condition: {type(node).__name__} is not supported")


def _named(name: str, detections: SigmaDetections) -> Condition:
    if name not in detections.detections:
        raise RuleError(f"condition: no detection is called {name!r}")
    return Named(name, _detection(detections.detections[name]))


def _selected(node: ConditionSelector, detections: SigmaDetections) -> Condition:
    names = [i.identifier for i in node.resolve_referenced_detections(detections)]
    if not names:
        raise RuleError(f"condition: no detection fits {node.pattern!r}")
    parts = tuple(_named(n, detections) for n in names)
    if len(parts) == 1:
        return parts[0]
    return And(parts) if node.cond_class is ConditionAND else Or(parts)


def _detection(detection: SigmaDetection | SigmaDetectionItem) -> Condition:
    if isinstance(detection, SigmaDetectionItem):
        return _item(detection)
    parts = tuple(_detection(d) for d in detection.detection_items)
    if len(parts) == 1:
        return parts[0]
    return And(parts) if detection.item_linking is ConditionAND else Or(parts)


def _item(item: SigmaDetectionItem) -> Condition:
    every = item.value_linking is ConditionAND
    field = item.field or ""
    tests = [_test(field, v) for v in item.value] or [Test(field, Op.NULL)]
    parts = _merged(tests, every)
    whole: Condition = parts[0] if len(parts) == 1 else (And(parts) if every else Or(parts))
    return Not(whole) if item.negated else whole


def _merged(tests: list[Condition], every: bool) -> tuple[Condition, ...]:
    """Tests with the same operator as one: a single call then looks for all their values."""
    groups: dict[tuple[str, Op, bool], list[Scalar]] = {}
    others: list[Condition] = []
    for test in tests:
        if isinstance(test, Test) and test.values and test.op is not Op.EXISTS:
            groups.setdefault((test.field, test.op, test.cased), []).extend(test.values)
        else:
            others.append(test)
    merged = (
        Test(field, op, tuple(values), every=every and len(values) > 1, cased=cased)
        for (field, op, cased), values in groups.items()
    )
    return (*merged, *others)


def _test(field: str, value: Any) -> Condition:  # noqa: PLR0911 - one line per kind of value
    match value:
        case SigmaExpansion():
            parts = _merged([_test(field, v) for v in value.values], every=False)
            return parts[0] if len(parts) == 1 else Or(parts)
        case SigmaNull():
            return Test(field, Op.NULL)
        case SigmaExists():
            return Test(field, Op.EXISTS, (bool(value),))
        case SigmaRegularExpression():
            flags = "".join(sorted(_FLAGS[f.name] for f in value.flags))
            return Test(field, Op.RE, (f"(?{flags})" * bool(flags) + value.regexp.to_plain(regex=True),))
        case SigmaCIDRExpression():
            return Test(field, Op.CIDR, (value.cidr,))
        case SigmaString():
            return _text_test(field, value)
        case _:
            return _other_test(field, value)


def _other_test(field: str, value: Any) -> Condition:
    match value:
        case SigmaCompareExpression(op=CompareOperators.NEQ):
            return Not(Test(field, Op.EQUALS, (value.number.number,)))
        case SigmaCompareExpression():
            return Test(field, _COMPARE[value.op], (value.number.number,))
        case SigmaBool():
            return Test(field, Op.EQUALS, (value.boolean,))
        case SigmaFieldReference():
            return Test(field, _FIELD_OPS[value.starts_with, value.ends_with], (value.field,))
        case SigmaTimestampPart():
            return Test(field, Op(value.timestamp_part.name.lower()), (value.number,))
        case SigmaNumber() if type(value) is SigmaNumber:
            return Test(field, Op.EQUALS if field else Op.CONTAINS, (value.number,))
        case _:
            raise RuleError(f"field {field}: {type(value).__name__} values are not supported")


def _text_test(field: str, value: SigmaString) -> Test:  # noqa: PLR0911 - one line per shape
    """Wildcards at the ends are the common case and need no pattern: contains, startswith, endswith."""
    cased = isinstance(value, SigmaCasedString)
    star = SpecialChars.WILDCARD_MULTI
    parts = list(value.s)
    texts = [p for p in parts if isinstance(p, str)]
    if not field and star not in (parts[:1] or [None]):
        parts = [star, *parts, star]  # a keyword is looked for inside the text
    match [p if p is star else "text" if isinstance(p, str) else "?" for p in parts]:
        case []:
            return Test(field, Op.EQUALS, ("",), cased=cased)
        case ["text"]:
            return Test(field, Op.EQUALS, (texts[0],), cased=cased)
        case [SpecialChars.WILDCARD_MULTI]:
            return Test(field, Op.EXISTS, (True,))
        case [SpecialChars.WILDCARD_MULTI, "text"]:
            return Test(field, Op.ENDSWITH, (texts[0],), cased=cased)
        case ["text", SpecialChars.WILDCARD_MULTI]:
            return Test(field, Op.STARTSWITH, (texts[0],), cased=cased)
        case [SpecialChars.WILDCARD_MULTI, "text", SpecialChars.WILDCARD_MULTI]:
            return Test(field, Op.CONTAINS, (texts[0],), cased=cased)
        case _:
            return Test(field, Op.LIKE, ("".join(_like_part(p) for p in parts),), cased=cased)


def _like_part(part: Any) -> str:
    if part is SpecialChars.WILDCARD_MULTI:
        return "*"
    if part is SpecialChars.WILDCARD_SINGLE:
        return "?"
    return str(part).replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
