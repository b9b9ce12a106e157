"""Sigma YAML → the compiled form. The only module that imports `sigma`: the agent never loads it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml
from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaRule
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
    SpecialChars,
)

from detection.errors import RuleError
from detection.finding import Severity, Technique
from detection.rules.compile import compile_condition
from detection.rules.ir import And, Condition, Named, Not, Op, Or, Problem, Rule, Scalar, Test, event_key

_COMPARE = {
    CompareOperators.LT: Op.LT,
    CompareOperators.LTE: Op.LTE,
    CompareOperators.GT: Op.GT,
    CompareOperators.GTE: Op.GTE,
}
_FLAGS = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}
_UNSUPPORTED = ("correlation", "filter", "action")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text held: rules that can be used, and what could not and why."""

    rules: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse_rules(text: str, origin: str) -> Parsed:
    """Every rule of a YAML text (one or more documents); `origin` names it in messages. Never raises on bad rules."""
    rules: list[Rule] = []
    problems: list[Problem] = []
    try:
        documents = [d for d in yaml.safe_load_all(text) if d is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Parsed((), (Problem(origin, "file", f"not YAML: {' '.join(str(error).split())}"),))
    for number, document in enumerate(documents, 1):
        try:
            rules.append(parse_rule(document, origin))
        except (RuleError, SigmaError, RecursionError) as error:
            problems.append(Problem(origin, _label(document, number), " ".join(str(error).split())))
    return Parsed(tuple(rules), tuple(problems))


def parse_all(texts: Iterable[tuple[str, str]]) -> Parsed:
    """Rules of several (origin, text) pairs; an id used twice is a problem of the later one."""
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    for origin, text in texts:
        parsed = parse_rules(text, origin)
        problems.extend(parsed.problems)
        for rule in parsed.rules:
            if (first := rules.setdefault(rule.id, rule)) is not rule:
                problems.append(Problem(origin, rule.id, f"the same id as a rule of {first.origin}; rename one"))
    return Parsed(tuple(rules.values()), tuple(problems))


def parse_rule(document: Any, origin: str) -> Rule:
    """One rule from its parsed YAML. Raises: RuleError, SigmaError."""
    if not isinstance(document, dict):
        raise RuleError("a rule is a mapping with title, logsource and detection")
    for kind in _UNSUPPORTED:
        if kind in document:
            raise RuleError(f"Sigma {kind} rules are not supported yet; only plain rules are")
    sigma = SigmaRule.from_dict(document)
    source = sigma.logsource
    rule = Rule(
        id=str(sigma.name or sigma.id or sigma.title),
        uuid=str(sigma.id or ""),
        title=sigma.title,
        level=Severity[sigma.level.name] if sigma.level else Severity.MEDIUM,
        key=event_key(source.category, source.product, source.service),
        condition=_condition(sigma.detection),
        techniques=_techniques([str(t) for t in sigma.tags]),
        reason=" ".join((sigma.description or "").split()),
        advice=" ".join(str((sigma.custom_attributes.get("vedette") or {}).get("advice", "")).split()),
        falsepositives=tuple(str(f) for f in sigma.falsepositives or ()),
        origin=origin,
    )
    compile_condition(rule.condition)  # so that a bad value is found here, where the file is known
    return rule


def _label(document: Any, number: int) -> str:
    if isinstance(document, dict):
        named = document.get("name") or document.get("title")
        if named:
            return str(named)
    return f"document {number}"


def _techniques(tags: list[str]) -> tuple[Technique, ...]:
    """ATT&CK tags as techniques; a tag list names tactics apart, so each technique serves the first of them."""
    names = [t.removeprefix("attack.") for t in tags if t.startswith("attack.")]
    tactics = [n.replace("_", "-") for n in names if not _is_technique(n)]
    ids = [n.upper() for n in names if _is_technique(n) and n[0] == "t"]
    found = [Technique(i, tactics[min(k, len(tactics) - 1)] if tactics else "") for k, i in enumerate(ids)]
    # A tactic without a technique of its own still counts; it rides on the last technique.
    extra = [Technique(ids[-1], t) for t in tactics[len(ids) :]] if ids else [Technique("", t) for t in tactics]
    return tuple(found + extra)


def _is_technique(name: str) -> bool:
    return len(name) > 1 and name[0] in "tsg" and name[1:].replace(".", "").isdigit()


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
        case SigmaFieldReference() if not (value.starts_with or value.ends_with):
            return Test(field, Op.FIELD, (value.field,))
        case SigmaNumber() if type(value) is SigmaNumber:
            return Test(field, Op.EQUALS if field else Op.CONTAINS, (value.number,))
        case _:
            raise RuleError(f"field {field}: {type(value).__name__} values are not supported")


def _text_test(field: str, value: SigmaString) -> Test:  # noqa: PLR0911 - one line per shape
    """Wildcards at the ends are the common case and need no pattern: contains, startswith, endswith."""
    if value.contains_placeholder():
        raise RuleError(f"field {field}: placeholders (|expand) are not supported; write the values out")
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
