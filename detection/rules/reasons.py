"""Why a rule holds for an event, or why not: every part of its condition with its outcome."""

from dataclasses import dataclass

from detection.rules.compile import compile_condition
from detection.rules.ir import And, Condition, Named, Not, Op, Or, Test
from detection.rules.view import Document, Lowered, each

_MOST_VALUES = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One part: how deep it stands, whether it holds, what it says, and the event's value it was asked of."""

    depth: int
    holds: bool
    text: str
    value: str = ""


def steps_of(condition: Condition, event: Document) -> list[Step]:
    """All parts, each before its own parts; the first is the whole condition."""
    steps: list[Step] = []
    _walk(condition, Lowered(event), 0, steps)
    return steps


def _walk(condition: Condition, low: Lowered, depth: int, steps: list[Step]) -> None:
    holds = compile_condition(condition)(low)
    match condition:
        case Test():
            steps.append(Step(depth, holds, _said(condition), _value(condition, low)))
        case Named(name=name, part=part):
            steps.append(Step(depth, holds, name))
            _walk(part, low, depth + 1, steps)
        case Not(part=part):
            steps.append(Step(depth, holds, "not"))
            _walk(part, low, depth + 1, steps)
        case And(parts=parts) | Or(parts=parts):
            steps.append(Step(depth, holds, "all of" if isinstance(condition, And) else "any of"))
            for part in parts:
                _walk(part, low, depth + 1, steps)


def _said(test: Test) -> str:
    field = test.field or "any field"
    if test.op is Op.NULL:
        return f"{field} is absent"
    shown = ", ".join(repr(v) for v in test.values[:_MOST_VALUES])
    more = f" and {len(test.values) - _MOST_VALUES} more" if len(test.values) > _MOST_VALUES else ""
    several = ("each of " if test.every else "any of ") if len(test.values) > 1 else ""
    return f"{field} {test.op.value} {several}{shown}{more}"


def _value(test: Test, low: Lowered) -> str:
    if not test.field:
        return ""
    value = low.raw[test.field]
    return "absent" if value is None else ", ".join(each(value)[:_MOST_VALUES])
