"""OpenTelemetry logs, OTLP 1.x in its JSON encoding: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding

Int64 values are texts there, and ids of the data model are lower-case attributes of the semantic conventions.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from collector.incident import Incident
from collector.publish.sinks.formats.facts import VERSION, Facts, evidence, first_last, kept, sentence, techniques_of
from collector.publish.sinks.port import Subject
from detection.finding import EntityKind

# SeverityNumber: INFO, INFO4, WARN, ERROR, FATAL
_SEVERITY = {1: 9, 2: 12, 3: 13, 4: 17, 5: 21}


def otlp_record(subject: Subject) -> bytes:
    """One LogRecord."""
    _, last = first_last(subject)
    incident = isinstance(subject, Incident)
    record = {
        "timeUnixNano": str(last),
        "severityNumber": _SEVERITY[int(subject.severity)],
        "severityText": subject.severity.label,
        "eventName": "vedette.incident" if incident else "vedette.finding",
        "body": {"stringValue": f"{subject.title}: {sentence(subject)}"},
        "attributes": [{"key": key, "value": any_value(value)} for key, value in _attributes(subject).items()],
    }
    return orjson.dumps(record)


def request_of(records: Iterable[bytes]) -> bytes:
    """An ExportLogsServiceRequest with these LogRecords."""
    resource = b'{"attributes":[{"key":"service.name","value":{"stringValue":"vedette"}}]}'
    scope = orjson.dumps({"name": "vedette", "version": VERSION})
    logs = b'{"scope":' + scope + b',"logRecords":[' + b",".join(records) + b"]}"
    return b'{"resourceLogs":[{"resource":' + resource + b',"scopeLogs":[' + logs + b"]}]}"


def any_value(value: Any) -> dict[str, Any]:
    """An AnyValue."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": str(value)}


def _attributes(subject: Subject) -> dict[str, Any]:
    techniques = techniques_of(subject)
    known: dict[str, Any] = {
        "vedette.id": subject.id,
        "vedette.techniques": list(dict.fromkeys(t for t, _ in techniques)),
        "vedette.tactics": list(dict.fromkeys(t for _, t in techniques)),
    }
    if isinstance(subject, Incident):
        known |= {
            "vedette.revision": subject.revision,
            "vedette.score": subject.score,
            "vedette.score_parts": list(subject.score_parts),
            "vedette.findings": [finding.id for finding in subject.findings[:1000]],
            "vedette.superseded_by": subject.superseded_by,
        }
        main = max(subject.findings, key=lambda f: (f.severity, f.time_ns, f.id))
        return kept(**known, **_conventions(Facts(main)))
    own = {f"vedette.field.{name}": value for name, value in evidence(subject).items()}
    rule = {"vedette.rule": subject.rule_id, "vedette.source": subject.source.value, "vedette.count": subject.count}
    return kept(**known, **rule, **_conventions(Facts(subject)), **own)


def _conventions(facts: Facts) -> dict[str, Any]:
    """https://opentelemetry.io/docs/specs/semconv/"""
    program, (namespace, pod) = facts.program, facts.pod
    process = {} if program is None else {
        "process.executable.path": program.path,
        "process.command_line": program.command,
        "process.pid": program.pid,
    }  # fmt: skip
    return process | {
        "container.id": facts.text("container.id") or facts.id(EntityKind.CONTAINER),
        "container.image.name": facts.text("container.image"),
        "k8s.namespace.name": namespace,
        "k8s.pod.name": pod,
        "k8s.pod.uid": facts.pod_uid,
        "host.name": facts.node,
        "user.name": facts.user,
        "source.address": facts.source_ip,
        "destination.address": facts.peer_ip,
        "destination.port": facts.peer_port,
    }
