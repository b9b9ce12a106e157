"""The compiled form of exceptions: events a rule matches that a team has decided not to be alerted of.

A Sigma filter is an exception. What is excepted stays a finding, as context for joins: suppressing one detection must
never hide it from an incident.
"""

from dataclasses import dataclass

from detection.rules.ir import Condition, Rule


@dataclass(frozen=True, slots=True)
class Exemption:
    """An exception, ready to run: `condition` holds for the events that are excepted.

    `rules` are the ids or UUIDs it is for; empty: every rule over events of `key`.
    """

    id: str
    title: str
    key: str
    condition: Condition
    rules: tuple[str, ...] = ()
    reason: str = ""
    origin: str = ""

    def is_for(self, rule: Rule) -> bool:
        """Whether the exception is about this rule."""
        return not {rule.id, rule.uuid}.isdisjoint(self.rules) if self.rules else self.key == rule.key
