"""Each join in one sentence for a person, and the name its key is shown under."""

from datetime import UTC, datetime

from collector.correlate.edge import Edge
from collector.correlate.slots import slots_of
from collector.incident import Join
from collector.plain import plain
from detection.finding import EntityKind, Finding, Role, Source

_SHOWN = 120

Told = tuple[str, str]  # the key as it is shown, and the sentence


def join_of(edge: Edge, earlier: Finding, later: Finding) -> Join:
    """The edge as a join, with its sentence."""
    key, reason = _EXPLAIN.get(edge.rule, _exec)(edge, earlier, later)
    value = plain(edge.value, 256)
    return Join(key, value, edge.earlier, edge.later, edge.confidence, plain(reason, 600))


def person_of(finding: Finding) -> str:
    """Who made an API call, for people."""
    for kind in (EntityKind.USER, EntityKind.SERVICE_ACCOUNT):
        entity = finding.entity(kind, Role.ACTOR)
        if entity:
            return plain(entity.id if kind is EntityKind.USER else f"service account {entity.id}", _SHOWN)
    return "an unnamed user"


def place_of(finding: Finding) -> str:
    """Where a runtime finding was made: pod, else container, else node."""
    for kind, word in (
        (EntityKind.POD_NAME, "pod"),
        (EntityKind.POD, "pod"),
        (EntityKind.CONTAINER, "container"),
        (EntityKind.NODE, "node"),
    ):
        entity = finding.entity(kind, Role.ACTOR)
        if entity:
            return plain(f"{word} {entity.name or entity.id}", _SHOWN)
    return "an unknown place"


