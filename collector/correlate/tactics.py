"""ATT&CK tactics in the order of an intrusion."""

from collections.abc import Iterable

KILL_CHAIN = (
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "stealth",
    "defense-evasion",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
)
_RANK = {tactic: rank for rank, tactic in enumerate(KILL_CHAIN)}


def in_order(tactics: Iterable[str]) -> tuple[str, ...]:
    """Distinct tactics along the kill chain; unknown ones last, by name."""
    return tuple(sorted(set(tactics), key=lambda t: (_RANK.get(t, len(_RANK)), t)))
