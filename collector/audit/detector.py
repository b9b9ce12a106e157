"""Audit records → findings: one finding per record's own id and rule, whatever way the record came."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from collector.audit.format import Format
from collector.audit.record import AuditRecord, Facts
from detection.finding import Finding, Kind, Source
from detection.rules.compile import Match
from detection.rules.flatten import flatten
from detection.rules.view import Document

Key = tuple[Source, str, str]  # a record's own id and a rule's


class Rules(Protocol):
    """The part of a RuleSet that is needed here."""

    def match(self, key: str, doc: Document, /) -> tuple[Match, ...]:
        """Every rule of that kind of event that holds."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Findings of some records; `Detector.commit` takes it once they are stored."""

    findings: list[Finding]
    seen: tuple[Key, ...]


class Detector:
    """Shared by all transports of one collector, so that a request seen by file and webhook is one finding.

    Remembers which rule has reported which record (bounded, oldest forgotten first), but only after `commit`:
    what was not stored is found again when the transport retries. One thread (the event loop).
    """

    def __init__(self, rules: Rules, remember: int = 100_000) -> None:
        self._rules = rules
        self._remember = remember
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def use(self, rules: Rules) -> None:
        """Replace the rules; takes effect with the next event."""
        self._rules = rules

    def detect(self, form: Format, records: Iterable[AuditRecord]) -> Detection:
        """Findings not yet committed, in the order of the records."""
        findings: dict[Key, Finding] = {}
        for record in records:
            self._counts["events"] += 1
            if record.early:
                self._counts["early_stage"] += 1
                continue
            self._detect_one(form, record, findings)
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

    def _detect_one(self, form: Format, record: AuditRecord, findings: dict[Key, Finding]) -> None:
        facts: Facts | None = None
        for match in self._rules.match(record.rule_key, flatten(record.raw)):
            key = (form.source, record.event_id, match.rule.id)
            if key in findings or key in self._seen:
                self._counts["repeated_stage"] += 1
                continue
            facts = facts or form.facts_of(record)
            findings[key] = _finding(form.source, record, match, facts)


def finding_id(source: Source, event_id: str, rule_id: str) -> str:
    """32 hex digits, the same for every stage and transport of one record."""
    return hashlib.sha256(f"{source}\0{event_id}\0{rule_id}".encode()).hexdigest()[:32]


def _finding(source: Source, record: AuditRecord, match: Match, facts: Facts) -> Finding:
    rule = match.rule
    return Finding(
        id=finding_id(source, record.event_id, rule.id),
        time_ns=record.time_ns,
        source=source,
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