def clock(time_ns: int) -> str:
    """Hours, minutes, seconds and tenths in UTC."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest // 100_000_000}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"


def _event(edge: Edge, _earlier: Finding, _later: Finding) -> Told:
    return edge.rule, "Both rules match the same audit event."


def _tree(edge: Edge, earlier: Finding, later: Finding) -> Told:
    value = edge.value
    entries = [f.entity(EntityKind.PROCESS, Role.ENTRY) for f in (earlier, later)]
    entry = next((e for e in entries if e and e.id == value), None)
    if entry:
        name = plain(entry.name or "a process", _SHOWN)
        return edge.rule, f"Both descend from {name}, which entered {place_of(later)} from outside."
    actor = earlier.entity(EntityKind.PROCESS, Role.ACTOR)
    return edge.rule, f"The same process did both: {plain((actor.name if actor else '') or value, _SHOWN)}."


def _same_container(edge: Edge, earlier: Finding, _later: Finding) -> Told:
    return edge.rule, f"Both happened in container {_container(earlier) or plain(edge.value[:12])}."


def _credential(edge: Edge, _earlier: Finding, _later: Finding) -> Told:
    return edge.rule, f"Both calls used, or were issued, credential {plain(edge.value, _SHOWN)}."


def _user(edge: Edge, _earlier: Finding, _later: Finding) -> Told:
    return edge.rule, f"{plain(edge.value, _SHOWN)} made both calls within the hour."


def _container(finding: Finding) -> str:
    entity = finding.entity(EntityKind.CONTAINER)
    name = plain(entity.name or entity.id[:12], _SHOWN) if entity else ""
    pod = finding.entity(EntityKind.POD_NAME, Role.ACTOR)
    return f"{name} of pod {plain(pod.id, _SHOWN)}" if name and pod else name


def _pod(edge: Edge, earlier: Finding, later: Finding) -> Told:
    rule, value = edge.rule, edge.value
    audit, other = _audit_first(earlier, later)
    named = next((e.name for f in (earlier, later) for e in f.entities if e.id == value and e.name), "")
    pod = plain(named or value, _SHOWN)
    if audit is None:
        return rule, f"Both happened in pod {pod}."
    made = any(slot.side == "made" and slot.value == value for slot in slots_of(audit, ""))
    if made:
        return "created_pod", f"{person_of(audit)} created pod {pod} at {clock(audit.time_ns)}."
    called_from = any(e.id == value and e.role is Role.ACTOR for e in audit.entities)
    if called_from:
        return rule, f"The token {person_of(audit)} called the API with at {clock(audit.time_ns)} belongs to pod {pod}."
    what = plain(audit.fields.get("objectRef.subresource", "a call"), 32)
    both = other is None or other.source is Source.KUBERNETES_AUDIT
    return rule, f"{person_of(audit)} used {what} on pod {pod}{'' if both else ', where this happened'}."


def _token(edge: Edge, earlier: Finding, later: Finding) -> Told:
    value = plain(edge.value, _SHOWN)
    audit, other = _audit_first(earlier, later)
    if audit is None or other is None:
        return edge.rule, f"Both concern the token of service account {value}."
    return edge.rule, (
        f"The token of service account {value} was read in {place_of(other)} at {clock(other.time_ns)}; "
        f"that account called the API at {clock(audit.time_ns)}."
    )


def _account(edge: Edge, earlier: Finding, later: Finding) -> Told:
    value = plain(edge.value, _SHOWN)
    audit, other = _audit_first(earlier, later)
    weak = "" if edge.confidence >= 0.6 else ", but only the account is shared and much time lies between"
    if audit is None or other is None or other.source is Source.KUBERNETES_AUDIT:
        return edge.rule, f"Service account {value} made both calls{weak}."
    return edge.rule, f"Service account {value}, which called the API, is the account of {place_of(other)}{weak}."


def _address(edge: Edge, earlier: Finding, later: Finding) -> Told:
    value = plain(edge.value, _SHOWN)
    audit, other = _audit_first(earlier, later)
    if audit is not None and (other is None or other.source is Source.KUBERNETES_AUDIT):
        return "source_address", f"{person_of(audit)} made both calls from {value}."
    if audit is not None and other is not None:
        return "source_address", f"{person_of(audit)} called the API from {value}, the address of {place_of(other)}."
    peer, own = (earlier, later) if _has(earlier, value, Role.PEER) else (later, earlier)
    apart = (later.time_ns - earlier.time_ns) / 1e9
    return "peer_address", (
        f"A connection between {place_of(peer)} and {value}, the address of {place_of(own)}; "
        f"{apart:.1f} s lie between the two findings."
    )


def _exec(edge: Edge, earlier: Finding, later: Finding) -> Told:
    audit, other = _audit_first(earlier, later)
    if edge.match is None or audit is None or other is None:
        return edge.rule, "An exec in the audit log opened this process tree."
    entry = other.entity(EntityKind.PROCESS, Role.ENTRY)
    name = plain((entry.name if entry else "") or "a process", _SHOWN)
    pod = audit.entity(EntityKind.POD_NAME, Role.TARGET)
    container = other.entity(EntityKind.CONTAINER)
    gap = edge.match.gap_ns / 1e9
    when = f"{gap:.1f} s later" if gap >= 0 else f"{-gap:.1f} s earlier by the node's clock"
    return edge.rule, (
        f"{person_of(audit)} opened {_opened(audit)} in pod {plain(pod.id if pod else '?', _SHOWN)} at "
        f"{clock(audit.time_ns)}; {when} {name} entered container "
        f"{plain((container.name or container.id[:12]) if container else '?', _SHOWN)} from outside."
    )


def _opened(audit: Finding) -> str:
    command = audit.fields.get("exec.command", ())
    words = command if isinstance(command, tuple) else (str(command),)
    first = words[0].rpartition("/")[2] if words else ""
    if first in ("sh", "bash", "ash", "dash", "zsh", "ksh") and len(words) == 1:
        return "a shell"
    return plain(" ".join(words), 80) or "a process"


def _audit_first(earlier: Finding, later: Finding) -> tuple[Finding | None, Finding | None]:
    """(the audit finding, the other one); the later of two audit findings, (None, later) without any."""
    if later.source is Source.KUBERNETES_AUDIT:
        return later, earlier
    return (earlier, later) if earlier.source is Source.KUBERNETES_AUDIT else (None, later)


def _has(finding: Finding, address: str, role: Role) -> bool:
    return any(e.kind is EntityKind.ADDRESS and e.id == address and e.role is role for e in finding.entities)


_EXPLAIN = {
    "audit_event": _event,
    "process_tree": _tree,
    "container": _same_container,
    "pod_uid": _pod,
    "pod_name": _pod,
    "credential": _credential,
    "service_account_token": _token,
    "service_account": _account,
    "address": _address,
    "user": _user,
}
