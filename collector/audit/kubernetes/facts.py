"""What an audit event is about: its entities and its evidence, bounded and without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from collector.audit.record import AuditRecord, Facts
from collector.audit.values import address, distinct, items, mapping, mappings, present, shown_all, text
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


def facts_of(record: AuditRecord) -> Facts:
    """Entities, evidence and a sentence; never the payload of a request or response."""
    raw = record.raw
    ref = mapping(raw.get("objectRef"))
    request = exec_request(record)
    entities = (*_callers(raw), *_addresses(raw), Entity(EntityKind.AUDIT_EVENT, record.event_id), *_targets(raw, ref))
    return Facts(distinct(entities), _fields(record, ref, request), _summary(raw, ref, request))


def exec_request(record: AuditRecord) -> ExecRequest | None:
    """The query of pods/exec and pods/attach, which carries container and command; None for other events."""
    if mapping(record.raw.get("objectRef")).get("subresource") not in ("exec", "attach"):
        return None
    try:
        query = parse_qs(urlsplit(text(record.raw.get("requestURI"), 16_384)).query, max_num_fields=256)
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
    for user in (mapping(raw.get("user")), mapping(raw.get("impersonatedUser"))):
        name = plain(text(user.get("username")), 256)
        if not name:
            continue
        account = account_of(name)
        kind = EntityKind.SERVICE_ACCOUNT if account else EntityKind.USER
        found.append(Entity(kind, account or name, name=name))
        if name.startswith("system:node:"):
            found.append(Entity(EntityKind.NODE, name.removeprefix("system:node:")))
        found += _token_facts(mapping(user.get("extra")), account)
    issued = text(mapping(raw.get("annotations")).get(_EXTRA + "issued-credential-id"))
    if issued:
        found.append(Entity(EntityKind.CREDENTIAL, plain(issued, 128), Role.TARGET))
    return found


def _token_facts(extra: Mapping[str, Any], account: str) -> list[Entity]:
    """What a bound service-account token says about where it is used (Kubernetes ≥ 1.30 says most)."""

    def first(key: str) -> str:
        value = extra.get(_EXTRA + key)
        value = value[0] if isinstance(value, list) and value else value
        return plain(text(value), 128)

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
    found = [address(value) for value in items(raw.get("sourceIPs"))[:_ADDRESSES]]
    return [entity for entity in found if entity is not None]


def _targets(raw: Mapping[str, Any], ref: Mapping[str, Any]) -> list[Entity]:
    resource, namespace, name = (plain(text(ref.get(k)), 253) for k in ("resource", "namespace", "name"))
    if not resource:
        return []
    answer = mapping(raw.get("responseObject"))
    if not name:
        # A create by generateName has its name in the answer only.
        name = plain(text(mapping(answer.get("metadata")).get("name")), 253)
    found = [Entity(EntityKind.KUBERNETES_OBJECT, f"{resource}/{namespace}/{name}", Role.TARGET)]
    if resource != "pods" or not name:
        return found
    if ref.get("subresource"):
        found.append(Entity(EntityKind.POD_NAME, f"{namespace}/{name}", Role.TARGET))
    uid = text(ref.get("uid"))
    if not uid and answer.get("kind") == "Pod":
        uid = text(mapping(answer.get("metadata")).get("uid"))
    if uid:
        found.append(Entity(EntityKind.POD, plain(uid, 128), Role.TARGET, name=f"{namespace}/{name}"))
    return found


def _fields(record: AuditRecord, ref: Mapping[str, Any], request: ExecRequest | None) -> dict[str, FieldValue]:
    raw, user = record.raw, mapping(record.raw.get("user"))
    notes = mapping(raw.get("annotations"))
    uri = text(raw.get("requestURI"), 4096)
    fields: dict[str, FieldValue] = {
        "auditID": record.event_id,
        "stage": plain(text(raw.get("stage")), 32),
        "verb": plain(text(raw.get("verb")), 32),
        "requestURI": plain(redact_text(uri.partition("?")[0] if request else uri), _TEXT),
        "user.username": plain(text(user.get("username"))),
        "user.groups": shown_all(user.get("groups")),
        "impersonatedUser.username": plain(text(mapping(raw.get("impersonatedUser")).get("username"))),
        "userAgent": plain(redact_text(text(raw.get("userAgent")))),
        "sourceIPs": shown_all(raw.get("sourceIPs")),
        "authorization.decision": plain(text(notes.get("authorization.k8s.io/decision")), 32),
        "authorization.reason": plain(text(notes.get("authorization.k8s.io/reason"))),
    }
    for key in ("resource", "namespace", "name", "subresource", "apiGroup"):
        fields[f"objectRef.{key}"] = plain(text(ref.get(key)), 253)
    code = mapping(raw.get("responseStatus")).get("code")
    if isinstance(code, int):
        fields["responseStatus.code"] = code
    if request:
        fields |= {"exec.container": request.container, "exec.command": request.command}
        fields |= {"exec.tty": request.tty, "exec.stdin": request.stdin}
    fields |= _spec_fields(text(ref.get("resource")), mapping(raw.get("requestObject")))
    return present(fields)


def _spec_fields(resource: str, body: Mapping[str, Any]) -> dict[str, FieldValue]:
    """The few facts of a request body that explain its danger; secrets and config maps give none."""
    if resource in ("rolebindings", "clusterrolebindings"):
        subjects = [
            f"{s.get('kind')}:{s.get('namespace') or ''}/{s.get('name')}" for s in mappings(body.get("subjects"))
        ]
        return {"roleRef.name": plain(text(mapping(body.get("roleRef")).get("name"))), "subjects": shown_all(subjects)}
    if resource != "pods":
        return {}
    spec = mapping(body.get("spec"))
    containers = mappings(spec.get("containers")) + mappings(spec.get("initContainers"))
    privileged = [c.get("name") for c in containers if mapping(c.get("securityContext")).get("privileged") is True]
    paths = [mapping(v.get("hostPath")).get("path") for v in mappings(spec.get("volumes")) if v.get("hostPath")]
    host = [k for k in ("hostNetwork", "hostPID", "hostIPC") if spec.get(k) is True]
    return {
        "pod.images": shown_all([c.get("image") for c in containers]),
        "pod.privileged": shown_all(privileged),
        "pod.hostPath": shown_all(paths),
        "pod.hostNamespaces": shown_all(host),
        "pod.nodeName": plain(text(spec.get("nodeName")), 253),
    }


def _summary(raw: Mapping[str, Any], ref: Mapping[str, Any], request: ExecRequest | None) -> str:
    who = text(mapping(raw.get("user")).get("username")) or "an unnamed user"
    acted_as = text(mapping(raw.get("impersonatedUser")).get("username"))
    what = "/".join(t for t in (text(ref.get("resource")), text(ref.get("subresource"))) if t)
    place = "/".join(t for t in (text(ref.get("namespace")), text(ref.get("name"))) if t)
    call = f"{text(raw.get('verb'))} {what or text(raw.get('requestURI')).partition('?')[0]} {place}".strip()
    sentence = f"{who}{f' as {acted_as}' if acted_as else ''}: {call}"
    if request:
        sentence += f" (container {request.container or 'default'}): {' '.join(request.command) or 'attach'}"
    return plain(sentence, _TEXT)
