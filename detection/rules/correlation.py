"""The compiled form of a Sigma correlation: several events that say more together than each alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from detection.finding import Severity, Technique
from detection.rules.ir import Op


class Measure(StrEnum):
    """What is asked of the events of one group within the timespan. Sigma's names."""

    EVENT_COUNT = "event_count"  # how many
    VALUE_COUNT = "value_count"  # how many different values of the fields
    VALUE_SUM = "value_sum"
    VALUE_AVG = "value_avg"
    VALUE_MEDIAN = "value_median"
    VALUE_PERCENTILE = "value_percentile"
    TEMPORAL = "temporal"  # every rule matched, in any order
    TEMPORAL_ORDERED = "temporal_ordered"  # every rule matched, in the order given


@dataclass(frozen=True, slots=True)
class Correlation:
    """One correlation rule, ready to run.

    `rules` are ids of rules or of other correlations. Events are grouped by the values of `group_by`; an alias
    (`aliases[name][rule id]`) is read from another field in each rule's events. Within `timespan_ns` of event time the
    measure must fulfil `op` `bound`; TEMPORAL also takes `expression`, rule ids with and, or, not in postfix order.
    Rules it uses report on their own only where `generate` is set (Sigma's default is that they do not).
    """

    id: str
    title: str
    level: Severity
    measure: Measure
    rules: tuple[str, ...]
    timespan_ns: int
    group_by: tuple[str, ...] = ()
    op: Op = Op.GTE
    bound: float = 1
    fields: tuple[str, ...] = ()
    percentile: int = 50
    expression: tuple[str, ...] = ()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    generate: bool = False
    uuid: str = ""
    techniques: tuple[Technique, ...] = ()
    reason: str = ""
    advice: str = ""
    falsepositives: tuple[str, ...] = ()
    origin: str = ""

    def field_of(self, name: str, rule: str) -> str:
        """The field that `name` stands for in the events of one rule."""
        return self.aliases.get(name, {}).get(rule, name)


def holds(expression: tuple[str, ...], seen: frozenset[str]) -> bool:
    """Whether a postfix expression over rule ids holds for the rules seen."""
    stack: list[bool] = []
    for word in expression:
        if word == "not":
            stack.append(not stack.pop())
        elif word in ("and", "or"):
            right, left = stack.pop(), stack.pop()
            stack.append((left and right) if word == "and" else (left or right))
        else:
            stack.append(word in seen)
    return stack.pop()
