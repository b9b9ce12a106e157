"""The finding: what a rule or a baseline says about one event, in the same form on both sides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

FieldValue = str | int | float | bool | tuple[str, ...]


class Severity(IntEnum):
    """Sigma's levels; the numbers order them and go over the wire."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @property
    def label(self) -> str:
        """Lower-case name, as Sigma writes it."""
        return self.name.lower()


class Source(StrEnum):
    """Where the evidence comes from; the names `vedette replay --source` takes."""

    RUNTIME = "runtime"
    KUBERNETES_AUDIT = "kubernetes-audit"
    AWS_CLOUDTRAIL = "aws-cloudtrail"
    GCP_AUDIT = "gcp-audit"
    AZURE_ACTIVITY = "azure-activity"
    WAF_MODSECURITY = "waf-modsecurity"
    WAF_AWS = "waf-aws"


class Kind(StrEnum):
    """What produced the finding."""

    RULE = "rule"
    ANOMALY = "anomaly"


class EntityKind(StrEnum):
    """Things findings are about. The comment gives the form of the id."""

    PROCESS = "process"  # exec_id
    CONTAINER = "container"  # runtime's container id
    POD = "pod"  # UID, or namespace/name where only that is known
    POD_NAME = "pod_name"  # namespace/name
    WORKLOAD = "workload"  # workload key
    NODE = "node"  # node name
    IMAGE = "image"  # digest or reference
    SERVICE_ACCOUNT = "service_account"  # namespace/name
    USER = "user"  # user name of the control plane
    CREDENTIAL = "credential"  # credential id (JTI=…), key id
    ADDRESS = "address"  # IP address
    FILE = "file"  # path
    AUDIT_EVENT = "audit_event"  # the audit record's own id
    KUBERNETES_OBJECT = "kubernetes_object"  # resource/namespace/name
    DOMAIN = "domain"  # host name, lower case
    ROLE = "role"  # a cloud role that was assumed: its ARN or full name
    CLOUD_ACCOUNT = "cloud_account"  # AWS account, GCP project, Azure subscription
    CLOUD_RESOURCE = "cloud_resource"  # ARN, full resource name, or instance id


class Role(StrEnum):
    """An entity's part in the finding."""

    ACTOR = "actor"  # did it, or where it was done
    TARGET = "target"  # it was done to
    PEER = "peer"  # the other end of a connection
    ENTRY = "entry"  # process through which the actor's tree entered the container


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing a finding is about. `name` is for people; joins use `kind` and `id` only."""

    kind: EntityKind
    id: str
    role: Role = Role.ACTOR
    name: str = ""


@dataclass(frozen=True, slots=True)
class Technique:
    """An ATT&CK technique with the tactic it serves here, e.g. T1059.004 / execution."""

    id: str
    tactic: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One detection.

    `id` is stable: the same event and rule give the same id, so that a repeat is recognised. Times are Unix
    nanoseconds of the event itself. `fields` is the evidence under Sigma field names, bounded and redacted;
    `matched` names what matched ("selection: CommandLine contains '-i'"). For anomalies `surprise` is −log10 of
    the estimated probability and `profile` says how complete the profile was. `lossy` is set when events of
    this class were lost around that time.
    """

    id: str
    time_ns: int
    source: Source
    kind: Kind
    rule_id: str
    title: str
    severity: Severity
    reason: str
    techniques: tuple[Technique, ...] = ()
    entities: tuple[Entity, ...] = ()
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    advice: str = ""
    count: int = 1
    last_ns: int = 0
    surprise: float = 0.0
    profile: str = ""
    lossy: bool = False
    incomplete: bool = False

    def corrects(self, known: "Finding") -> bool:
        """Whether this report of a finding knows more than an earlier one, of which it keeps the id."""
        if self.incomplete != known.incomplete:
            return known.incomplete
        return len(self.entities) > len(known.entities)

    def entity(self, kind: EntityKind, role: Role | None = None) -> Entity | None:
        """The first entity of that kind (and role), or None."""
        return next((e for e in self.entities if e.kind is kind and role in (None, e.role)), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form, the one every command prints."""
        return {
            "id": self.id,
            "time_ns": self.time_ns,
            "last_ns": self.last_ns or self.time_ns,
            "source": self.source.value,
            "kind": self.kind.value,
            "rule": self.rule_id,
            "title": self.title,
            "severity": self.severity.label,
            "techniques": [t.id for t in self.techniques],
            "tactics": sorted({t.tactic for t in self.techniques}),
            "reason": self.reason,
            "advice": self.advice,
            "entities": [
                {"kind": e.kind.value, "id": e.id, "role": e.role.value, "name": e.name} for e in self.entities
            ],
            "fields": {k: list(v) if isinstance(v, tuple) else v for k, v in self.fields.items()},
            "matched": list(self.matched),
            "count": self.count,
            "surprise": round(self.surprise, 3),
            "profile": self.profile,
            "lossy": self.lossy,
            "incomplete": self.incomplete,
        }
