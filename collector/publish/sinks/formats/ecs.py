"""Elastic Common Schema 8.17, https://www.elastic.co/guide/en/ecs/8.17/

What ECS has no name for is below `vedette`.
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
    iso,
    kept,
    sentence,
    techniques_of,
)
from collector.publish.sinks.port import Subject
from detection.finding import EntityKind, Finding

ECS_VERSION = "8.17.0"
_RISK = {1: 5.0, 2: 21.0, 3: 47.0, 4: 73.0, 5: 99.0}  # the numbers Elastic's own rules give these levels


def ecs(subject: Subject) -> bytes:
    """One document."""
    first, last = first_last(subject)
    main = _main(subject)
    facts = Facts(main)
    namespace, pod = facts.pod
    techniques = techniques_of(subject)
    tactics = list(dict.fromkeys(tactic for _, tactic in techniques))
    document = {
        "@timestamp": iso(last),
        "ecs": {"version": ECS_VERSION},
        "message": f"{subject.title}: {sentence(subject)}",
        "event": _event(subject, first, last),
        "observer": {"vendor": VENDOR, "product": VENDOR, "type": "sensor", "version": VERSION},
    } | kept(
        rule=_rule(subject),
        threat=_threat(techniques, tactics),
        process=_process(facts.program, facts.parent),
        container=_container(facts),
        orchestrator=kept(type="kubernetes", namespace=namespace, resource=kept(type="pod", name=pod, id=facts.pod_uid))
        if pod
        else {},
        host=kept(name=facts.node),
        user=kept(name=facts.user),
        source=kept(ip=facts.source_ip),
        destination=kept(ip=facts.peer_ip, port=facts.peer_port, domain=facts.text("DestinationHostname")),
        file=kept(path=facts.file, name=PurePosixPath(facts.file).name) if facts.file else {},
        dns=kept(question=kept(name=facts.text("QueryName"), type=facts.text("QueryType"))),
        related=_related(subject),
        vedette=_own(subject),
    )
    return orjson.dumps(document)


def _main(subject: Subject) -> Finding:
    """The finding whose process, container and so on the document is about: an incident's most severe, latest."""
    if isinstance(subject, Finding):
        return subject
    return max(subject.findings, key=lambda f: (f.severity, f.time_ns, f.id))


def _event(subject: Subject, first: int, last: int) -> dict[str, Any]:
    incident = isinstance(subject, Incident)
    return kept(
        kind="alert",
        id=f"{subject.id}-{subject.revision}" if isinstance(subject, Incident) else subject.id,
        category=["threat"] if incident else ["intrusion_detection"],
        type=["indicator"] if incident else ["info"],
        module="vedette",
        dataset="vedette.incident" if incident else "vedette.finding",
        provider="correlation" if isinstance(subject, Incident) else subject.source.value,
        severity=int(subject.severity),
        risk_score=round(subject.score, 1) if isinstance(subject, Incident) else _RISK[int(subject.severity)],
        start=iso(first),
        end=iso(last),
        reason=sentence(subject),
        code="" if isinstance(subject, Incident) else subject.rule_id,
    )


def _rule(subject: Subject) -> dict[str, Any]:
    if isinstance(subject, Incident):
        return {}
    return {"id": subject.rule_id, "name": subject.title, "ruleset": subject.kind.value}


def _threat(techniques: list[tuple[str, str]], tactics: list[str]) -> dict[str, Any]:
    if not techniques:
        return {}
    whole = list(dict.fromkeys(t.partition(".")[0] for t, _ in techniques))
    parts = [t for t, _ in techniques if "." in t]
    tactic = kept(name=tactics, id=[TACTICS[t] for t in tactics if t in TACTICS])
    technique = kept(id=whole, subtechnique=kept(id=list(dict.fromkeys(parts))))
    return kept(framework="MITRE ATT&CK", tactic=tactic, technique=technique)


def _process(program: Program | None, parent: Program | None) -> dict[str, Any]:
    if program is None:
        return {}
    return kept(
        entity_id=program.exec_id,
        name=program.name,
        executable=program.path,
        command_line=program.command,
        pid=program.pid,
        user=kept(name=program.user),
        parent=_process(parent, None),
    )


def _container(facts: Facts) -> dict[str, Any]:
    digest = facts.id(EntityKind.IMAGE)
    return kept(
        id=facts.text("container.id") or facts.id(EntityKind.CONTAINER),
        name=facts.text("container.name"),
        runtime=facts.text("container.runtime"),
        image=kept(
            name=facts.text("container.image") or facts.name(EntityKind.IMAGE),
            hash=kept(all=[digest] if digest.startswith("sha256:") else []),
        ),
    )


def _related(subject: Subject) -> dict[str, Any]:
    entities = entities_of(subject)

    def ids(*kinds: EntityKind) -> list[str]:
        return [e.id for e in entities if e.kind in kinds]

    return kept(
        ip=[ip for finding in findings_of(subject) for ip in _addresses(Facts(finding))],
        hosts=ids(EntityKind.NODE, EntityKind.DOMAIN),
        user=ids(EntityKind.USER, EntityKind.SERVICE_ACCOUNT, EntityKind.ROLE),
    )


def _addresses(facts: Facts) -> list[str]:
    return [ip for ip in dict.fromkeys((facts.source_ip, facts.peer_ip)) if ip]


def _own(subject: Subject) -> dict[str, Any]:
    if isinstance(subject, Finding):
        return {"finding": subject.as_dict() | {"fields": _texts(subject)}}
    findings = [
        {"id": f.id, "time": iso(f.time_ns), "rule": f.rule_id, "title": f.title, "severity": f.severity.label}
        for f in findings_of(subject)
    ]
    return {
        "incident": kept(
            id=subject.id,
            revision=subject.revision,
            score=subject.score,
            score_parts=list(subject.score_parts),
            sources=list(subject.sources),
            findings=findings,
            finding_count=len(subject.findings),
            joins=[join.as_dict() for join in subject.joins[:200]],
            superseded_by=subject.superseded_by,
        )
    }


def _texts(finding: Finding) -> dict[str, Any]:
    """Dots in names would become objects in Elasticsearch, and `process` with `process.tty` would clash."""
    return {name.replace(".", "_"): value for name, value in evidence(finding).items()}
