"""Audit events → findings: rules run over each stage, one finding per audit id and rule."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from collector.audit.facts import Facts, facts_of
from collector.audit.kubernetes import AuditEvent
from detection.finding import Finding, Kind, Source
from detection.rules.compile import Match
from detection.rules.flatten import flatten
from detection.rules.view import Document

RULE_KEY = "kubernetes/audit"
# Before authorisation: the same request comes again, with its outcome, at a later stage.
_TOO_EARLY = "RequestReceived"


class Rules(Protocol):
    """The part of a RuleSet that is needed here."""

    def match(self, key: str, doc: Document, /) -> tuple[Match, ...]:
        """Every rule of that kind of event that holds."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Findings of some events; `Detector.commit` takes it once they are stored."""

    findings: list[Finding]
    seen: tuple[tuple[str, str], ...]


class Detector:
    """Shared by all transports of one collector, so that a request seen by file and webhook is one finding.

    Remembers which rule has reported which audit id (bounded, oldest forgotten first), but only after `commit`:
    what was not stored is found again when the transport retries. One thread (the event loop).
    """

    def __init__(self, rules: Rules, remember: int = 100_000) -> None:
        self._rules = rules
        self._remember = remember
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def use(self, rules: Rules) -> None:
        """Replace the rules; takes effect with the next event."""
        self._rules = rules

    def detect(self, events: Iterable[AuditEvent]) -> Detection:
        """Findings not yet committed, in the order of the events."""
        findings: dict[tuple[str, str], Finding] = {}
        for event in events:
            self._counts["events"] += 1
            if event.stage == _TOO_EARLY:
                self._counts["early_stage"] += 1
                continue
            self._detect_one(event, findings)
        return Detection(list(findings.values()), tuple(findings))

    def commit(self, detection: Detection) -> None:
        """The findings are stored: do not report them again."""
        self._counts["findings"] += len(detection.findings)
        for key in detection.seen:
            self._seen[key] = None
        while len(self._seen) > self._remember:
            self._seen.popitem(last=False)

    def counters(self) -> Mapping[str, int]:
        """events, early_stage, repeated_stage, findings."""
        return dict(self._counts)

    def _detect_one(self, event: AuditEvent, findings: dict[tuple[str, str], Finding]) -> None:
        facts: Facts | None = None
        for match in self._rules.match(RULE_KEY, flatten(event.raw)):
            key = (event.audit_id, match.rule.id)
            if key in findings or key in self._seen:
                self._counts["repeated_stage"] += 1
                continue
            facts = facts or facts_of(event)
            findings[key] = _finding(event, match, facts)


def finding_id(audit_id: str, rule_id: str) -> str:
    """32 hex digits, the same for every stage and transport of one audit event."""
    return hashlib.sha256(f"kubernetes-audit\0{audit_id}\0{rule_id}".encode()).hexdigest()[:32]


def _finding(event: AuditEvent, match: Match, facts: Facts) -> Finding:
    rule = match.rule
    return Finding(
        id=finding_id(event.audit_id, rule.id),
        time_ns=event.time_ns,
        source=Source.KUBERNETES_AUDIT,
        kind=Kind.RULE,
        rule_id=rule.id,
        title=rule.title,
        severity=rule.level,
        reason=f"{facts.summary}. {rule.reason}".strip(),
        techniques=rule.techniques,
        entities=facts.entities,
        fields=facts.fields,
        matched=match.matched,
        advice=rule.advice,
    )
