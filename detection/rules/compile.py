"""Rules → a set of predicates, indexed so that an event meets only rules that could match."""

from collections.abc import Iterable
from dataclasses import dataclass

from detection.errors import RuleError
from detection.rules.anchors import Index
from detection.rules.correlation import Correlation
from detection.rules.exceptions import Exemption
from detection.rules.ir import And, Condition, Named, Not, Op, Or, Problem, Rule, Test
from detection.rules.predicate import Predicate, compile_test
from detection.rules.view import Document, Lowered

_MAX_MATCHED = 16
_DEAR = frozenset({Op.LIKE, Op.RE, Op.CIDR})


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds for an event, and which of its tests made it so ("selection: Image endswith '/sh'").

    `excepted` is the title of an exception that holds too, "" where there is none.
    """

    rule: Rule
    matched: tuple[str, ...]
    excepted: str = ""


class RuleSet:
    """Rules ready to run. Immutable: a reload makes a new one and swaps it in.

    `correlations` are carried along: `Windows` runs them. `parts` are ids of rules that are parts of correlations only,
    and not to be reported for themselves.
    """

    __slots__ = ("_by_key", "_exemptions", "correlations", "exemptions", "parts", "problems", "rules")

    def __init__(
        self,
        rules: tuple[Rule, ...],
        problems: tuple[Problem, ...],
        compiled: dict[str, "Index[_Entry]"],
        correlations: tuple[Correlation, ...] = (),
        exemptions: tuple[Exemption, ...] = (),
    ) -> None:
        self.rules = rules
        self.problems = problems
        self.correlations = correlations
        self.exemptions = exemptions
        self.parts = _parts(correlations)
        self._by_key = compiled
        self._exemptions = _by_rule(rules, exemptions)

    @classmethod
    def from_ir(
        cls,
        rules: Iterable[Rule],
        correlations: Iterable[Correlation] = (),
        exemptions: Iterable[Exemption] = (),
    ) -> "RuleSet":
        """Compile rules; those that cannot be evaluated are left out and listed in `problems`."""
        good: list[Rule] = []
        problems: list[Problem] = []
        by_key: dict[str, list[tuple[Condition, _Entry]]] = {}
        for rule in rules:
            try:
                entry = (rule, compile_condition(rule.condition))
                by_key.setdefault(rule.key, []).append((rule.condition, entry))
                good.append(rule)
            except RuleError as error:
                problems.append(Problem(rule.origin or "compiled rules", rule.id, str(error)))
        indexes = {key: Index(entries) for key, entries in by_key.items()}
        sound: list[Exemption] = []
        for exemption in exemptions:
            try:
                compile_condition(exemption.condition)
                sound.append(exemption)
            except RuleError as error:
                problems.append(Problem(exemption.origin or "compiled rules", exemption.id, str(error)))
        return cls(tuple(good), tuple(problems), indexes, tuple(correlations), tuple(sound))

    @property
    def keys(self) -> frozenset[str]:
        """The kinds of event some rule looks at."""
        return frozenset(self._by_key)

    def match(self, key: str, doc: Document) -> tuple[Match, ...]:
        """Every rule of that kind of event that holds for the event, in the order they were given."""
        index = self._by_key.get(key)
        if index is None:
            return ()
        low = Lowered(doc)
        hits = [rule for rule, predicate in index.candidates(low) if predicate(low)]
        if not hits:
            return ()
        return tuple(Match(rule, explain(rule.condition, low), self._excepted(rule, low)) for rule in hits)

    def _excepted(self, rule: Rule, low: Lowered) -> str:
        for title, predicate in self._exemptions.get(rule.id, ()):
            if predicate(low):
                return title
        return ""


_Entry = tuple[Rule, Predicate]


def _parts(correlations: Iterable[Correlation]) -> frozenset[str]:
    """Rules that only silent correlations use: Sigma reports a part for itself where `generate` says so."""
    silent = {rule for c in correlations if not c.generate for rule in c.rules}
    return frozenset(silent - {rule for c in correlations if c.generate for rule in c.rules})


def _by_rule(rules: Iterable[Rule], exemptions: Iterable[Exemption]) -> dict[str, tuple[tuple[str, Predicate], ...]]:
    ready = [(exemption, compile_condition(exemption.condition)) for exemption in exemptions]
    found = {rule.id: tuple((e.title, p) for e, p in ready if e.is_for(rule)) for rule in rules} if ready else {}
    return {rule: entries for rule, entries in found.items() if entries}


def compile_condition(condition: Condition) -> Predicate:
    """One predicate for a whole condition; dear tests run last. Raises: RuleError."""
    match condition:
        case Test():
            return compile_test(condition)
        case Named(part=part):
            return compile_condition(part)
        case Not(part=part):
            return _negated(compile_condition(part))
        case And(parts=parts):
            return _all_of(tuple(compile_condition(p) for p in sorted(parts, key=_cost)))
        case Or(parts=parts):
            return _any_of(tuple(compile_condition(p) for p in sorted(parts, key=_cost)))


def _negated(part: Predicate) -> Predicate:
    return lambda low: not part(low)


def _all_of(parts: tuple[Predicate, ...]) -> Predicate:
    if len(parts) == 1:
        return parts[0]
    first, rest = parts[0], parts[1:]

    def every(low: Lowered) -> bool:
        if not first(low):
            return False
        for part in rest:  # noqa: SIM110 - a generator costs more than most of these tests
            if not part(low):
                return False
        return True

    return every


def _any_of(parts: tuple[Predicate, ...]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def some(low: Lowered) -> bool:
        for part in parts:  # noqa: SIM110
            if part(low):
                return True
        return False

    return some


def _cost(condition: Condition) -> int:
    """0 cheap, 1 patterns, 2 keywords. Within a class the author's order stands: selective tests first."""
    match condition:
        case Test(field=""):
            return 2
        case Test(op=op):
            return 1 if op in _DEAR else 0
        case Not(part=part) | Named(part=part):
            return _cost(part)
        case And(parts=parts):
            return min((_cost(p) for p in parts), default=0)
        case Or(parts=parts):
            return max((_cost(p) for p in parts), default=0)


def explain(condition: Condition, low: Lowered) -> tuple[str, ...]:
    """The tests of a condition that hold, each as one line for a person; at most a handful."""
    lines: list[str] = []
    _explain(condition, "", low, lines)
    return tuple(dict.fromkeys(lines))[:_MAX_MATCHED]


def _explain(condition: Condition, name: str, low: Lowered, lines: list[str]) -> None:
    match condition:
        case Test():
            lines.extend(_reasons(condition, name, low))
        case Named(name=inner, part=part):
            _explain(part, inner, low, lines)
        case And(parts=parts):
            for part in parts:
                _explain(part, name, low, lines)
        case Or(parts=parts):
            for part in parts:
                if compile_condition(part)(low):
                    _explain(part, name, low, lines)
        case Not():
            pass  # what is absent explains nothing


def _reasons(test: Test, name: str, low: Lowered) -> list[str]:
    prefix = f"{name}: " if name else ""
    field = test.field or "any field"
    if test.op in (Op.EXISTS, Op.NULL):
        return [f"{prefix}{field} {'is present' if test.op is Op.EXISTS and all(test.values) else 'is absent'}"]
    singles = (Test(test.field, test.op, (value,), cased=test.cased) for value in test.values)
    return [f"{prefix}{field} {test.op.value} {single.values[0]!r}" for single in singles if compile_test(single)(low)]
