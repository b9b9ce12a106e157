"""Sigma YAML → the compiled form. Only this module and its `parse_*` import `sigma`: the agent never loads it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaDetections, SigmaRule

from detection.errors import RuleError
from detection.finding import Severity
from detection.rules.attack import techniques_of
from detection.rules.codec import Compiled
from detection.rules.compile import compile_condition
from detection.rules.correlation import Correlation
from detection.rules.exceptions import Exemption
from detection.rules.ir import Not, Problem, Rule, event_key
from detection.rules.lines import Path, Source, sources
from detection.rules.overrides import Override, apply, override_of
from detection.rules.parse_condition import Placeholders, condition_of
from detection.rules.parse_correlation import parse_correlation


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text held: what can be used, and what could not and why."""

    rules: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    overrides: tuple[Override, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse_rules(text: str, origin: str, placeholders: Placeholders | None = None) -> Parsed:
    """Every document of a YAML text: rules, correlations, filters, overrides. Never raises on bad ones.

    `origin` names the text in messages. `placeholders` gives the values of `%name%` where a rule says `|expand`.
    """
    try:
        documents = list(sources(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        return Parsed(problems=(Problem(origin, "file", f"not YAML: {' '.join(str(error).split())}", line),))
    found: list[Rule | Correlation | Exemption | Override] = []
    problems: list[Problem] = []
    for number, source in enumerate(documents, 1):
        try:
            found.append(_document(source.value, origin, placeholders or {}))
        except (RuleError, SigmaError, RecursionError) as error:
            line = source.line_of(_culprit(source, str(error), placeholders or {}))
            problems.append(Problem(origin, _label(source.value, number), " ".join(str(error).split()), line))
    return Parsed(
        rules=tuple(f for f in found if isinstance(f, Rule)),
        correlations=tuple(f for f in found if isinstance(f, Correlation)),
        exemptions=tuple(f for f in found if isinstance(f, Exemption)),
        overrides=tuple(f for f in found if isinstance(f, Override)),
        problems=tuple(problems),
    )


def parse_all(
    texts: Iterable[tuple[str, str]], placeholders: Placeholders | None = None, base: Compiled | None = None
) -> Parsed:
    """What several (origin, text) pairs hold together: references resolved, overrides applied.

    `base` are rules that are compiled already: the texts may refer to them and change them, and they are part of what
    comes out. An id used twice is a problem of the later one; so is a reference to nothing.
    """
    base = base or Compiled()
    rules = {rule.id: rule for rule in base.rules}
    correlations = {correlation.id: correlation for correlation in base.correlations}
    exemptions = list(base.exemptions)
    overrides: list[Override] = []
    problems: list[Problem] = []
    for origin, text in texts:
        parsed = parse_rules(text, origin, placeholders)
        problems.extend(parsed.problems)
        exemptions.extend(parsed.exemptions)
        overrides.extend(parsed.overrides)
        every: tuple[Rule | Correlation, ...] = (*parsed.rules, *parsed.correlations)
        for rule in every:
            first: Rule | Correlation | None = rules.get(rule.id) or correlations.get(rule.id)
            if first is not None:
                problems.append(Problem(origin, rule.id, f"the same id as a rule of {first.origin}; rename one"))
            elif isinstance(rule, Rule):
                rules[rule.id] = rule
            else:
                correlations[rule.id] = rule
    resolved, dangling = _resolved(rules, correlations)
    changed, missed = apply(overrides, (*rules.values(), *resolved))
    problems += [*dangling, *missed, *_aimless(exemptions, rules)]
    return Parsed(
        tuple(one for one in changed if isinstance(one, Rule)),
        tuple(one for one in changed if isinstance(one, Correlation)),
        tuple(exemptions),
        tuple(overrides),
        tuple(problems),
    )


def parse_rule(document: Any, origin: str, placeholders: Placeholders | None = None) -> Rule:
    """One rule from its parsed YAML. Raises: RuleError, SigmaError."""
    sigma = SigmaRule.from_dict(document)
    source = sigma.logsource
    rule = Rule(
        id=str(sigma.name or sigma.id or sigma.title),
        uuid=str(sigma.id or ""),
        title=sigma.title,
        level=Severity[sigma.level.name] if sigma.level else Severity.MEDIUM,
        key=event_key(source.category, source.product, source.service),
        condition=condition_of(sigma.detection, placeholders or {}),
        techniques=techniques_of([str(t) for t in sigma.tags]),
        reason=" ".join((sigma.description or "").split()),
        advice=" ".join(str((sigma.custom_attributes.get("vedette") or {}).get("advice", "")).split()),
        falsepositives=tuple(str(f) for f in sigma.falsepositives or ()),
        origin=origin,
    )
    compile_condition(rule.condition)  # so that a bad value is found here, where the file is known
    return rule


def _document(document: Any, origin: str, placeholders: Placeholders) -> Rule | Correlation | Exemption | Override:
    if not isinstance(document, dict):
        raise RuleError("a rule is a mapping with title, logsource and detection")
    if "action" in document:
        raise RuleError("Sigma's `action` was withdrawn from the standard: write each rule out as a document")
    if "correlation" in document:
        return parse_correlation(document, origin)
    if "filter" in document:
        return _exemption(document, origin, placeholders)
    if "override" in document:
        return override_of(document, origin)
    return parse_rule(document, origin, placeholders)


def _exemption(document: Mapping[str, Any], origin: str, placeholders: Placeholders) -> Exemption:
    """A Sigma filter: rules hold for an event only where its condition does, so it excepts where it does not."""
    sigma = SigmaFilter.from_dict(dict(document))
    source, named = sigma.logsource, sigma.filter.rules
    exemption = Exemption(
        id=str(sigma.name or sigma.id or sigma.title),
        title=sigma.title,
        key=event_key(source.category, source.product, source.service),
        condition=Not(condition_of(sigma.filter, placeholders)),
        rules=() if isinstance(named, str) else tuple(reference.reference for reference in named),
        reason=" ".join((sigma.description or "").split()),
        origin=origin,
    )
    compile_condition(exemption.condition)
    return exemption


def _resolved(
    rules: Mapping[str, Rule], correlations: Mapping[str, Correlation]
) -> tuple[tuple[Correlation, ...], list[Problem]]:
    """Correlations with the ids of what they refer to by id, name or title."""
    everything: tuple[Rule | Correlation, ...] = (*rules.values(), *correlations.values())
    ids = {name: rule.id for rule in everything for name in (rule.title, rule.uuid, rule.id) if name}
    good: list[Correlation] = []
    problems: list[Problem] = []
    for correlation in correlations.values():
        missing = [name for name in correlation.rules if name not in ids]
        if missing:
            text = f"correlation: no rule is called {', '.join(missing)}"
            problems.append(Problem(correlation.origin, correlation.id, text))
            continue
        aliases = {a: {ids.get(r, r): f for r, f in by.items()} for a, by in correlation.aliases.items()}
        named = tuple(ids[name] for name in correlation.rules)
        expression = tuple(ids.get(token, token) for token in correlation.expression)
        good.append(replace(correlation, rules=named, expression=expression, aliases=aliases))
    return tuple(good), problems


def _aimless(exemptions: Iterable[Exemption], rules: Mapping[str, Rule]) -> list[Problem]:
    known = {name for rule in rules.values() for name in (rule.id, rule.uuid)}
    return [
        Problem(exemption.origin, exemption.id, f"filter: no rule is called {name}")
        for exemption in exemptions
        for name in exemption.rules
        if name not in known
    ]


def _culprit(source: Source, message: str, placeholders: Placeholders) -> Path:
    """The key an error is most likely about."""
    document = source.value
    if not isinstance(document, dict):
        return ()
    section = next((name for name in ("filter", "detection") if isinstance(document.get(name), dict)), "")
    for name, definition in document[section].items() if section else ():
        if name in ("condition", "rules", "timeframe"):
            continue
        if _fails(definition, placeholders):
            fields = definition.items() if isinstance(definition, dict) else ()
            bad = next((field for field, value in fields if _fails({field: value}, placeholders)), None)
            return (section, str(name)) if bad is None else (section, str(name), str(bad))
    if section and "condition" in message.lower():
        return (section, "condition")
    words = set(re.findall(r"[a-z-]+", message.lower()))
    return next(((str(key),) for key in document if str(key).lower() in words), ())


def _fails(definition: Any, placeholders: Placeholders) -> bool:
    try:
        detections = SigmaDetections.from_dict({"one": definition, "condition": "one"})
        compile_condition(condition_of(detections, placeholders))
    except (RuleError, SigmaError, RecursionError, TypeError, AttributeError):
        return True
    return False


def _label(document: Any, number: int) -> str:
    if isinstance(document, dict):
        named = document.get("name") or document.get("title")
        if named:
            return str(named)
    return f"document {number}"
