"""How bad an incident is: 0..100, every point explained."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.correlate.tactics import in_order
from collector.incident import Join
from detection.finding import Finding, Kind, Severity

_BASE = {
    Severity.INFORMATIONAL: 2.0,
    Severity.LOW: 10.0,
    Severity.MEDIUM: 30.0,
    Severity.HIGH: 45.0,
    Severity.CRITICAL: 60.0,
}
_PER_RULE, _MAX_RULES = 2.0, 10.0
_PER_TACTIC, _MAX_TACTICS = 5.0, 25.0
_SOURCES = 15.0
_MAX_SURPRISE = 8.0


@dataclass(frozen=True, slots=True)
class Score:
    """Points, their make-up, and the severity they amount to."""

    points: float
    parts: tuple[str, ...]
    severity: Severity


def score_of(findings: Sequence[Finding], joins: Sequence[Join], tactics: Sequence[str]) -> Score:
    """Worst severity, distinct rules, tactics, sources and surprise; what rests on joins counts by their confidence."""
    worst = max(f.severity for f in findings)
    points = _BASE[worst]
    parts = [f"{points:.0f}: the worst finding is {worst.label}"]
    sure = _confidence(joins)
    for gain, text in _gains(findings, tactics):
        points += gain * sure
        parts.append(f"{gain * sure:.1f}: {text}")
    if sure < 1 and len(parts) > 1:
        parts.append(
            f"the joins hold with a mean confidence of {sure:.2f}, and points beyond the worst are scaled by it"
        )
    points = round(min(100.0, points), 1)
    return Score(points, tuple(parts), _severity(findings, worst, points, tactics))


def _gains(findings: Sequence[Finding], tactics: Sequence[str]) -> list[tuple[float, str]]:
    rules = {f.rule_id for f in findings if f.severity > Severity.INFORMATIONAL}
    sources = sorted({f.source.value for f in findings})
    surprise = max((f.surprise for f in findings if f.kind is Kind.ANOMALY), default=0.0)
    gains = []
    if len(rules) > 1:
        gains.append((min(_MAX_RULES, _PER_RULE * (len(rules) - 1)), f"{len(rules)} different detections"))
    if len(tactics) > 1:
        text = f"{len(tactics)} tactics along the kill chain: {', '.join(in_order(tactics))}"
        gains.append((min(_MAX_TACTICS, _PER_TACTIC * (len(tactics) - 1)), text))
    if len(sources) > 1:
        gains.append((_SOURCES, f"independent sources agree: {', '.join(sources)}"))
    if surprise > 0:
        gains.append(
            (min(_MAX_SURPRISE, surprise), f"the most surprising anomaly had a chance of 1 in 10^{surprise:.1f}")
        )
    return gains


def _severity(findings: Sequence[Finding], worst: Severity, points: float, tactics: Sequence[str]) -> Severity:
    if len(findings) < 2:
        return worst
    if len({f.source for f in findings}) > 1 and len(tactics) >= 4 and worst >= Severity.MEDIUM:
        return Severity.CRITICAL
    by_points = Severity.CRITICAL if points >= 85 else Severity.HIGH if points >= 55 else worst
    return max(worst, by_points)


def _confidence(joins: Sequence[Join]) -> float:
    return sum(j.confidence for j in joins) / len(joins) if joins else 1.0
