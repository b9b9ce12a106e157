"""Findings and incidents as messages for readers, and back (the command line is a reader)."""

from vedette.v1 import event_pb2, finding_pb2

from collector.incident import Incident, Join
from collector.receive.wire import entity_from_message, finding_from_message
from detection.finding import Entity, FieldValue, Finding, Severity

_INT64 = range(-(1 << 63), 1 << 63)


def severity_name(severity: int) -> str:
    """The wire's name of a severity."""
    return f"SEVERITY_{Severity(severity).name}"


def finding_message(finding: Finding) -> finding_pb2.Finding:
    """A finding as readers get it."""
    message = finding_pb2.Finding(
        id=finding.id,
        time_ns=finding.time_ns,
        last_ns=finding.last_ns,
        source=finding.source.value,
        kind=finding.kind.value,
        rule_id=finding.rule_id,
        title=finding.title,
        severity=severity_name(finding.severity),
        reason=finding.reason,
        advice=finding.advice,
        techniques=[finding_pb2.Technique(id=t.id, tactic=t.tactic) for t in finding.techniques],
        entities=[_entity(entity) for entity in finding.entities],
        matched=finding.matched,
        count=finding.count,
        surprise=finding.surprise,
        profile=finding.profile,
        lossy=finding.lossy,
        incomplete=finding.incomplete,
    )
    for name, value in finding.fields.items():
        _set_field(message.fields[name], value)
    return message


def incident_message(incident: Incident, *, brief: bool = False) -> event_pb2.Incident:
    """An incident as readers get it; `brief` leaves out findings and joins."""
    return event_pb2.Incident(
        id=incident.id,
        revision=incident.revision,
        title=incident.title,
        severity=severity_name(incident.severity),
        score=incident.score,
        score_parts=incident.score_parts,
        first_ns=incident.first_ns,
        last_ns=incident.last_ns,
        actors=[_entity(actor) for actor in incident.actors],
        findings=() if brief else [finding_message(finding) for finding in incident.findings],
        joins=() if brief else [_join(join) for join in incident.joins],
        tactics=incident.tactics,
        finding_count=len(incident.findings),
        sources=incident.sources,
        superseded_by=incident.superseded_by,
    )


def incident_from_message(message: event_pb2.Incident) -> Incident:
    """A whole incident. Raises: MessageError, ValueError where it is not one."""
    return Incident(
        id=message.id,
        revision=message.revision,
        title=message.title,
        severity=Severity(message.severity),
        score=message.score,
        score_parts=tuple(message.score_parts),
        findings=tuple(finding_from_message(finding) for finding in message.findings),
        joins=tuple(Join(j.key, j.value, j.from_finding, j.to_finding, j.confidence, j.reason) for j in message.joins),
        actors=tuple(entity_from_message(actor) for actor in message.actors),
        tactics=tuple(message.tactics),
        sources=tuple(message.sources),
        superseded_by=message.superseded_by,
    )


def _join(join: Join) -> event_pb2.Join:
    return event_pb2.Join(
        key=join.key,
        value=join.value,
        from_finding=join.from_finding,
        to_finding=join.to_finding,
        confidence=join.confidence,
        reason=join.reason,
    )


def _entity(entity: Entity) -> finding_pb2.Entity:
    return finding_pb2.Entity(kind=entity.kind.value, id=entity.id, role=entity.role.value, name=entity.name)


def _set_field(message: finding_pb2.FieldValue, value: FieldValue | None) -> None:
    if isinstance(value, bool):
        message.truth = value
    elif isinstance(value, int) and value in _INT64:
        message.integer = value
    elif isinstance(value, float):
        message.real = value
    elif isinstance(value, tuple):
        message.list.items.extend(value)
        message.list.SetInParent()  # an empty tuple is a value too
    else:
        message.text = str(value)
