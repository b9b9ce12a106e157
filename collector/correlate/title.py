"""An incident's title: who → where: what, in plain words."""

from collections.abc import Iterable, Sequence

from collector.incident import Join
from collector.plain import plain
from detection.finding import Entity, EntityKind, Finding, Kind, Severity, Source
from detection.rates.features import FEATURES, INDEX

_PHRASES = 8
_LENGTH = 240

# ATT&CK technique, or its family, in words; the longest match counts.
_TECHNIQUES = {
    "T1003": "credentials dumped",
    "T1016": "discovery",
    "T1018": "discovery",
    "T1021": "lateral movement",
    "T1027": "obfuscated command",
    "T1033": "discovery",
    "T1041": "data sent out",
    "T1046": "network scan",
    "T1048": "data sent out",
    "T1053": "scheduled job planted",
    "T1055": "process injection",
    "T1057": "discovery",
    "T1059": "shell",
    "T1068": "privilege escalation",
    "T1069": "discovery",
    "T1070": "traces wiped",
    "T1071": "beacon",
    "T1078.001": "anonymous access",
    "T1078": "account misused",
    "T1082": "discovery",
    "T1083": "discovery",
    "T1087": "discovery",
    "T1090": "proxy",
    "T1095": "beacon",
    "T1098": "access widened",
    "T1098.001": "lasting credential made",
    "T1098.004": "ssh key planted",
    "T1098.006": "cluster role bound",
    "T1105": "dropped binary",
    "T1136": "account created",
    "T1190": "exposed service used",
    "T1210": "lateral movement",
    "T1485": "data destroyed",
    "T1496": "cryptomining",
    "T1505": "web shell",
    "T1518": "discovery",
    "T1528": "token theft",
    "T1543": "service planted",
    "T1546": "hook planted",
    "T1547.006": "kernel module",
    "T1548": "set-id binary",
    "T1550": "stolen credential used",
    "T1552": "credentials read",
    "T1552.005": "cloud metadata read",
    "T1552.007": "secrets read through the API",
    "T1562": "defences impaired",
    "T1571": "beacon",
    "T1572": "tunnel",
    "T1573": "beacon",
    "T1574.006": "library preload planted",
    "T1595": "probing",
    "T1609": "hands-on exec",
    "T1610": "container deployed",
    "T1611": "escape to the host",
    "T1613": "discovery",
    "T1620": "fileless execution",
}
_ANOMALIES = {
    "anomaly.api": "API never used before",
    "anomaly.resource": "resources never touched before",
    "anomaly.agent": "tool never used before",
    "anomaly.network": "access from a new network",
    "anomaly.region": "activity in a new region",
    "anomaly.hours": "activity at unusual hours",
    "anomaly.exec": "unusual program",
    "anomaly.write": "unusual file written",
    "anomaly.read": "unusual file read",
    "anomaly.egress": "unusual connection",
    "anomaly.ingress": "unusual caller",
    "anomaly.listen": "unusual listener",
    "anomaly.credential": "unusual change of identity",
    "anomaly.capability": "unusual capabilities",
    "anomaly.call": "unusual privileged call",
}


def title_of(findings: Sequence[Finding], joins: Sequence[Join], actors: Sequence[Entity]) -> str:
    """One line of at most 240 characters."""
    who = next((a for a in actors if a.kind in (EntityKind.USER, EntityKind.SERVICE_ACCOUNT)), None)
    where = _main_place(findings)
    what = ", ".join(_limited(_phrases(findings, joins, where)))
    subject = f"{plain(who.id, 80)} → {where}" if who and where else where or (plain(who.id, 80) if who else "")
    return plain(f"{subject}: {what}" if subject else what, _LENGTH)


def workload_of(finding: Finding) -> str:
    """namespace/name of the workload, else its key, else pod, container or node."""
    for kind in (EntityKind.WORKLOAD, EntityKind.POD_NAME, EntityKind.CONTAINER, EntityKind.NODE):
        entity = finding.entity(kind)
        if entity and entity.id != "host":
            return _short(entity)
    return ""


def _short(entity: Entity) -> str:
    parts = entity.id.split("/")
    if entity.kind is EntityKind.WORKLOAD and parts[0] == "k8s" and len(parts) >= 4:
        return plain(f"{parts[1]}/{parts[3]}", 100)
    if entity.kind is EntityKind.WORKLOAD:
        return plain(entity.id.partition("/")[2] or entity.id, 100)
    return plain(entity.name or entity.id, 100)


def _main_place(findings: Sequence[Finding]) -> str:
    runtime = next((f for f in findings if f.source is Source.RUNTIME), None)
    if runtime is not None:
        return workload_of(runtime)
    target = next((e for f in findings if (e := f.entity(EntityKind.POD_NAME))), None)
    return plain(target.id, 100) if target else ""


def _phrases(findings: Sequence[Finding], joins: Sequence[Join], where: str) -> Iterable[str]:
    """In order of time: rules first choose, anomalies speak where nothing better says it."""
    moved = {join.to_finding for join in joins if join.key == "peer_address"}
    rules = [f for f in findings if f.severity > Severity.INFORMATIONAL]
    for finding in rules or findings:
        if finding.id in moved and (there := workload_of(finding)) and there != where:
            yield f"lateral movement to {there}"
        if finding.kind is Kind.RULE:
            yield _audit_phrase(finding) if finding.source is Source.KUBERNETES_AUDIT else _runtime_phrase(finding)
    if not any(f.kind is Kind.RULE for f in rules or findings):
        for finding in rules or findings:
            yield (
                _rates_phrase(finding) if finding.rule_id == "rates" else _ANOMALIES.get(finding.rule_id, finding.title)
            )


def _rates_phrase(finding: Finding) -> str:
    """Which rates are unusual: the first two its fields name."""
    named = [FEATURES[INDEX[name]].text for key in finding.fields if (name := key.removeprefix("rates.")) in INDEX]
    return f"unusual rates ({', '.join(named[:2])})" if named else "unusual rates"


def _audit_phrase(finding: Finding) -> str:
    fields = finding.fields
    verb, resource, sub = (str(fields.get(k, "")) for k in ("verb", "objectRef.resource", "objectRef.subresource"))
    if sub in ("exec", "attach"):
        return f"hands-on {sub}"
    if resource == "secrets":
        return "secrets listed" if verb in ("list", "watch") else f"secrets {_PAST.get(verb, 'read')}"
    if resource == "pods" and verb == "create" and not sub:
        danger = fields.get("pod.privileged") or fields.get("pod.hostPath") or fields.get("pod.hostNamespaces")
        return "privileged pod created" if danger else "pod created"
    return _of_techniques(finding)


_PAST = {
    "create": "created",
    "delete": "deleted",
    "deletecollection": "deleted",
    "patch": "changed",
    "update": "changed",
}


def _runtime_phrase(finding: Finding) -> str:
    if finding.fields.get("process.upper_layer") is True and any(t.tactic == "execution" for t in finding.techniques):
        return "dropped binary"
    return _of_techniques(finding)


def _of_techniques(finding: Finding) -> str:
    for technique in finding.techniques:
        phrase = _TECHNIQUES.get(technique.id) or _TECHNIQUES.get(technique.id.partition(".")[0])
        if phrase:
            return phrase
    title = plain(finding.title, 60)
    return title[:1].lower() + title[1:]


def _limited(phrases: Iterable[str]) -> list[str]:
    distinct = list(dict.fromkeys(p for p in phrases if p))
    more = len(distinct) - _PHRASES
    return [*distinct[:_PHRASES], f"{more} more"] if more > 0 else distinct
