"""The detect stage: observations in, findings out."""

import hashlib
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial

from agent.corrections import is_unfinished
from agent.detect.calls import name_of, operation_of
from agent.detect.cleared import Cleared
from agent.detect.document import RuntimeDocument, bounded, evidence
from agent.detect.entities import entities_of
from agent.detect.fields import categories_of, target_path
from agent.detect.repeats import Repeats
from agent.detect.sockets import peer_of
from agent.events import Call, Connection, Dns, Exec, PathChange, Socket
from agent.observation import Anomaly, Observation
from agent.workload import Identified
from detection.finding import Entity, FieldValue, Finding, Kind, Severity, Source
from detection.redact import redact_text
from detection.rules import Match, RuleSet
from detection.rules.windows import Story, Windows

WINDOW_NS = 60_000_000_000
REPORT_NS = 5_000_000_000
CAPACITY = 4096
_OF_CONTAINER = ("container.", "k8s.", "cloud.", "workload")
_VERBS = {
    "exec": "ran", "write": "wrote", "read": "read", "egress": "connected", "ingress": "was connected to",
    "listen": "listened", "credential": "changed who it is", "capability": "changed what it may do", "call": "called",
}  # fmt: skip


class Detector:
    """Runs every rule over every event and turns matches and anomalies into findings.

    Not thread-safe. The same rule on the same object in the same container and entered tree gives one finding per
    window: the first at once, repeats as a growing count under the same id (`flush`). `about` is what every finding
    says of the machine.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        node: str,
        clock: Callable[[], int] = time.time_ns,
        window_ns: int = WINDOW_NS,
        capacity: int = CAPACITY,
        *,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self._rules = ruleset
        self._cleared = Cleared(ruleset.rules)
        self._windows = Windows(ruleset.correlations)
        self._node = node
        self._about = dict(about or {})
        self._clock = clock
        self._repeats = Repeats(window_ns, capacity, REPORT_NS)
        self._findings = 0

    def detect(self, observation: Observation) -> list[Finding]:
        """Findings of one event: one for each rule that holds and each anomaly, less repeats."""
        identified = observation.identified
        category, kinds = "", categories_of(identified)
        event = identified.event
        key = self._cleared.key(identified, event) if isinstance(event, Exec) else None
        matches: tuple[Match, ...] = ()
        stories: list[Story] = []
        for kind in kinds if key is None or key not in self._cleared else ():
            document = RuntimeDocument(identified, kind, self._node)
            if found_here := self._rules.match(kind, document):
                category, matches = category or kind, (*matches, *found_here)
                stories += self._stories(found_here, document, identified)
        if key is not None and not matches:
            self._cleared.add(key, identified)
        if not matches and not observation.anomalies:
            return []
        case = _Case(identified, category or "".join(kinds[:1]), self._node, self._clock(), self._about)
        found: list[Finding] = []
        for match in matches:
            if match.rule.id not in self._rules.parts:
                self._admit(found, case, match.rule.id, case.object, partial(case.of_rule, match))
        found += [case.of_story(story) for story in stories]
        for anomaly in observation.anomalies:
            rule_id = f"anomaly.{anomaly.behaviour}"
            self._admit(found, case, rule_id, anomaly.member, partial(case.of_anomaly, anomaly))
        return found

    def flush(self, now_ns: int) -> list[Finding]:
        """Findings whose count grew: the same id, the new count, the time of the last repeat."""
        return list(self._repeats.flush(now_ns))

    def drain(self) -> list[Finding]:
        """Every count not yet told, whatever its age; call before the process ends."""
        return list(self._repeats.drain())

    def replace_rules(self, ruleset: RuleSet) -> None:
        """Use other rules from the next event on; windows of repeats go on, and of correlations that did not change."""
        self._rules = ruleset
        self._cleared = Cleared(ruleset.rules)
        self._windows.use(ruleset.correlations)

    def _stories(self, matches: tuple[Match, ...], document: RuntimeDocument, identified: Identified) -> list[Story]:
        """What the matches add to correlations; what a team has excepted adds nothing."""
        time_ns, exec_id = identified.event.head.time_ns, identified.process.exec_id
        counted = [m.rule.id for m in matches if not m.excepted and self._windows.uses(m.rule.id)]
        return [s for rule in counted for s in self._windows.observe(rule, document, time_ns, f"{exec_id}@{time_ns}")]

    def counters(self) -> dict[str, int]:
        """Findings given, repeats folded into them, windows open now and closed early for want of room."""
        return {
            "findings": self._findings,
            "repeats": self._repeats.repeats,
            "windows": len(self._repeats),
            "windows_evicted": self._repeats.evicted,
        }

    def _admit(
        self, found: list[Finding], case: "_Case", rule_id: str, obj: Hashable, make: Callable[[], Finding]
    ) -> None:
        key = (rule_id, case.tree, case.container, obj)
        if self._repeats.seen(key, case.time_ns, case.now_ns):
            return
        finding = make()
        if case.incomplete:
            finding = replace(finding, incomplete=True)
        found.extend(self._repeats.open(key, finding, case.now_ns))
        found.append(finding)
        self._findings += 1

    def correct(self, finding: Finding, identified: Identified) -> Finding:
        """A finding sent before its container was fully known, with what is known now; repeats of it know it too."""
        kind = next(iter(categories_of(identified)), "")
        now_known = evidence(identified, kind, self._node)
        fields = {**finding.fields, **{k: v for k, v in now_known.items() if k.startswith(_OF_CONTAINER)}}
        before = finding.fields.get("workload")
        title = finding.title
        if finding.kind is Kind.ANOMALY and isinstance(before, str):
            title = title.replace(before, identified.workload.key, 1)
        corrected = replace(
            finding, title=title, entities=entities_of(identified, self._node), fields=fields, incomplete=False
        )
        return self._repeats.correct(corrected)


class _Case:
    """What all findings of one event share."""

    def __init__(self, identified: Identified, category: str, node: str, now_ns: int, about: Mapping[str, str]) -> None:
        process = identified.process
        self._identified = identified
        self._node = node
        self.now_ns = now_ns
        self.time_ns = identified.event.head.time_ns
        self.tree = process.entry_id
        self.container = process.container_id
        self.object = _object(identified)
        self.incomplete = is_unfinished(identified.container)
        self._category = category
        self._about = about
        self._shared: tuple[tuple[Entity, ...], dict[str, FieldValue]] | None = None

    def of_rule(self, match: Match) -> Finding:
        rule = match.rule
        entities, fields = self._evidence()
        return Finding(
            id=self._id(rule.id, self.object),
            time_ns=self.time_ns,
            source=Source.RUNTIME,
            kind=Kind.RULE,
            rule_id=rule.id,
            title=rule.title,
            severity=Severity.INFORMATIONAL if match.excepted else rule.level,
            reason=rule.reason,
            techniques=rule.techniques,
            entities=entities,
            fields=fields | {"excepted_by": match.excepted} if match.excepted else fields,
            matched=tuple(bounded(m, 256) for m in match.matched),
            advice=rule.advice,
        )

    def of_story(self, story: Story) -> Finding:
        rule = story.correlation
        entities, fields = self._evidence()
        return Finding(
            id=story.id,
            time_ns=story.first_ns,
            last_ns=story.last_ns,
            source=Source.RUNTIME,
            kind=Kind.RULE,
            rule_id=rule.id,
            title=rule.title,
            severity=rule.level,
            reason=f"{story.sentence()} {rule.reason}".strip(),
            techniques=rule.techniques,
            entities=entities,
            fields=fields | {k: bounded(v) if isinstance(v, str) else v for k, v in story.evidence().items()},
            advice=rule.advice,
            count=story.count,
        )

    def of_anomaly(self, anomaly: Anomaly) -> Finding:
        rule_id = f"anomaly.{anomaly.behaviour}"
        entities, fields = self._evidence()
        member = bounded(redact_text(anomaly.member), 512)
        verb = _VERBS.get(anomaly.behaviour, "did")
        return Finding(
            id=self._id(rule_id, anomaly.member),
            time_ns=self.time_ns,
            source=Source.RUNTIME,
            kind=Kind.ANOMALY,
            rule_id=rule_id,
            title=f"{self._identified.workload.key} {verb} for the first time: {member}",
            severity=anomaly.severity,
            reason=bounded(" ".join(redact_text(r) for r in anomaly.reasons)),
            techniques=anomaly.techniques,
            entities=entities,
            fields=fields,
            matched=tuple(f"nearest known: {bounded(redact_text(n), 256)}" for n in anomaly.nearest[:5]),
            surprise=anomaly.surprise,
            profile=f"{anomaly.state}, {anomaly.completeness:.1%} complete",
        )

    def _evidence(self) -> tuple[tuple[Entity, ...], dict[str, FieldValue]]:
        if self._shared is None:
            self._shared = (
                entities_of(self._identified, self._node),
                {**evidence(self._identified, self._category, self._node), **self._about},
            )
        return self._shared

    def _id(self, rule_id: str, obj: Hashable) -> str:
        parts = (self._node, rule_id, self._identified.process.exec_id, str(self.time_ns), repr(obj))
        return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()


def _object(identified: Identified) -> Hashable:
    """What the event was done to: repeats on the same one are one finding."""
    event = identified.event
    if isinstance(event, Exec):
        return (identified.process.path, identified.process.argv)
    if isinstance(event, Connection):
        return (peer_of(event), event.peer_port)
    if isinstance(event, Call):
        target = identified.target
        return (name_of(event), operation_of(event), event.text, target.exec_id if target else event.args[:1])
    if isinstance(event, Dns | Socket):
        return _of_network(event)
    if isinstance(event, PathChange):
        return (event.op, target_path(identified))
    return target_path(identified)


def _of_network(event: Dns | Socket) -> Hashable:
    if isinstance(event, Dns):
        return (event.question, event.question_type)
    return (event.op, peer_of(event) or event.name, event.peer_port or event.local_port, event.protocol)
