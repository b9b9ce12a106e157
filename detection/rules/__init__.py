"""The rule engine: Sigma in, predicates out. Without a Sigma parser: that is `detection.rules.parse`."""

from detection.rules.codec import Compiled, dump_rules, load_rules
from detection.rules.compile import Match, RuleSet
from detection.rules.flatten import flatten
from detection.rules.ir import Problem, Rule
from detection.rules.view import Document

__all__ = [
    "Compiled",
    "Document",
    "Match",
    "Problem",
    "Rule",
    "RuleSet",
    "dump_rules",
    "flatten",
    "load_compiled",
    "load_rules",
]


def load_compiled(data: bytes) -> RuleSet:
    """The rule set of a compiled file (rules/runtime.json). Raises: RuleError when it is not one."""
    compiled = load_rules(data)
    return RuleSet.from_ir(compiled.rules, compiled.correlations, compiled.exemptions)
