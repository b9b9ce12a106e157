"""OCSF Detection Finding (class 2004), https://schema.ocsf.io/1.5.0/classes/detection_finding

An incident is one finding with the evidence of all of its findings; its id stays, so an update replaces what came
before (`activity_id` 1 create, 2 update, 3 close: merged into another).
"""

from pathlib import PurePosixPath
from typing import Any

import orjson

from collector.incident import Incident
from collector.publish.sinks.formats.facts import (
    TACTICS,
    VENDOR,
    VERSION,
    Facts,
    Program,
    entities_of,
    evidence,
    findings_of,
    first_last,
    kept,
    sentence,
    techniques_of,
)
from collector.publish.sinks.port import Subject
from detection.finding import Entity, EntityKind, Finding, Kind, Role

_MAX_BYTES = 900_000
_FEW = 10
_ACTIVITIES = {1: "Create", 2: "Update", 3: "Close"}
_SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
_STATES = {1: "New", 2: "In Progress", 4: "Resolved"}
# kind → (observable's type_id, its caption, attribute it is found at)
_OBSERVABLES = {
    EntityKind.ADDRESS: (2, "IP Address", "evidences.dst_endpoint.ip"),
    EntityKind.DOMAIN: (1, "Hostname", "evidences.query.hostname"),
    EntityKind.FILE: (45, "File Path", "evidences.file.path"),
    EntityKind.PROCESS: (39, "Linux Process Object: uid", "evidences.process.uid"),
    EntityKind.CONTAINER: (27, "Container", "evidences.container.uid"),
    EntityKind.USER: (4, "User Name", "evidences.actor.user.name"),
    EntityKind.CREDENTIAL: (19, "User Credential ID", "evidences.actor.user.credential_uid"),
}
_RESOURCES = {
    EntityKind.POD: "pod",
    EntityKind.WORKLOAD: "workload",
    EntityKind.NODE: "node",
    EntityKind.IMAGE: "image",
    EntityKind.SERVICE_ACCOUNT: "service account",
    EntityKind.ROLE: "role",
    EntityKind.CLOUD_ACCOUNT: "cloud account",
    EntityKind.CLOUD_RESOURCE: "cloud resource",
    EntityKind.KUBERNETES_OBJECT: "kubernetes object",
}


def ocsf(subject: Subject, version: str = "1.5.0") -> bytes:
    """One event; valid for 1.5 to 1.8."""
    first, last = first_last(subject)
    activity = _activity(subject)
    state = 4 if activity == 3 else activity
    event = kept(
        activity_id=activity,
        activity_name=_ACTIVITIES[activity],
        category_uid=2,
        category_name="Findings",
        class_uid=2004,
        class_name="Detection Finding",
        type_uid=200400 + activity,
        type_name=f"Detection Finding: {_ACTIVITIES[activity]}",
        severity_id=int(subject.severity),
        severity=_SEVERITIES[int(subject.severity)],
        status_id=state,
        status=_STATES[state],
        time=last // 10**6,
        start_time=first // 10**6,
        end_time=last // 10**6,
        message=f"{subject.title}: {sentence(subject)}",
        metadata=_metadata(subject, version),
        finding_info=_finding_info(subject, first, last),
        evidences=[_evidence(finding) for finding in findings_of(subject)],
        observables=_observables(subject),
        resources=_resources(subject),
        attacks=_attacks(subject),
        is_alert=True,
        unmapped=_unmapped(subject),
    )
    if isinstance(subject, Incident):
        event["risk_score"] = round(subject.score)
    elif subject.advice:
        event["remediation"] = {"desc": subject.advice}
        event["count"] = max(subject.count, 1)
    return _bounded(event)


def _bounded(event: dict[str, Any]) -> bytes:
    """As JSON; an incident too large for common far ends (1 MB) tells less of each finding, then of fewer."""
    body = orjson.dumps(event)
    if len(body) > _MAX_BYTES:
        event["evidences"] = [{k: v for k, v in e.items() if k not in ("data", "actor")} for e in event["evidences"]]
        body = orjson.dumps(event)
    if len(body) > _MAX_BYTES:
        event["evidences"] = event["evidences"][-_FEW:]
        body = orjson.dumps(event)
    return body


def _activity(subject: Subject) -> int:
    if isinstance(subject, Finding):
        return 1
    if subject.superseded_by:
        return 3
    return 2 if subject.revision > 1 else 1


def _metadata(subject: Subject, version: str) -> dict[str, Any]:
    incident = isinstance(subject, Incident)
    return kept(
        version=version,
        uid=f"{subject.id}-{subject.revision}" if isinstance(subject, Incident) else subject.id,
        product={"name": VENDOR, "vendor_name": VENDOR, "version": VERSION},
        profiles=["security_control"],
        log_name="incident" if incident else "finding",
        log_provider="correlation" if isinstance(subject, Incident) else subject.source.value,
        event_code="incident" if isinstance(subject, Incident) else subject.rule_id,
        correlation_uid=subject.superseded_by if isinstance(subject, Incident) else "",
    )


