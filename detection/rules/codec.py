"""Rules to JSON and back: the file the agent and the collector load at start.

The output is deterministic: the same rules give the same bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from detection.errors import RuleError
from detection.finding import Severity, Technique
from detection.rules.correlation import Correlation, Measure
from detection.rules.exceptions import Exemption
from detection.rules.ir import VERSION, And, Condition, Named, Not, Op, Or, Rule, Test

_MAX_DEPTH = 64
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compiled file holds."""

    rules: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    exemptions: tuple[Exemption, ...] = ()


def dump_rules(
    rules: Iterable[Rule], correlations: Iterable[Correlation] = (), exemptions: Iterable[Exemption] = ()
) -> bytes:
    """The compiled form as JSON, sorted by id."""
    document = {
        "version": VERSION,
        "rules": [_rule_out(r) for r in sorted(rules, key=_order)],
        "correlations": [_correlation_out(c) for c in sorted(correlations, key=_order)],
        "exemptions": [_exemption_out(e) for e in sorted(exemptions, key=lambda e: (e.id, e.origin))],
    }
    return orjson.dumps(document, option=_OPTIONS)


def load_rules(data: bytes) -> Compiled:
    """What `dump_rules` wrote. Raises: RuleError when it is not that, or of another version."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RuleError(f"compiled rules: not JSON ({error}); run `vedette rules compile`") from error
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise RuleError(f"compiled rules: version {version!r}, this build reads {VERSION}; run `vedette rules compile`")
    return Compiled(
        _each(document, "rules", _rule_in),
        _each(document, "correlations", _correlation_in),
        _each(document, "exemptions", _exemption_in),
    )


def _order(rule: Rule | Correlation) -> tuple[str, str]:
    return rule.id, rule.uuid


def _each(document: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    rows = document.get(name)
    if not isinstance(rows, list):
        raise RuleError(f"compiled rules: `{name}` is not a list; run `vedette rules compile`")
    return tuple(_checked(index, row, read) for index, row in enumerate(rows))


def _checked(index: int, item: Any, read: Callable[[Any], T]) -> T:
    try:
        return read(item)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = item.get("id", index) if isinstance(item, dict) else index
        raise RuleError(f"compiled rules: rule {name!r}: {error!r}; run `vedette rules compile`") from error


def _about_out(rule: Rule | Correlation) -> dict[str, Any]:
    """What plain rules and correlations have in common."""
    return {
        "id": rule.id,
        "uuid": rule.uuid,
        "title": rule.title,
        "level": rule.level.label,
        "techniques": [[t.id, t.tactic] for t in rule.techniques],
        "reason": rule.reason,
        "advice": rule.advice,
        "falsepositives": list(rule.falsepositives),
        "origin": rule.origin,
    }


def _about_in(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(item["id"]),
        "uuid": str(item.get("uuid", "")),
        "title": str(item["title"]),
        "level": Severity[item["level"].upper()],
        "techniques": tuple(Technique(str(i), str(tactic)) for i, tactic in item.get("techniques", ())),
        "reason": str(item.get("reason", "")),
        "advice": str(item.get("advice", "")),
        "falsepositives": tuple(str(f) for f in item.get("falsepositives", ())),
        "origin": str(item.get("origin", "")),
    }


def _rule_out(rule: Rule) -> dict[str, Any]:
    return _about_out(rule) | {"key": rule.key, "condition": _condition_out(rule.condition)}


def _rule_in(item: Mapping[str, Any]) -> Rule:
    return Rule(**_about_in(item), key=str(item["key"]), condition=_condition_in(item["condition"], 0))


def _correlation_out(rule: Correlation) -> dict[str, Any]:
    return _about_out(rule) | {
        "measure": rule.measure.value,
        "rules": list(rule.rules),
        "timespan_ns": rule.timespan_ns,
        "group_by": list(rule.group_by),
        "op": rule.op.value,
        "bound": rule.bound,
        "fields": list(rule.fields),
        "percentile": rule.percentile,
        "expression": list(rule.expression),
        "aliases": {name: dict(by_rule) for name, by_rule in rule.aliases.items()},
        "generate": rule.generate,
    }


def _correlation_in(item: Mapping[str, Any]) -> Correlation:
    return Correlation(
        **_about_in(item),
        measure=Measure(item["measure"]),
        rules=_texts(item["rules"]),
        timespan_ns=int(item["timespan_ns"]),
        group_by=_texts(item["group_by"]),
        op=Op(item["op"]),
        bound=float(item["bound"]),
        fields=_texts(item["fields"]),
        percentile=int(item["percentile"]),
        expression=_texts(item["expression"]),
        aliases={str(name): {str(r): str(f) for r, f in by.items()} for name, by in item["aliases"].items()},
        generate=bool(item["generate"]),
    )


def _exemption_out(exemption: Exemption) -> dict[str, Any]:
    return {
        "id": exemption.id,
        "title": exemption.title,
        "key": exemption.key,
        "rules": list(exemption.rules),
        "reason": exemption.reason,
        "origin": exemption.origin,
        "condition": _condition_out(exemption.condition),
    }


def _exemption_in(item: Mapping[str, Any]) -> Exemption:
    return Exemption(
        id=str(item["id"]),
        title=str(item["title"]),
        key=str(item["key"]),
        rules=_texts(item["rules"]),
        reason=str(item["reason"]),
        origin=str(item["origin"]),
        condition=_condition_in(item["condition"], 0),
    )


def _texts(items: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(item) for item in items)


def _condition_out(condition: Condition) -> dict[str, Any]:
    match condition:
        case And(parts=parts):
            return {"and": [_condition_out(p) for p in parts]}
        case Or(parts=parts):
            return {"or": [_condition_out(p) for p in parts]}
        case Not(part=part):
            return {"not": _condition_out(part)}
        case Named(name=name, part=part):
            return {"name": name, "is": _condition_out(part)}
        case Test():
            return _test_out(condition)


def _test_out(test: Test) -> dict[str, Any]:
    out: dict[str, Any] = {"field": test.field, "op": test.op.value, "values": list(test.values)}
    if test.every:
        out["every"] = True
    if test.cased:
        out["cased"] = True
    return out


def _condition_in(item: Mapping[str, Any], depth: int) -> Condition:
    if depth > _MAX_DEPTH:
        raise ValueError(f"condition nested deeper than {_MAX_DEPTH}")
    if "and" in item:
        return And(tuple(_condition_in(p, depth + 1) for p in item["and"]))
    if "or" in item:
        return Or(tuple(_condition_in(p, depth + 1) for p in item["or"]))
    if "not" in item:
        return Not(_condition_in(item["not"], depth + 1))
    if "name" in item:
        return Named(str(item["name"]), _condition_in(item["is"], depth + 1))
    return _test_in(item)


def _test_in(item: Mapping[str, Any]) -> Test:
    values = tuple(item["values"])
    if not all(isinstance(v, str | int | float | bool) for v in values):
        raise ValueError(f"field {item['field']!r}: a value is neither text nor number nor truth value")
    return Test(
        str(item["field"]), Op(item["op"]), values, bool(item.get("every", False)), bool(item.get("cased", False))
    )
