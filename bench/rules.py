"""What rules cost: audit records through all rules, runtime events through all rules, and how both grow with the rules.

Processor time of this process, so that other load on the machine shows as little as can be. The audit stream mixes
the benign samples of every source with some attacks, as records of a real size: each is padded with the leaves a
record of its kind has and no rule reads.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

import rules
from detection.rules import RuleSet
from detection.rules.ir import And, Condition, Named, Not, Or, Rule, Test
from detection.rules.nested import Nested
from detection.rules.parse import parse_all
from detection.rules.taxonomy import aliases_of

_PADDING = 120  # leaves: what recorded CloudTrail and Kubernetes records have at the median
_SECONDS = 2.0
_GROWTH = (100, 250, 500, 1000)


@dataclass(frozen=True, slots=True)
class Figure:
    """`rate`: events for each second of processor time."""

    what: str
    rules: int
    rate: float

    @property
    def microseconds(self) -> float:
        """For one event."""
        return 1e6 / self.rate


def measure() -> list[Figure]:
    """All figures; takes about half a minute."""
    figures = []
    for kind in rules.KINDS:
        found = parse_all(rules.sources(kind)).rules
        stream = list(_stream(kind, found))
        figures.append(_figure(f"{kind}, as shipped", found, stream))
        figures += [_figure(f"{kind}, {count} rules", _grown(found, count), stream) for count in _GROWTH]
    return figures


def report(figures: Sequence[Figure]) -> str:
    """A table of Markdown."""
    rows = [f"| {f.what} | {f.rules} | {f.rate:,.0f} | {f.microseconds:.1f} |" for f in figures]
    return "\n".join(("| stream | rules | events/s of one core | µs/event |", "|---|---|---|---|", *rows))


def _figure(what: str, found: Sequence[Rule], stream: Sequence[tuple[str, Any]]) -> Figure:
    ruleset = RuleSet.from_ir(found)
    return Figure(what, len(found), _rate(lambda: _pass(ruleset, stream)))


def _pass(ruleset: RuleSet, stream: Sequence[tuple[str, Any]]) -> int:
    for key, record in stream:
        ruleset.match(key, Nested(record, aliases_of(key)) if "/" in key else record)
    return len(stream)


def _rate(work: Callable[[], int]) -> float:
    """Of the quickest of many passes: what others do to the caches is not the rules' cost."""
    work()
    best, begin = 0.0, time.process_time()
    while (start := time.process_time()) - begin < _SECONDS:
        done = work()
        best = max(best, done / (time.process_time() - start))
    return best


def _stream(kind: str, found: Sequence[Rule]) -> Iterator[tuple[str, Any]]:
    """Benign samples of all rules, and one attack in ten."""
    keys = {rule.uuid: rule.key for rule in found}
    for number, (_, text) in enumerate(rules.sources(kind)):
        document = yaml.safe_load(text)
        key = keys.get(str(document.get("id")))
        if key is None:
            continue
        samples = document["vedette"]["samples"]
        for record in (*samples["benign"], *(samples["attack"][:1] if number % 10 == 0 else ())):
            yield key, record | _padding() if kind == "audit" else record


def _padding() -> dict[str, Any]:
    return {"responseElements": {f"part{n}": {"name": f"value-{n}", "list": [n, n + 1]} for n in range(_PADDING // 3)}}


def _grown(found: Sequence[Rule], count: int) -> list[Rule]:
    """That many rules: the given ones, then the same again with other texts to look for."""
    grown = list(found[:count])
    while len(grown) < count:
        again = len(grown) // len(found)
        rule = found[len(grown) % len(found)]
        grown.append(replace(rule, id=f"{rule.id}-{again}", condition=_varied(rule.condition, f"q{again}")))
    return grown


def _varied(condition: Condition, mark: str) -> Condition:
    match condition:
        case And(parts=parts):
            return And(tuple(_varied(part, mark) for part in parts))
        case Or(parts=parts):
            return Or(tuple(_varied(part, mark) for part in parts))
        case Not(part=part):
            return Not(_varied(part, mark))
        case Named(name=name, part=part):
            return Named(name, _varied(part, mark))
        case Test(values=values, op=op) if op.value in {"equals", "contains", "endswith", "startswith"}:
            return replace(condition, values=tuple(f"{v}{mark}" if isinstance(v, str) else v for v in values))
        case Test():
            return condition
