"""A rule's own samples: events it must fire on, and look-alikes it must not.

They stand in the rule's file below `vedette: samples: {attack: […], benign: […]}`; nested samples are read
as the events of an audit log are. A sample of a correlation is a list of matches, each `[second, rule, event]`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from detection.rules.compile import RuleSet
from detection.rules.correlation import Correlation
from detection.rules.ir import Rule
from detection.rules.nested import Nested
from detection.rules.taxonomy import aliases_of
from detection.rules.windows import Windows

_WANTED = {"attack": True, "benign": False}


def sample_problems(document: Mapping[str, Any], rule: Rule | Correlation) -> list[str]:
    """What is wrong with a rule's samples, each as a sentence; empty when all behave."""
    samples = (document.get("vedette") or {}).get("samples")
    if not isinstance(samples, dict):
        return ["no samples: give vedette.samples.attack and vedette.samples.benign, at least one each"]
    fires = _fires_together(rule) if isinstance(rule, Correlation) else _fires(rule)
    problems: list[str] = []
    for kind, wanted in _WANTED.items():
        events = samples.get(kind) or []
        if not events:
            problems.append(f"no {kind} sample: give at least one below vedette.samples.{kind}")
        problems += [
            f"{kind} sample {number} {'does not fire' if wanted else 'fires'}"
            for number, event in enumerate(events, 1)
            if fires(event) is not wanted
        ]
    return problems


def _fires(rule: Rule) -> Callable[[Any], bool]:
    ruleset, aliases = RuleSet.from_ir((rule,)), aliases_of(rule.key)
    return lambda event: bool(ruleset.match(rule.key, Nested(event, aliases)))


def _fires_together(rule: Correlation) -> Callable[[Any], bool]:
    def fires(steps: Any) -> bool:
        windows = Windows((rule,))
        told = [
            windows.observe(str(part), Nested(event), int(second * 1e9), str(number))
            for number, (second, part, event) in enumerate(steps)
        ]
        return any(told)

    return fires
