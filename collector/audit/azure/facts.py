"""What a record of Azure Monitor is about: its entities and its evidence, bounded and without secrets."""

from collections.abc import Iterator, Mapping
from typing import Any

from collector.audit.record import AuditRecord, Facts
from collector.audit.values import address, distinct, items, mapping, mappings, present, shown, shown_all, text
from collector.plain import plain
from detection.finding import Entity, EntityKind, FieldValue, Role

_TEXT = 512
_TARGETS = 8
_UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
_NAME = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"


def facts_of(record: AuditRecord) -> Facts:
    """Entities, evidence and a sentence."""
    return Facts(distinct(tuple(_entities(record))), _fields(record), _summary(record.raw))


def name_of(value: Any) -> str:
    """A name that one API gives as text and the other as an object with `value`."""
    return text(value) or text(mapping(value).get("value"))


def principal(raw: Mapping[str, Any]) -> str:
    """Who acted: the user's name, else the application's."""
    return plain(user_of(raw) or application_of(raw), 256)


def user_of(raw: Mapping[str, Any]) -> str:
    properties, claims = mapping(raw.get("properties")), _claims(raw)
    initiator = mapping(mapping(properties.get("initiatedBy")).get("user"))
    found = (
        properties.get("userPrincipalName"),
        initiator.get("userPrincipalName"),
        claims.get(_UPN),
        claims.get(_NAME),
        raw.get("caller"),
        raw.get("identity"),
    )
    return next((text(value) for value in found if text(value)), "")


def application_of(raw: Mapping[str, Any]) -> str:
    properties = mapping(raw.get("properties"))
    app = mapping(mapping(properties.get("initiatedBy")).get("app"))
    found = (app.get("displayName"), properties.get("servicePrincipalName"), _claims(raw).get("appid"))
    return next((text(value) for value in found if text(value)), "")


def _claims(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(raw.get("claims")) or mapping(mapping(raw.get("identity")).get("claims"))


def _entities(record: AuditRecord) -> Iterator[Entity]:
    raw, properties = record.raw, mapping(record.raw.get("properties"))
    if user := plain(user_of(raw), 256):
        yield Entity(EntityKind.USER, user)
    if application := plain(application_of(raw), 256):
        yield Entity(EntityKind.ROLE, application)
    for key in ("servicePrincipalCredentialKeyId", "uniqueTokenIdentifier"):
        if credential := plain(text(properties.get(key)), 128):
            yield Entity(EntityKind.CREDENTIAL, credential)
    if token := plain(text(_claims(raw).get("uti")), 128):  # the same token as in the sign-in
        yield Entity(EntityKind.CREDENTIAL, token)
    if (source := address(address_of(raw))) is not None:
        yield source
    if subscription := subscription_of(resource_of(raw)):
        yield Entity(EntityKind.CLOUD_ACCOUNT, subscription)
    yield Entity(EntityKind.AUDIT_EVENT, record.event_id)
    if resource := plain(resource_of(raw).lower(), 256):
        yield Entity(EntityKind.CLOUD_RESOURCE, resource, Role.TARGET)
    for target in mappings(properties.get("targetResources"))[:_TARGETS]:
        name = plain(text(target.get("userPrincipalName")) or text(target.get("displayName")), 256)
        if name:
            yield Entity(
                EntityKind.USER if target.get("userPrincipalName") else EntityKind.CLOUD_RESOURCE, name, Role.TARGET
            )


def address_of(raw: Mapping[str, Any]) -> str:
    properties = mapping(raw.get("properties"))
    initiator = mapping(mapping(properties.get("initiatedBy")).get("user"))
    found = (
        raw.get("callerIpAddress"),
        properties.get("ipAddress"),
        initiator.get("ipAddress"),
        _claims(raw).get("ipaddr"),
    )
    return next((text(value) for value in found if text(value)), "")


def resource_of(raw: Mapping[str, Any]) -> str:
    return text(raw.get("resourceId")) or text(raw.get("ResourceId"))


def subscription_of(resource: str) -> str:
    parts = resource.lower().split("/")
    return plain(parts[2], 64) if len(parts) > 2 and parts[1] == "subscriptions" else ""


def _fields(record: AuditRecord) -> dict[str, FieldValue]:
    raw, properties = record.raw, mapping(record.raw.get("properties"))
    targets = mappings(properties.get("targetResources"))[:_TARGETS]
    changed = [f"{text(c.get('displayName'), 64)}: {text(c.get('newValue'), 128)}" for c in _changes(targets)]
    status = mapping(properties.get("status"))
    return present(
        {
            "eventId": record.event_id,
            "principal": principal(raw),
            "operationName": shown(name_of(raw.get("operationName"))),
            "category": shown(name_of(raw.get("category"))),
            "resourceId": shown(resource_of(raw)),
            "result": shown(
                name_of(raw.get("resultType")) or name_of(raw.get("status")) or text(properties.get("result"))
            ),
            "resultDescription": shown(raw.get("resultDescription") or status.get("failureReason")),
            "callerIpAddress": shown(address_of(raw)),
            "correlationId": shown(raw.get("correlationId")),
            "userAgent": shown(properties.get("userAgent")),
            "application": shown(properties.get("appDisplayName")),
            "riskEventType": shown(properties.get("riskEventType")),
            "targets": shown_all([t.get("userPrincipalName") or t.get("displayName") for t in targets]),
            "changes": shown_all(changed),
        }
    )


def _changes(targets: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [c for target in targets for c in mappings(items(target.get("modifiedProperties")))]


def _summary(raw: Mapping[str, Any]) -> str:
    who = principal(raw) or "an unnamed principal"
    resource = resource_of(raw)
    result = name_of(raw.get("resultType")) or name_of(raw.get("status"))
    where = f" on {resource}" if resource else ""
    return plain(f"{who}: {name_of(raw.get('operationName'))[:200]}{where}{f', {result}' if result else ''}", _TEXT)
