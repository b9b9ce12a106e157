"""Sigma correlation rules → the compiled form."""

from collections.abc import Mapping
from typing import Any

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from detection.errors import RuleError
from detection.finding import Severity
from detection.rules.attack import techniques_of
from detection.rules.correlation import Correlation, Measure
from detection.rules.ir import Op

_MOST_EVENTS = 4_000  # what a window keeps of one group
_RISING = frozenset({Measure.EVENT_COUNT, Measure.VALUE_COUNT, Measure.VALUE_SUM})
_OPS = {"GT": Op.GT, "GTE": Op.GTE, "LT": Op.LT, "LTE": Op.LTE}


def parse_correlation(document: Mapping[str, Any], origin: str) -> Correlation:
    """One correlation rule from its parsed YAML; its references are resolved later. Raises: RuleError, SigmaError."""
    sigma = SigmaCorrelationRule.from_dict(dict(document))
    measure = Measure(sigma.type.name.lower())
    op, bound, fields, percentile = _condition(sigma, measure)
    expression = _expression(sigma)
    rules = tuple(r.reference for r in sigma.rules or ()) or tuple(_names(expression))
    if not rules:
        raise RuleError("correlation: rules names no rule")
    return Correlation(
        id=str(sigma.name or sigma.id or sigma.title),
        uuid=str(sigma.id or ""),
        title=sigma.title,
        level=Severity[sigma.level.name] if sigma.level else Severity.MEDIUM,
        measure=measure,
        rules=rules,
        timespan_ns=sigma.timespan.seconds * 1_000_000_000,
        group_by=tuple(sigma.group_by or ()),
        op=op,
        bound=bound,
        fields=fields,
        percentile=percentile,
        expression=expression,
        aliases={alias.alias: {ref.reference: name for ref, name in alias.mapping.items()} for alias in sigma.aliases},
        generate=sigma.generate,
        techniques=techniques_of([str(t) for t in sigma.tags]),
        reason=" ".join((sigma.description or "").split()),
        advice=" ".join(str((sigma.custom_attributes.get("vedette") or {}).get("advice", "")).split()),
        falsepositives=tuple(str(f) for f in sigma.falsepositives or ()),
        origin=origin,
    )


def _condition(sigma: SigmaCorrelationRule, measure: Measure) -> tuple[Op, float, tuple[str, ...], int]:
    condition = sigma.condition
    if not isinstance(condition, SigmaCorrelationCondition) or measure in (Measure.TEMPORAL, Measure.TEMPORAL_ORDERED):
        return Op.GTE, 1, (), 50
    op = _OPS.get(condition.op.name)
    if op is None or (measure in _RISING and op not in (Op.GT, Op.GTE)):
        raise RuleError(
            f"correlation: {condition.op.name.lower()} of {measure.value} is known only when the timespan is over, "
            "and a stream has no end: use gt or gte"
        )
    if measure in _RISING and measure is not Measure.VALUE_SUM and condition.count > _MOST_EVENTS:
        raise RuleError(f"correlation: a window keeps at most {_MOST_EVENTS} events, {condition.count} are asked for")
    given = condition.fieldref
    fields = (given,) if isinstance(given, str) else tuple(given or ())
    return op, float(condition.count), fields, condition.percentile or 50


def _expression(sigma: SigmaCorrelationRule) -> tuple[str, ...]:
    if not isinstance(sigma.condition, SigmaExtendedCorrelationCondition):
        return ()
    if sigma.type.name == "TEMPORAL_ORDERED":
        raise RuleError("correlation: an expression says nothing about order; use type temporal, or list the rules")
    return tuple(_postfix(sigma.condition.parsed))


def _postfix(node: CorrelationConditionItem | SigmaRuleReference) -> list[str]:
    if isinstance(node, SigmaRuleReference):
        return [node.reference]
    if isinstance(node, CorrelationConditionNOT):
        return [*_postfix(node.args[0]), "not"]
    word = "and" if isinstance(node, CorrelationConditionAND) else "or"
    first, *rest = node.args
    out = _postfix(first)
    for part in rest:
        out += [*_postfix(part), word]
    return out


def _names(expression: tuple[str, ...]) -> list[str]:
    return [token for token in dict.fromkeys(expression) if token not in ("and", "or", "not")]
