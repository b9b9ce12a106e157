"""What an audit event is about: its entities and its evidence, bounded and without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit

from collector.audit.kubernetes import AuditEvent
from collector.plain import plain
from detection.finding import Entity, EntityKind, FieldValue, Role
from detection.redact import redact_argv, redact_text

_ACCOUNT = "system:serviceaccount:"
_EXTRA = "authentication.kubernetes.io/"
_TEXT = 512
_ITEMS = 16
_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What an exec or attach asks for; `command` is redacted."""

    container: str
    command: tuple[str, ...]
    tty: bool
    stdin: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """An audit event as findings show it: entities, fields, and one sentence."""

    entities: tuple[Entity, ...]
    fields: Mapping[str, FieldValue]
    summary: str


def facts_of(event: AuditEvent) -> Facts:
    """Entities, evidence and a sentence; never the payload of a request or response."""
    raw = event.raw
    ref = _dict(raw.get("objectRef"))
    request = exec_request(event)
    entities = (*_callers(raw), *_addresses(raw), Entity(EntityKind.AUDIT_EVENT, event.audit_id), *_targets(raw, ref))
    return Facts(_distinct(entities), _fields(event, ref, request), _summary(raw, ref, request))


def exec_request(event: AuditEvent) -> ExecRequest | None:
    """The query of pods/exec and pods/attach, which carries container and command; None for other events."""
    if _dict(event.raw.get("objectRef")).get("subresource") not in ("exec", "attach"):
        return None
    try:
        query = parse_qs(urlsplit(_text(event.raw.get("requestURI"), 16_384)).query, max_num_fields=256)
    except ValueError:
        query = {}
    command = redact_argv([a[:_TEXT] for a in query.get("command", [])[:_ITEMS]])
    return ExecRequest(
        container=plain(query.get("container", [""])[0], 128),
        command=tuple(plain(a, _TEXT) for a in command),
        tty=query.get("tty", [""])[0] in ("true", "1"),
        stdin=query.get("stdin", [""])[0] in ("true", "1"),
    )


def account_of(username: str) -> str:
    """namespace/name of a service account's user name, "" for other users."""
    if not username.startswith(_ACCOUNT):
        return ""
    namespace, _, name = username.removeprefix(_ACCOUNT).partition(":")
    return f"{namespace}/{name}" if namespace and name else ""


def _callers(raw: Mapping[str, Any]) -> list[Entity]:
    found: list[Entity] = []
    for user in (_dict(raw.get("user")), _dict(raw.get("impersonatedUser"))):
        name = plain(_text(user.get("username")), 256)
        if not name:
            continue
        account = account_of(name)
        kind = EntityKind.SERVICE_ACCOUNT if account else EntityKind.USER
        found.append(Entity(kind, account or name, name=name))
        if name.startswith("system:node:"):
            found.append(Entity(EntityKind.NODE, name.removeprefix("system:node:")))
        found += _token_facts(_dict(user.get("extra")), account)
    issued = _text(_dict(raw.get("annotations")).get(_EXTRA + "issued-credential-id"))
    if issued:
        found.append(Entity(EntityKind.CREDENTIAL, plain(issued, 128), Role.TARGET))
    return found


def _token_facts(extra: Mapping[str, Any], account: str) -> list[Entity]:
    """What a bound service-account token says about where it is used (Kubernetes ≥ 1.30 says most)."""

    def first(key: str) -> str:
        value = extra.get(_EXTRA + key)
        value = value[0] if isinstance(value, list) and value else value
        return plain(_text(value), 128)

    pod, uid, namespace = first("pod-name"), first("pod-uid"), account.partition("/")[0]
    facts = (
        Entity(EntityKind.POD, uid, name=f"{namespace}/{pod}" if pod and namespace else ""),
        Entity(EntityKind.POD_NAME, f"{namespace}/{pod}" if pod and namespace else ""),
        Entity(EntityKind.NODE, first("node-name")),
        Entity(EntityKind.CREDENTIAL, first("credential-id")),
        Entity(EntityKind.CREDENTIAL, first("issued-credential-id"), Role.TARGET),
    )
    return [entity for entity in facts if entity.id]


def _addresses(raw: Mapping[str, Any]) -> list[Entity]:
    found = []
    for text in _list(raw.get("sourceIPs"))[:_ADDRESSES]:
        try:
            found.append(Entity(EntityKind.ADDRESS, str(ip_address(_text(text, 64)))))
        except ValueError:
            continue
    return found


