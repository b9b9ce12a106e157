"""The keys of a finding: under which values, and in which part, other findings can meet it."""

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from detection.finding import Entity, EntityKind, Finding, Kind, Role, Severity, Source

TOKEN_PATH = "secrets/kubernetes.io/serviceaccount"  # noqa: S105  (where the kubelet puts it)


class Slot(NamedTuple):
    """One key of one finding.

    `side` says which part the finding plays there (its own address, the peer's …); `home` is the place or principal it
    belongs to, so that a value shared by many homes can be told from one that is busy.
    """

    rule: str
    value: str
    side: str = ""
    home: str = ""


def slots_of(finding: Finding, home: str) -> tuple[Slot, ...]:
    """Every key of a finding made at `home`, without repeats. Node, image, workload, file and namespace are none.

    An informational anomaly (a novelty while the profile still learns) is context: it joins by its process tree,
    never by sharing a place with something bad.
    """
    found = _runtime(finding, home) if finding.source is Source.RUNTIME else _audit(finding)
    if finding.severity is Severity.INFORMATIONAL and finding.kind is Kind.ANOMALY:
        found = [slot for slot in found if slot.rule == "process_tree"]
    return tuple(dict.fromkeys(found))


def home_of(finding: Finding) -> str:
    """The pod, else the container, else the process tree a runtime finding was made in; else who made the call."""
    best, best_rank = "", 99
    for entity in finding.entities:
        rank = _HOME_RANK.get((entity.kind, entity.role), 99)
        if rank < best_rank:
            best, best_rank = f"{entity.kind.value}:{entity.id}", rank
    return best


_HOME_RANK = {
    (EntityKind.POD, Role.ACTOR): 0,
    (EntityKind.POD_NAME, Role.ACTOR): 1,
    (EntityKind.CONTAINER, Role.ACTOR): 2,
    (EntityKind.SERVICE_ACCOUNT, Role.ACTOR): 3,
    (EntityKind.USER, Role.ACTOR): 4,
    (EntityKind.PROCESS, Role.ENTRY): 5,
    (EntityKind.PROCESS, Role.ACTOR): 6,
}


def _runtime(finding: Finding, home: str) -> list[Slot]:
    placed = home.startswith(("pod:", "pod_name:", "container:"))
    token = _reads_token(finding)
    found: list[Slot] = []
    for entity in finding.entities:
        kind, value = entity.kind, entity.id
        if kind is EntityKind.PROCESS:
            found.append(Slot("process_tree", value))
        elif kind is EntityKind.CONTAINER:
            found.append(Slot("container", value))
        elif kind is EntityKind.POD or kind is EntityKind.POD_NAME:
            found.append(_pod(kind, value, "in"))
        elif kind is EntityKind.SERVICE_ACCOUNT:
            found.append(Slot("service_account", value, "pod", home))
            if token:
                found.append(Slot("service_account_token", value, "token", home))
        elif kind is EntityKind.ADDRESS and routable(value):
            if entity.role is Role.PEER:
                found.append(Slot("address", value, "peer", home))
            elif placed:
                found.append(Slot("address", value, "own", home))
    return found


def _audit(finding: Finding) -> list[Slot]:
    home = _caller(finding)
    pod = finding.entity(EntityKind.POD, Role.ACTOR)
    pod_home = f"{EntityKind.POD.value}:{pod.id}" if pod else ""
    found: list[Slot] = []
    for entity in finding.entities:
        kind, value = entity.kind, entity.id
        if kind is EntityKind.AUDIT_EVENT:
            found.append(Slot("audit_event", value))
        elif kind is EntityKind.POD or kind is EntityKind.POD_NAME:
            found.append(_pod(kind, value, "call" if entity.role is Role.ACTOR else "on"))
        elif kind is EntityKind.KUBERNETES_OBJECT:
            found += _created_pod(finding, value)
        elif kind is EntityKind.CREDENTIAL:
            found.append(Slot("credential", value))
        elif kind is EntityKind.SERVICE_ACCOUNT and entity.role is Role.ACTOR:
            found.append(Slot("service_account", value, "call", pod_home))
            found.append(Slot("service_account_token", value, "call", pod_home))
        elif kind is EntityKind.USER and entity.role is Role.ACTOR and not value.startswith("system:"):
            found.append(Slot("user", value, "", _namespace(finding)))
        elif kind is EntityKind.ADDRESS and routable(value) and not home.startswith("system:node:"):
            found.append(Slot("address", value, "call", home))
    return found


@lru_cache(4096)
def routable(address: str) -> bool:
    """Loopback, link-local and unspecified addresses name every machine, so they join nothing."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local or parsed.is_multicast)


def _pod(kind: EntityKind, value: str, side: str) -> Slot:
    return Slot("pod_name" if kind is EntityKind.POD_NAME or "/" in value else "pod_uid", value, side)


def _created_pod(finding: Finding, value: str) -> list[Slot]:
    resource, _, name = value.partition("/")
    created = resource == "pods" and finding.fields.get("verb") == "create"
    if not created or finding.fields.get("objectRef.subresource") or name.endswith("/"):
        return []
    return [Slot("pod_name", name, "made")]


def _caller(finding: Finding) -> str:
    callers = (EntityKind.SERVICE_ACCOUNT, EntityKind.USER)
    found: Entity | None = next((e for e in finding.entities if e.kind in callers and e.role is Role.ACTOR), None)
    return found.id if found else ""


def _namespace(finding: Finding) -> str:
    return str(finding.fields.get("objectRef.namespace", ""))


def _reads_token(finding: Finding) -> bool:
    if any(technique.id == "T1528" for technique in finding.techniques):
        return True
    texts = (finding.fields.get("TargetFilename"), finding.fields.get("CommandLine"))
    return any(isinstance(text, str) and TOKEN_PATH in text for text in texts)
