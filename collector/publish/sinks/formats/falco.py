"""Falco's JSON output, which alert routers such as falcosidekick accept: https://falco.org/docs/outputs/formatting/"""

from typing import Any

import orjson

from collector.incident import Incident
from collector.publish.sinks.formats.facts import Facts, evidence, first_last, iso, kept, sentence, techniques_of
from collector.publish.sinks.port import Subject
from detection.finding import EntityKind, Finding, Source

_PRIORITY = {1: "Informational", 2: "Notice", 3: "Warning", 4: "Error", 5: "Critical"}
_SOURCE = {
    Source.RUNTIME: "syscall",
    Source.KUBERNETES_AUDIT: "k8s_audit",
    Source.AWS_CLOUDTRAIL: "aws_cloudtrail",
    Source.GCP_AUDIT: "gcp_auditlog",
}


def falco(subject: Subject) -> bytes:
    """One object; `output_fields` holds texts and numbers only."""
    _, last = first_last(subject)
    finding = _main(subject)
    facts = Facts(finding)
    priority = _PRIORITY[int(subject.severity)]
    incident = isinstance(subject, Incident)
    alert = {
        "uuid": f"{subject.id}-{subject.revision}" if isinstance(subject, Incident) else subject.id,
        "output": f"{iso(last)[11:]}: {priority} {subject.title}: {sentence(subject)}",
        "priority": priority,
        "rule": subject.title,
        "time": iso(last),
        "source": "vedette" if incident else _SOURCE.get(finding.source, finding.source.value),
        "tags": _tags(subject),
        "hostname": facts.node,
        "output_fields": _fields(facts) | _own(subject, last),
    }
    return orjson.dumps(alert)


def _main(subject: Subject) -> Finding:
    if isinstance(subject, Finding):
        return subject
    return max(subject.findings, key=lambda f: (f.severity, f.time_ns, f.id))


def _tags(subject: Subject) -> list[str]:
    techniques = techniques_of(subject)
    tactics = dict.fromkeys(f"mitre_{tactic.replace('-', '_')}" for _, tactic in techniques)
    return [*tactics, *dict.fromkeys(technique for technique, _ in techniques)]


def _fields(facts: Facts) -> dict[str, Any]:
    program, parent, (namespace, pod) = facts.program, facts.parent, facts.pod
    fields = kept(
        **{
            "container.id": facts.text("container.id") or facts.id(EntityKind.CONTAINER),
            "container.name": facts.text("container.name"),
            "container.image.repository": facts.text("container.image"),
            "container.image.digest": facts.id(EntityKind.IMAGE),
            "k8s.ns.name": namespace,
            "k8s.pod.name": pod,
            "k8s.pod.uid": facts.pod_uid,
            "user.name": facts.user,
            "fd.name": facts.file,
            "fd.sip": facts.peer_ip,
            "fd.sport": facts.peer_port,
        }
    )
    for kind, found in (("", program), ("p", parent)):
        if found is not None:
            fields |= kept(
                **{
                    f"proc.{kind}name": found.name,
                    f"proc.{kind}exepath": found.path,
                    f"proc.{kind}cmdline": found.command,
                    f"proc.{kind}pid": found.pid,
                }
            )
    return fields


def _own(subject: Subject, last: int) -> dict[str, Any]:
    """What is Vedette's own, flat: routers show and match only texts and numbers."""
    fields: dict[str, Any] = {"evt.time": last, "vedette.id": subject.id, "vedette.severity": subject.severity.label}
    if isinstance(subject, Incident):
        merged = kept(**{"vedette.superseded_by": subject.superseded_by})
        return fields | merged | {
            "vedette.revision": subject.revision,
            "vedette.score": subject.score,
            "vedette.findings": len(subject.findings),
            "vedette.sources": ", ".join(subject.sources),
        }  # fmt: skip
    own = {f"vedette.{name}": _flat(value) for name, value in evidence(subject).items()}
    return own | fields | {"vedette.rule": subject.rule_id, "vedette.reason": subject.reason}


def _flat(value: Any) -> str | int | float:
    if isinstance(value, list):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else value
