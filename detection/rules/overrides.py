"""What a team changes about shipped rules, kept in its own files so that an upgrade never loses it.

title: Package managers are our deployment tool here
override:
  rules: [package-manager-in-container]
  level: low          # and/or
  enabled: false
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from detection.errors import RuleError
from detection.finding import Severity
from detection.rules.correlation import Correlation
from detection.rules.ir import Problem, Rule

Changeable = Rule | Correlation

_KEYS = frozenset({"rules", "level", "enabled"})


@dataclass(frozen=True, slots=True)
class Override:
    """Changes to the rules with these ids or UUIDs."""

    title: str
    rules: tuple[str, ...]
    level: Severity | None = None
    enabled: bool = True
    origin: str = ""


def override_of(document: Mapping[str, Any], origin: str) -> Override:
    """An override from its parsed YAML. Raises: RuleError."""
    body = document.get("override")
    if not isinstance(body, dict) or not set(body) <= _KEYS:
        raise RuleError(f"override: give {', '.join(sorted(_KEYS))} and nothing else")
    names = body.get("rules")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RuleError("override: rules is a list of rule ids")
    level, enabled = body.get("level"), body.get("enabled", True)
    if level is not None and str(level).upper() not in Severity.__members__:
        raise RuleError(f"override: level {level!r} is none of {', '.join(s.label for s in Severity)}")
    if not isinstance(enabled, bool):
        raise RuleError(f"override: enabled is true or false, not {enabled!r}")
    severity = Severity[str(level).upper()] if level is not None else None
    return Override(str(document.get("title", origin)), tuple(names), severity, enabled, origin)


def apply(
    overrides: Iterable[Override], rules: Iterable[Changeable]
) -> tuple[tuple[Changeable, ...], tuple[Problem, ...]]:
    """The rules and correlations as changed.

    An override that names no rule is a problem, since it does not do what was meant.
    """
    changed = {rule.id: rule for rule in rules}
    ids = {name: rule.id for rule in changed.values() for name in (rule.id, rule.uuid)}
    problems: list[Problem] = []
    for override in overrides:
        for name in override.rules:
            found = ids.get(name)
            if found is None:
                problems.append(Problem(override.origin, override.title, f"override: no rule is called {name}"))
            elif not override.enabled:
                changed.pop(found, None)
            elif override.level is not None and found in changed:
                changed[found] = replace(changed[found], level=override.level)
    return tuple(changed.values()), tuple(problems)
