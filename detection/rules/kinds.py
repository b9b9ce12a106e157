"""Which process a rule is for: rules over runtime events run in agents, rules over audit logs in the collector."""

from detection.rules.codec import Compiled
from detection.rules.correlation import Correlation

_AUDIT_PRODUCTS = frozenset({"kubernetes", "aws", "gcp", "azure", "waf"})


def kind_of(key: str) -> str:
    """`runtime` or `audit`: where rules over such events belong."""
    return "audit" if key.partition("/")[0] in _AUDIT_PRODUCTS else "runtime"


def part_of(compiled: Compiled, kind: str) -> Compiled:
    """What of a set belongs to one kind, correlations included."""
    mine = tuple(rule for rule in compiled.rules if kind_of(rule.key) == kind)
    together = _reaching({rule.id for rule in mine}, compiled.correlations)
    return Compiled(mine, together, tuple(e for e in compiled.exemptions if kind_of(e.key) == kind))


def _reaching(names: set[str], correlations: tuple[Correlation, ...]) -> tuple[Correlation, ...]:
    """The correlations over these rules, and over such correlations."""
    found: list[Correlation] = []
    while more := [c for c in correlations if c not in found and names & set(c.rules)]:
        found += more
        names = names | {c.id for c in more}
    return tuple(found)
