"""The compiled form of a rule: what Sigma says, without Sigma.

Plain frozen values with one JSON form, so that a process without a Sigma parser (the agent) can
evaluate rules. `VERSION` moves whenever the JSON form does.
"""

from dataclasses import dataclass
from enum import StrEnum

from detection.finding import Severity, Technique

VERSION = 2

Scalar = str | int | float | bool


class Op(StrEnum):
    """How a field's value is compared. Text is compared without regard to case unless `cased`."""

    EQUALS = "equals"
    CONTAINS = "contains"
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"
    LIKE = "like"  # whole value, * any text, ? one character, \ escapes
    RE = "re"  # found anywhere in the value; cased unless it says (?i)
    CIDR = "cidr"
    EXISTS = "exists"  # value: True or False
    NULL = "null"  # absent or empty; no value
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    FIELD = "field"  # equal to the value of the named field
    FIELD_STARTSWITH = "field_startswith"  # begins with the value of the named field
    FIELD_ENDSWITH = "field_endswith"
    FIELD_CONTAINS = "field_contains"
    MINUTE = "minute"  # parts of a time in RFC 3339 form, in its own zone
    HOUR = "hour"
    DAY = "day"  # of the month
    WEEK = "week"  # ISO 8601
    MONTH = "month"
    YEAR = "year"


FIELD_OPS = frozenset({Op.FIELD, Op.FIELD_STARTSWITH, Op.FIELD_ENDSWITH, Op.FIELD_CONTAINS})
TIME_OPS = frozenset({Op.MINUTE, Op.HOUR, Op.DAY, Op.WEEK, Op.MONTH, Op.YEAR})


@dataclass(frozen=True, slots=True)
class Test:
    """One field against values: any of them, or each of them when `every`.

    A field with several values passes when one of them does. Without a field ("") it is a keyword:
    any field of the event may pass.
    """

    field: str
    op: Op
    values: tuple[Scalar, ...] = ()
    every: bool = False
    cased: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Named:
    """A named detection of the rule; the name explains a match."""

    name: str
    part: "Condition"


Condition = Test | And | Or | Not | Named


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to compile.

    `id` is Sigma's `name` where the rule has one, else its UUID; `origin` is the file it came from.
    `key` is the kind of event it looks at (see `event_key`).
    """

    id: str
    title: str
    level: Severity
    key: str
    condition: Condition
    uuid: str = ""
    techniques: tuple[Technique, ...] = ()
    reason: str = ""
    advice: str = ""
    falsepositives: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that cannot be used: in which file and line, which rule of it (id, title or number), and why."""

    origin: str
    rule: str
    reason: str
    line: int = 0  # from 1; 0 where the rule did not come from a text

    def __str__(self) -> str:
        return f"{self.origin}{f':{self.line}' if self.line else ''}: {self.rule}: {self.reason}"


def event_key(category: str | None, product: str | None, service: str | None) -> str:
    """The kind of event a Sigma log source names.

    `product/service` where there is a service (kubernetes/audit), the category alone for Linux or any
    product (process_creation), else `product/category` (windows/process_creation).
    """
    if service:
        return f"{product or 'any'}/{service}"
    if category:
        return category if product in (None, "", "linux") else f"{product}/{category}"
    return product or "any"


def fields_of(condition: Condition) -> frozenset[str]:
    """The fields a condition reads; keywords read none."""
    match condition:
        case Test(field=field, op=op, values=values):
            others = {str(v) for v in values} if op in FIELD_OPS else set()
            return frozenset({field, *others} - {""})
        case Not(part=part) | Named(part=part):
            return fields_of(part)
        case And(parts=parts) | Or(parts=parts):
            return frozenset().union(*(fields_of(p) for p in parts))