def _finding_info(subject: Subject, first: int, last: int) -> dict[str, Any]:
    found = kept(
        uid=subject.id,
        title=subject.title,
        desc=sentence(subject),
        created_time=first // 10**6,
        first_seen_time=first // 10**6,
        last_seen_time=last // 10**6,
        attacks=_attacks(subject),
    )
    if isinstance(subject, Finding):
        found["data_sources"] = [subject.source.value]
        found["analytic"] = _analytic(subject)
        return found
    findings = findings_of(subject)
    analytics = {finding.rule_id: _analytic(finding) for finding in findings}
    return found | kept(
        data_sources=list(subject.sources),
        analytic={"name": "incident", "uid": "incident", "type_id": 2, "type": "Behavioral"},
        related_analytics=list(analytics.values()),
        related_events=[_related(finding) for finding in findings],
        related_events_count=len(subject.findings),
    )


def _analytic(finding: Finding) -> dict[str, Any]:
    type_id, type_ = (1, "Rule") if finding.kind is Kind.RULE else (2, "Behavioral")
    return {"name": finding.title, "uid": finding.rule_id, "type_id": type_id, "type": type_}


def _related(finding: Finding) -> dict[str, Any]:
    return kept(
        uid=finding.id,
        title=finding.title,
        desc=finding.reason,
        type_uid=200401,
        type_name="Detection Finding: Create",
        severity_id=int(finding.severity),
        severity=_SEVERITIES[int(finding.severity)],
        first_seen_time=finding.time_ns // 10**6,
        last_seen_time=max(finding.last_ns, finding.time_ns) // 10**6,
        count=max(finding.count, 1),
    )


def _attacks(subject: Subject) -> list[dict[str, Any]]:
    found = []
    for technique, tactic in techniques_of(subject):
        part = {"sub_technique": {"uid": technique}} if "." in technique else {}
        attack = {"technique": {"uid": technique.partition(".")[0]}, **part}
        found.append(attack | kept(tactic=kept(name=tactic, uid=TACTICS.get(tactic))))
    return found


def _evidence(finding: Finding) -> dict[str, Any]:
    facts = Facts(finding)
    program = facts.program
    process = _process(program, facts.parent) if program is not None else {}
    user = kept(name=facts.user, credential_uid=facts.id(EntityKind.CREDENTIAL))
    return kept(
        uid=finding.id,
        name=finding.title,
        process=process,
        actor=kept(process=process, user=user),
        container=_container(facts),
        file=_file(facts.file),
        src_endpoint=kept(ip=facts.source_ip),
        dst_endpoint=kept(ip=facts.peer_ip, port=facts.peer_port, hostname=facts.text("DestinationHostname")),
        query=kept(hostname=facts.text("QueryName"), type=facts.text("QueryType")) if facts.text("QueryName") else {},
        api=kept(operation=facts.operation),
        data=evidence(finding) | {"matched": list(finding.matched), "reason": finding.reason},
    )


def _process(program: Program, parent: Program | None) -> dict[str, Any]:
    found = kept(
        uid=program.exec_id,
        name=program.name,
        path=program.path,
        pid=program.pid,
        cmd_line=program.command,
        file=_file(program.path),
        user=kept(name=program.user),
    )
    return found | (kept(parent_process=_process(parent, None)) if parent is not None else {})


def _container(facts: Facts) -> dict[str, Any]:
    uid = facts.text("container.id") or facts.id(EntityKind.CONTAINER)
    image = facts.entity(EntityKind.IMAGE)
    return kept(
        uid=uid,
        name=facts.text("container.name") or (facts.name(EntityKind.CONTAINER) if uid else ""),
        image=kept(uid=image.id, name=facts.text("container.image") or image.name) if image is not None else {},
        runtime=facts.text("container.runtime"),
        pod_uuid=facts.pod_uid,
        orchestrator="kubernetes" if facts.pod[1] else "",
    )


def _file(path: str) -> dict[str, Any]:
    if not path:
        return {}
    return {"path": path, "name": PurePosixPath(path).name or path, "type_id": 0}


def _observables(subject: Subject) -> list[dict[str, Any]]:
    found = []
    for entity in entities_of(subject):
        type_id, caption, place = _OBSERVABLES.get(entity.kind, (10, "Resource UID", "resources.uid"))
        if entity.kind is EntityKind.ADDRESS and entity.role is not Role.PEER:
            place = "evidences.src_endpoint.ip"
        found.append({"name": place, "type_id": type_id, "type": caption, "value": entity.id})
    return found


def _resources(subject: Subject) -> list[dict[str, Any]]:
    return [_resource(entity) for entity in entities_of(subject) if entity.kind in _RESOURCES]


def _resource(entity: Entity) -> dict[str, Any]:
    name = entity.name or entity.id
    namespace = name.partition("/")[0] if entity.kind in (EntityKind.POD, EntityKind.SERVICE_ACCOUNT) else ""
    return kept(uid=entity.id, name=name, type=_RESOURCES[entity.kind], namespace=namespace)


def _unmapped(subject: Subject) -> dict[str, Any]:
    if isinstance(subject, Finding):
        surprise = round(subject.surprise, 3)
        return kept(surprise=surprise or None, profile=subject.profile, lossy=subject.lossy or None)
    return kept(
        revision=subject.revision,
        score_parts=list(subject.score_parts),
        joins=[join.as_dict() for join in subject.joins[:200]],
        superseded_by=subject.superseded_by,
    )
