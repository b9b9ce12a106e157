"""The incident: findings that belong together, and why. What correlate gives and store keeps."""

from dataclasses import dataclass
from typing import Any

from detection.finding import Entity, Finding, Severity


@dataclass(frozen=True, slots=True)
class Join:
    """Why two findings belong together.

    `key` is the kind of key (pod_uid, container, process_tree, exec_audit_event …), `value` what
    both share; `confidence` is 0..1; `reason` says it in one sentence.
    """

    key: str
    value: str
    from_finding: str
    to_finding: str
    confidence: float
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return {
            "key": self.key,
            "value": self.value,
            "from": self.from_finding,
            "to": self.to_finding,
            "confidence": self.confidence,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Incident:
    """A composite alert. Findings are in order of event time; joins form a connected graph over them.

    `id` is stable over the incident's life; `revision` grows with every change. `score` is 0..100 and
    `score_parts` its make-up in sentences. `superseded_by` names the incident this one was merged into ("" while
    it stands).
    """

    id: str
    revision: int
    title: str
    severity: Severity
    score: float
    score_parts: tuple[str, ...]
    findings: tuple[Finding, ...]
    joins: tuple[Join, ...]
    actors: tuple[Entity, ...]
    tactics: tuple[str, ...]
    sources: tuple[str, ...]
    superseded_by: str = ""

    @property
    def first_ns(self) -> int:
        """Unix time of the first finding's event, nanoseconds."""
        return self.findings[0].time_ns

    @property
    def last_ns(self) -> int:
        """Unix time of the last finding's event, nanoseconds."""
        return max(f.last_ns or f.time_ns for f in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form, the one `vedette incidents` and the demo print."""
        return {
            "id": self.id,
            "revision": self.revision,
            "title": self.title,
            "severity": self.severity.label,
            "score": self.score,
            "score_parts": list(self.score_parts),
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "actors": [{"kind": a.kind.value, "id": a.id, "role": a.role.value, "name": a.name} for a in self.actors],
            "tactics": list(self.tactics),
            "sources": list(self.sources),
            "findings": [f.as_dict() for f in self.findings],
            "joins": [j.as_dict() for j in self.joins],
            "superseded_by": self.superseded_by,
        }
