"""A timeline's lines: findings of one act are one moment, and where there are too many the telling ones are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detection.finding import Severity

Plain = Mapping[str, Any]  # a finding, as `Finding.as_dict` gives it

_ACT_NS = 500_000_000  # what a process does this soon after its last finding is the same act


@dataclass(frozen=True, slots=True)
class Moment:
    """Findings about one act, the worst first, rules before anomalies. `number` counts moments by time, from 1."""

    number: int
    findings: tuple[Plain, ...]

    @property
    def worst(self) -> Plain:
        """Gives the line its severity."""
        return self.findings[0]

    @property
    def telling(self) -> Plain:
        """Gives the line its words: a rule where one of medium severity or higher agrees, it says more to people."""
        rules = [f for f in self.findings if f["kind"] == "rule" and _severity(f) >= Severity.MEDIUM]
        return rules[0] if rules else self.worst

    @property
    def rank(self) -> tuple[int, bool, int]:
        """How telling it is: severity, whether the control plane says it, how many findings agree."""
        return _severity(self.worst), self.worst["source"] != "runtime", len(self.findings)


def moments(findings: Sequence[Plain]) -> list[Moment]:
    """Group findings, which come in order of time, by the process or the audit record they are about."""
    groups: list[list[Plain]] = []
    open_: dict[str, list[Plain]] = {}
    for finding in findings:
        key = _act(finding)
        group = open_.get(key)
        if group is None or finding["time_ns"] - group[-1]["time_ns"] > _ACT_NS:
            group = open_[key] = []
            groups.append(group)
        group.append(finding)
    return [Moment(number, tuple(sorted(group, key=_order))) for number, group in enumerate(groups, 1)]


def most_telling(found: Sequence[Moment], limit: int) -> list[Moment]:
    """The `limit` most telling moments, in order of time; the first of equals."""
    kept = sorted(found, key=lambda m: (tuple(-part for part in m.rank), m.number))[:limit]
    return sorted(kept, key=lambda m: m.number)


def _act(finding: Plain) -> str:
    """Whose act it is: the process, or the audit record; findings with neither stand alone."""
    for kind in ("process", "audit_event"):
        for entity in finding["entities"]:
            if entity["kind"] == kind and entity["role"] == "actor":
                return f"{kind}:{entity['id']}"
    return f"finding:{finding['id']}"


def _order(finding: Plain) -> tuple[int, bool, int]:
    return -_severity(finding), finding["kind"] != "rule", finding["time_ns"]


def _severity(finding: Plain) -> int:
    try:
        return Severity[str(finding["severity"]).upper()].value
    except KeyError:
        return 0
