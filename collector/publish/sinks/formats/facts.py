"""What the formats have in common: the known fields of a finding under plain names, bounded."""

from datetime import UTC, datetime
from importlib import metadata
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from collector.incident import Incident
from collector.publish.sinks.port import Subject
from detection.finding import Entity, EntityKind, Finding, Role

VENDOR = "Vedette"
VERSION = metadata.version("vedette")
MAX_TEXT = 8192
_MAX_ITEMS = 100

# ATT&CK Enterprise tactics, https://attack.mitre.org/tactics/enterprise/
TACTICS = {
    "reconnaissance": "TA0043",
    "resource-development": "TA0042",
    "initial-access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege-escalation": "TA0004",
    "defense-evasion": "TA0005",
    "credential-access": "TA0006",
    "discovery": "TA0007",
    "lateral-movement": "TA0008",
    "collection": "TA0009",
    "command-and-control": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}


class Program(NamedTuple):
    """A process as far as a finding tells."""

    path: str
    command: str
    pid: int | None
    exec_id: str
    user: str

    @property
    def name(self) -> str:
        """The path's last part."""
        return PurePosixPath(self.path).name


class Facts:
    """Typed access to one finding's fields and entities; "" and None where there is nothing."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding

    def text(self, *names: str) -> str:
        """The first of these fields that is a text and not empty."""
        for name in names:
            value = self.finding.fields.get(name)
            if isinstance(value, str) and value:
                return value[:MAX_TEXT]
        return ""

    def number(self, name: str) -> int | None:
        """A field that is an integer."""
        value = self.finding.fields.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63 else None

    def entity(self, kind: EntityKind, role: Role | None = None) -> Entity | None:
        """The first entity of that kind."""
        return self.finding.entity(kind, role)

    def id(self, kind: EntityKind, role: Role | None = None) -> str:
        """Its id."""
        entity = self.entity(kind, role)
        return entity.id[:MAX_TEXT] if entity is not None else ""

    def name(self, kind: EntityKind, role: Role | None = None) -> str:
        """Its name for people; the id where there is none."""
        entity = self.entity(kind, role)
        return (entity.name or entity.id)[:MAX_TEXT] if entity is not None else ""

    @property
    def program(self) -> Program | None:
        """The process that did it."""
        entity = self.entity(EntityKind.PROCESS)
        path = self.text("Image", "SourceImage") or (entity.name if entity is not None else "")
        if not path and entity is None:
            return None
        exec_id = self.text("process.exec_id") or (entity.id if entity is not None else "")
        return Program(path, self.text("CommandLine"), self.number("ProcessId"), exec_id, self.text("User"))

    @property
    def parent(self) -> Program | None:
        """Its parent."""
        path = self.text("ParentImage")
        if not path:
            return None
        command, user = self.text("ParentCommandLine"), self.text("ParentUser")
        return Program(path, command, self.number("ParentProcessId"), "", user)

    @property
    def pod(self) -> tuple[str, str]:
        """Namespace and name of the pod."""
        namespace, name = self.text("k8s.namespace"), self.text("k8s.pod")
        if name:
            return namespace, name
        namespace, slash, name = self.id(EntityKind.POD_NAME).partition("/")
        return (namespace, name) if slash else ("", "")

    @property
    def pod_uid(self) -> str:
        """The pod's UID where it is known."""
        uid = self.text("k8s.pod_uid") or self.id(EntityKind.POD)
        return "" if "/" in uid else uid

    @property
    def user(self) -> str:
        """Who did it, for the control plane; else the process's user."""
        return self.name(EntityKind.USER) or self.text("user.username") or self.text("User")

    @property
    def source_ip(self) -> str:
        """Where it came from."""
        return _ip(self.text("SourceIp") or self.id(EntityKind.ADDRESS, Role.ACTOR))

    @property
    def peer_ip(self) -> str:
        """The other end of a connection."""
        return _ip(self.text("DestinationIp") or self.id(EntityKind.ADDRESS, Role.PEER))

    @property
    def peer_port(self) -> int | None:
        """Its port."""
        port = self.number("DestinationPort")
        return port if port is not None and 0 <= port < 65536 else None

    @property
    def domain(self) -> str:
        """A host name that was asked for or connected to."""
        return self.text("QueryName", "DestinationHostname") or self.id(EntityKind.DOMAIN)

    @property
    def file(self) -> str:
        """A file it was done to."""
        return self.text("TargetFilename") or self.id(EntityKind.FILE)

    @property
    def node(self) -> str:
        """The node."""
        return self.text("Hostname") or self.id(EntityKind.NODE)

    @property
    def operation(self) -> str:
        """What was asked of a control plane."""
        return self.text("verb", "eventName", "protoPayload.methodName", "operationName")


def findings_of(subject: Subject) -> tuple[Finding, ...]:
    """The finding, or an incident's, the most severe first where there are more than a record should hold."""
    if isinstance(subject, Finding):
        return (subject,)
    if len(subject.findings) <= _MAX_ITEMS:
        return subject.findings
    kept = sorted(subject.findings, key=lambda f: (-f.severity, f.time_ns, f.id))[:_MAX_ITEMS]
    return tuple(sorted(kept, key=lambda f: (f.time_ns, f.id)))


def entities_of(subject: Subject) -> list[Entity]:
    """All entities, each once."""
    seen = {(e.kind, e.id): e for finding in findings_of(subject)[::-1] for e in finding.entities[::-1]}
    return list(reversed(seen.values()))[: 2 * _MAX_ITEMS]


def techniques_of(subject: Subject) -> list[tuple[str, str]]:
    """(technique, tactic), each once, in order of time."""
    found = ((t.id, t.tactic) for finding in findings_of(subject) for t in finding.techniques)
    return list(dict.fromkeys(found))[:_MAX_ITEMS]


def sentence(subject: Subject) -> str:
    """What happened, in one or a few sentences."""
    if isinstance(subject, Finding):
        return subject.reason[:MAX_TEXT]
    return " ".join(part.rstrip(".") + "." for part in subject.score_parts)[:MAX_TEXT]


def first_last(subject: Subject) -> tuple[int, int]:
    """Unix nanoseconds of the first and the last event."""
    if isinstance(subject, Incident):
        return subject.first_ns, subject.last_ns
    return subject.time_ns, max(subject.last_ns, subject.time_ns)


def iso(ns: int) -> str:
    """RFC 3339, UTC, nanoseconds; years outside 1–9999 become the nearest that can be written."""
    seconds, rest = divmod(min(max(ns, 0), 253_402_300_799 * 10**9), 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def evidence(finding: Finding) -> dict[str, Any]:
    """The fields as JSON carries them, texts cut."""
    return {name[:256]: _plain(value) for name, value in list(finding.fields.items())[: 2 * _MAX_ITEMS]}


def kept(**values: Any) -> dict[str, Any]:
    """What has a value: neither None nor empty."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {}, ())}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [item[:MAX_TEXT] for item in value[:_MAX_ITEMS]]
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return str(value)
    return value


def _ip(text: str) -> str:
    """The address, "" unless it is one."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
