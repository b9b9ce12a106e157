"""A rule's own samples: events it must fire on, and look-alikes it must not.

They stand in the rule's file below `vedette: samples: {attack: […], benign: […]}`; nested samples are read
as the events of an audit log are.
"""

from collections.abc import Mapping
from typing import Any

from detection.rules.compile import RuleSet
from detection.rules.ir import Rule
from detection.rules.nested import Nested
from detection.rules.taxonomy import aliases_of

_WANTED = {"attack": True, "benign": False}


def sample_problems(document: Mapping[str, Any], rule: Rule) -> list[str]:
    """What is wrong with a rule's samples, each as a sentence; empty when all behave."""
    samples = (document.get("vedette") or {}).get("samples")
    if not isinstance(samples, dict):
        return ["no samples: give vedette.samples.attack and vedette.samples.benign, at least one each"]
    ruleset = RuleSet.from_ir((rule,))
    problems: list[str] = []
    for kind, wanted in _WANTED.items():
        events = samples.get(kind) or []
        if not events:
            problems.append(f"no {kind} sample: give at least one below vedette.samples.{kind}")
        problems += [
            f"{kind} sample {number} {'does not fire' if wanted else 'fires'}"
            for number, event in enumerate(events, 1)
            if bool(ruleset.match(rule.key, Nested(event, aliases_of(rule.key)))) is not wanted
        ]
    return problems