def _targets(raw: Mapping[str, Any], ref: Mapping[str, Any]) -> list[Entity]:
    resource, namespace, name = (plain(_text(ref.get(k)), 253) for k in ("resource", "namespace", "name"))
    if not resource:
        return []
    answer = _dict(raw.get("responseObject"))
    if not name:
        # A create by generateName has its name in the answer only.
        name = plain(_text(_dict(answer.get("metadata")).get("name")), 253)
    found = [Entity(EntityKind.KUBERNETES_OBJECT, f"{resource}/{namespace}/{name}", Role.TARGET)]
    if resource != "pods" or not name:
        return found
    if ref.get("subresource"):
        found.append(Entity(EntityKind.POD_NAME, f"{namespace}/{name}", Role.TARGET))
    uid = _text(ref.get("uid"))
    if not uid and answer.get("kind") == "Pod":
        uid = _text(_dict(answer.get("metadata")).get("uid"))
    if uid:
        found.append(Entity(EntityKind.POD, plain(uid, 128), Role.TARGET, name=f"{namespace}/{name}"))
    return found


def _fields(event: AuditEvent, ref: Mapping[str, Any], request: ExecRequest | None) -> dict[str, FieldValue]:
    raw, user = event.raw, _dict(event.raw.get("user"))
    notes = _dict(raw.get("annotations"))
    uri = _text(raw.get("requestURI"), 4096)
    fields: dict[str, FieldValue] = {
        "auditID": event.audit_id,
        "stage": plain(event.stage, 32),
        "verb": plain(_text(raw.get("verb")), 32),
        "requestURI": plain(redact_text(uri.partition("?")[0] if request else uri), _TEXT),
        "user.username": plain(_text(user.get("username"))),
        "user.groups": _texts(user.get("groups")),
        "impersonatedUser.username": plain(_text(_dict(raw.get("impersonatedUser")).get("username"))),
        "userAgent": plain(redact_text(_text(raw.get("userAgent")))),
        "sourceIPs": _texts(raw.get("sourceIPs")),
        "authorization.decision": plain(_text(notes.get("authorization.k8s.io/decision")), 32),
        "authorization.reason": plain(_text(notes.get("authorization.k8s.io/reason"))),
    }
    for key in ("resource", "namespace", "name", "subresource", "apiGroup"):
        fields[f"objectRef.{key}"] = plain(_text(ref.get(key)), 253)
    code = _dict(raw.get("responseStatus")).get("code")
    if isinstance(code, int):
        fields["responseStatus.code"] = code
    if request:
        fields |= {"exec.container": request.container, "exec.command": request.command}
        fields |= {"exec.tty": request.tty, "exec.stdin": request.stdin}
    fields |= _spec_fields(_text(ref.get("resource")), _dict(raw.get("requestObject")))
    return {key: value for key, value in fields.items() if value not in ("", ())}


def _spec_fields(resource: str, body: Mapping[str, Any]) -> dict[str, FieldValue]:
    """The few facts of a request body that explain its danger; secrets and config maps give none."""
    if resource in ("rolebindings", "clusterrolebindings"):
        subjects = [f"{s.get('kind')}:{s.get('namespace') or ''}/{s.get('name')}" for s in _dicts(body.get("subjects"))]
        return {"roleRef.name": plain(_text(_dict(body.get("roleRef")).get("name"))), "subjects": _texts(subjects)}
    if resource != "pods":
        return {}
    spec = _dict(body.get("spec"))
    containers = _dicts(spec.get("containers")) + _dicts(spec.get("initContainers"))
    privileged = [c.get("name") for c in containers if _dict(c.get("securityContext")).get("privileged") is True]
    paths = [_dict(v.get("hostPath")).get("path") for v in _dicts(spec.get("volumes")) if v.get("hostPath")]
    host = [k for k in ("hostNetwork", "hostPID", "hostIPC") if spec.get(k) is True]
    return {
        "pod.images": _texts([c.get("image") for c in containers]),
        "pod.privileged": _texts(privileged),
        "pod.hostPath": _texts(paths),
        "pod.hostNamespaces": _texts(host),
        "pod.nodeName": plain(_text(spec.get("nodeName")), 253),
    }


def _summary(raw: Mapping[str, Any], ref: Mapping[str, Any], request: ExecRequest | None) -> str:
    who = _text(_dict(raw.get("user")).get("username")) or "an unnamed user"
    acted_as = _text(_dict(raw.get("impersonatedUser")).get("username"))
    what = "/".join(t for t in (_text(ref.get("resource")), _text(ref.get("subresource"))) if t)
    place = "/".join(t for t in (_text(ref.get("namespace")), _text(ref.get("name"))) if t)
    call = f"{_text(raw.get('verb'))} {what or _text(raw.get('requestURI')).partition('?')[0]} {place}".strip()
    text = f"{who}{f' as {acted_as}' if acted_as else ''}: {call}"
    if request:
        text += f" (container {request.container or 'default'}): {' '.join(request.command) or 'attach'}"
    return plain(text, _TEXT)


def _distinct(entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    return tuple({(e.kind, e.id, e.role): e for e in reversed(entities)}.values())[::-1]


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(plain(redact_text(_text(v))) for v in _list(values)[:_ITEMS] if _text(v))


def _text(value: Any, limit: int = 2048) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in _list(value)[:64] if isinstance(item, dict)]
