"""Audit records → findings: one finding per record's own id and rule, whatever way the record came."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.audit.format import Format
from collector.audit.record import AuditRecord, Facts
from collector.plain import plain
from detection.finding import Finding, Kind, Severity, Source
from detection.rules.compile import Match
from detection.rules.correlation import Correlation
from detection.rules.nested import Nested
from detection.rules.taxonomy import aliases_of
from detection.rules.view import Document
from detection.rules.windows import Story, Windows

Key = tuple[Source, str, str]  # a record's own id and a rule's
ANOMALY = "anomaly"  # in place of a rule's, for what is new in a record


class Rules(Protocol):
    """The part of a RuleSet that is needed here."""

    @property
    def correlations(self) -> tuple[Correlation, ...]:
        """Rules over several events."""

    @property
    def parts(self) -> frozenset[str]:
        """Ids of rules that only correlations use."""

    def match(self, key: str, doc: Document, /) -> tuple[Match, ...]:
        """Every rule of that kind of event that holds."""


class Behaviour(Protocol):
    """What principals do, learned. Beside the port: `NoBehaviour`."""

    def observe(self, form: Format, record: AuditRecord, condemned: bool, /) -> Finding | None:
        """Learn from a record; a finding where it shows something new. `condemned`: a rule of medium or higher held."""

    def told(self, findings: Sequence[Finding], /) -> None:
        """These are stored, among them some of its own."""


class NoBehaviour:
    """Learns nothing."""

    def observe(self, _form: Format, _record: AuditRecord, _condemned: bool, /) -> Finding | None:
        """Nothing is new."""
        return None

    def told(self, _findings: Sequence[Finding], /) -> None:
        """None is its own."""


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

    def __init__(self, rules: Rules, remember: int = 100_000, behaviour: Behaviour | None = None) -> None:
        self._rules = rules
        self._behaviour: Behaviour = behaviour or NoBehaviour()
        self._windows = Windows(rules.correlations)
        self._remember = remember
        self._seen: OrderedDict[Key, None] = OrderedDict()
        # A correlation tells its story once, and what is new is new once: kept until it is stored.
        self._untold: dict[Key, Finding] = {}
        self._counts: Counter[str] = Counter()

    def use(self, rules: Rules) -> None:
        """Replace the rules from the next event on; windows of correlations that did not change go on."""
        self._rules = rules
        self._windows.use(rules.correlations)

    def detect(self, form: Format, records: Iterable[AuditRecord]) -> Detection:
        """Findings not yet committed, in the order of the records."""
        findings = dict(self._untold)
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
        self._behaviour.told(detection.findings)
        for key in detection.seen:
            self._seen[key] = None
            self._untold.pop(key, None)
        while len(self._seen) > self._remember:
            self._seen.popitem(last=False)

    def counters(self) -> Mapping[str, int]:
        """events, early_stage, repeated_stage, findings."""
        return dict(self._counts)

    def _detect_one(self, form: Format, record: AuditRecord, findings: dict[Key, Finding]) -> None:
        facts: Facts | None = None
        document = Nested(record.raw, aliases_of(record.rule_key))
        worst = 0
        for match in self._rules.match(record.rule_key, document):
            rule_id = match.rule.id
            key = (form.source, record.event_id, rule_id)
            if key in findings or key in self._seen:
                self._counts["repeated_stage"] += 1
                continue
            facts = facts or form.facts_of(record)
            if rule_id not in self._rules.parts:
                findings[key] = _finding(form.source, record, match, facts)
            if not match.excepted:
                worst = max(worst, match.rule.level if rule_id not in self._rules.parts else 0)
                for story in self._windows.observe(rule_id, document, record.time_ns, record.event_id):
                    told = (form.source, story.id, str(story.count))
                    findings[told] = self._untold[told] = _of_story(form.source, story, facts)
                    worst = max(worst, story.correlation.level)
        news = self._behaviour.observe(form, record, worst >= Severity.MEDIUM)
        if news is not None:
            key = (form.source, record.event_id, ANOMALY)
            findings[key] = self._untold[key] = news


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
        severity=Severity.INFORMATIONAL if match.excepted else rule.level,
        reason=f"{facts.summary}. {rule.reason}".strip(),
        techniques=rule.techniques,
        entities=facts.entities,
        fields={**facts.fields, "excepted_by": match.excepted} if match.excepted else facts.fields,
        matched=match.matched,
        advice=rule.advice,
    )


def _of_story(source: Source, story: Story, facts: Facts) -> Finding:
    """A correlation's finding, with the facts of the event that completed it."""
    rule = story.correlation
    return Finding(
        id=story.id,
        time_ns=story.first_ns,
        last_ns=story.last_ns,
        source=source,
        kind=Kind.RULE,
        rule_id=rule.id,
        title=rule.title,
        severity=rule.level,
        reason=f"{plain(story.sentence(), 512)} {facts.summary}. {rule.reason}".strip(),
        techniques=rule.techniques,
        entities=facts.entities,
        fields={**facts.fields, **story.evidence()},
        advice=rule.advice,
        count=story.count,
    )
