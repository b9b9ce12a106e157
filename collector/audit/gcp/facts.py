"""What a Google Cloud audit entry is about: its entities and its evidence, bounded and without secrets."""

from collections.abc import Iterator, Mapping
from typing import Any

from collector.audit.record import AuditRecord, Facts
from collector.audit.values import address, distinct, mapping, mappings, present, shown, shown_all, text
from collector.plain import plain
from detection.finding import Entity, EntityKind, FieldValue, Role

_TEXT = 512
_PERMISSIONS = 8
_DELEGATES = 8
_MACHINE = "gserviceaccount.com"
_POD_POOL = ".svc.id.goog"


def facts_of(record: AuditRecord) -> Facts:
    """Entities, evidence and a sentence; of request and answer only names."""
    payload = mapping(record.raw.get("protoPayload"))
    return Facts(distinct(tuple(_entities(record, payload))), _fields(record, payload), _summary(payload))


def principal(payload: Mapping[str, Any]) -> str:
    """Who called: the e-mail, else the federated subject."""
    info = mapping(payload.get("authenticationInfo"))
    return plain(text(info.get("principalEmail")) or text(info.get("principalSubject")), 256)


def _entities(record: AuditRecord, payload: Mapping[str, Any]) -> Iterator[Entity]:
    info = mapping(payload.get("authenticationInfo"))
    if who := principal(payload):
        yield _caller(who)
    yield from _pod_account(text(info.get("principalSubject")))
    if key := text(info.get("serviceAccountKeyName")):
        yield Entity(EntityKind.CREDENTIAL, plain(key.rpartition("/")[2], 128))
    for delegate in mappings(info.get("serviceAccountDelegationInfo"))[:_DELEGATES]:
        first = mapping(delegate.get("firstPartyPrincipal")).get("principalEmail")
        subject = text(first) or text(delegate.get("principalSubject"))
        if subject:
            yield _caller(plain(subject, 256))
            yield from _pod_account(subject)
    if (source := address(mapping(payload.get("requestMetadata")).get("callerIp"))) is not None:
        yield source
    if project := plain(text(_labels(record).get("project_id")), 128):
        yield Entity(EntityKind.CLOUD_ACCOUNT, project)
    yield Entity(EntityKind.AUDIT_EVENT, record.event_id)
    if resource := plain(text(payload.get("resourceName")), 256):
        yield Entity(EntityKind.CLOUD_RESOURCE, resource, Role.TARGET)


def _caller(who: str) -> Entity:
    """A service account is a role: what runs under it are others."""
    return Entity(EntityKind.ROLE if who.endswith(_MACHINE) else EntityKind.USER, who)


def _pod_account(subject: str) -> Iterator[Entity]:
    """Workload identity of GKE: serviceAccount:PROJECT.svc.id.goog[namespace/name]."""
    head, _, rest = subject.partition("[")
    name = rest.removesuffix("]")
    if head.endswith(_POD_POOL) and name.count("/") == 1:
        yield Entity(EntityKind.SERVICE_ACCOUNT, plain(name, 256))


def _fields(record: AuditRecord, payload: Mapping[str, Any]) -> dict[str, FieldValue]:
    status = mapping(payload.get("status"))
    meta = mapping(payload.get("requestMetadata"))
    asked = [a.get("permission") for a in mappings(payload.get("authorizationInfo"))[:_PERMISSIONS]]
    refused = [
        a.get("permission") for a in mappings(payload.get("authorizationInfo"))[:_PERMISSIONS] if not a.get("granted")
    ]
    fields: dict[str, FieldValue] = {
        "insertId": record.event_id,
        "principal": principal(payload),
        "methodName": shown(payload.get("methodName")),
        "serviceName": shown(payload.get("serviceName")),
        "resourceName": shown(payload.get("resourceName")),
        "project": shown(_labels(record).get("project_id")),
        "callerIp": shown(meta.get("callerIp")),
        "userAgent": shown(meta.get("callerSuppliedUserAgent")),
        "status.message": shown(status.get("message")),
        "permissions": shown_all(asked),
        "permissions.refused": shown_all(refused),
    }
    code = status.get("code")
    return present(fields | ({"status.code": code} if isinstance(code, int) else {}) | _binding(payload))


def _binding(payload: Mapping[str, Any]) -> dict[str, FieldValue]:
    """What a change of a policy gave to whom."""
    delta = mapping(mapping(payload.get("serviceData")).get("policyDelta"))
    given = [
        f"{text(d.get('action'), 16)} {text(d.get('role'), 128)} {text(d.get('member'), 256)}"
        for d in mappings(delta.get("bindingDeltas"))
    ]
    return {"bindings": shown_all(given)}


def _labels(record: AuditRecord) -> Mapping[str, Any]:
    return mapping(mapping(record.raw.get("resource")).get("labels"))


def _summary(payload: Mapping[str, Any]) -> str:
    who = principal(payload) or "an unnamed principal"
    code = mapping(payload.get("status")).get("code")
    refused = f", refused ({code})" if isinstance(code, int) and code else ""
    method, resource = text(payload.get("methodName"), 200), text(payload.get("resourceName"), 200)
    return plain(f"{who}: {method}{' on ' if resource else ''}{resource}{refused}", _TEXT)
