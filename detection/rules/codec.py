"""Rules to JSON and back: the file the agent and the collector load at start.

The output is deterministic: the same rules give the same bytes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from detection.errors import RuleError
from detection.finding import Severity, Technique
from detection.rules.ir import VERSION, And, Condition, Named, Not, Op, Or, Rule, Test

_MAX_DEPTH = 64
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def dump_rules(rules: Iterable[Rule]) -> bytes:
    """The compiled form of rules as JSON, sorted by id."""
    ordered = sorted(rules, key=lambda r: (r.id, r.uuid))
    return orjson.dumps({"version": VERSION, "rules": [_rule_out(r) for r in ordered]}, option=_OPTIONS)


def load_rules(data: bytes) -> tuple[Rule, ...]:
    """Rules from their compiled form. Raises: RuleError when it is not one, or of another version."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RuleError(f"compiled rules: not JSON ({error}); run `vedette rules compile`") from error
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise RuleError(f"compiled rules: version {version!r}, this build reads {VERSION}; run `vedette rules compile`")
    rules = document.get("rules")
    if not isinstance(rules, list):
        raise RuleError("compiled rules: `rules` is not a list; run `vedette rules compile`")
    return tuple(_checked(i, item) for i, item in enumerate(rules))


def _checked(index: int, item: Any) -> Rule:
    try:
        return _rule_in(item)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = item.get("id", index) if isinstance(item, dict) else index
        raise RuleError(f"compiled rules: rule {name!r}: {error!r}; run `vedette rules compile`") from error


def _rule_out(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "uuid": rule.uuid,
        "title": rule.title,
        "level": rule.level.label,
        "key": rule.key,
        "techniques": [[t.id, t.tactic] for t in rule.techniques],
        "reason": rule.reason,
        "advice": rule.advice,
        "falsepositives": list(rule.falsepositives),
        "origin": rule.origin,
        "condition": _condition_out(rule.condition),
    }


def _rule_in(item: Mapping[str, Any]) -> Rule:
    return Rule(
        id=str(item["id"]),
        uuid=str(item.get("uuid", "")),
        title=str(item["title"]),
        level=Severity[item["level"].upper()],
        key=str(item["key"]),
        techniques=tuple(Technique(str(i), str(tactic)) for i, tactic in item.get("techniques", ())),
        reason=str(item.get("reason", "")),
        advice=str(item.get("advice", "")),
        falsepositives=tuple(str(f) for f in item.get("falsepositives", ())),
        origin=str(item.get("origin", "")),
        condition=_condition_in(item["condition"], 0),
    )


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
