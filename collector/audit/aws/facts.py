"""What a CloudTrail event is about: its entities and its evidence, bounded and without secrets."""

from collections.abc import Iterator, Mapping
from typing import Any

from collector.audit.aws.principal import callers, issued, pod_of, principal, session_name
from collector.audit.record import AuditRecord, Facts
from collector.audit.values import address, distinct, mapping, mappings, present, shown, text
from collector.plain import plain
from detection.finding import Entity, EntityKind, FieldValue, Role

_PARAMETERS = 12
_RESOURCES = 8
_TEXT = 512


def facts_of(record: AuditRecord) -> Facts:
    """Entities, evidence and a sentence; of the request only short plain values, never the answer."""
    return Facts(distinct(tuple(_entities(record))), _fields(record), _summary(record.raw))


def _entities(record: AuditRecord) -> Iterator[Entity]:
    raw = record.raw
    yield from callers(mapping(raw.get("userIdentity")))
    yield from pod_of(mapping(raw.get("requestParameters")))
    if (source := address(raw.get("sourceIPAddress"))) is not None:
        yield source
    yield Entity(EntityKind.AUDIT_EVENT, record.event_id)
    yield from issued(mapping(raw.get("responseElements")))
    for resource in mappings(raw.get("resources"))[:_RESOURCES]:
        if arn := plain(text(resource.get("ARN")), 256):
            yield Entity(EntityKind.CLOUD_RESOURCE, arn, Role.TARGET)
    if role := text(mapping(raw.get("requestParameters")).get("roleArn")):
        yield Entity(EntityKind.ROLE, plain(role, 256), Role.TARGET)


def _fields(record: AuditRecord) -> dict[str, FieldValue]:
    raw, identity = record.raw, mapping(record.raw.get("userIdentity"))
    fields: dict[str, FieldValue] = {"eventID": record.event_id, "principal": principal(identity)}
    for key in ("eventSource", "eventName", "awsRegion", "recipientAccountId", "sourceIPAddress", "userAgent"):
        fields[key] = shown(raw.get(key))
    for key in ("errorCode", "errorMessage", "vpcEndpointId", "readOnly"):
        value = raw.get(key)
        fields[key] = value if isinstance(value, bool) else shown(value)
    for key in ("type", "arn", "accountId", "accessKeyId", "invokedBy"):
        fields[f"userIdentity.{key}"] = shown(identity.get(key))
    fields["session"] = session_name(identity)
    return present(fields | _parameters(mapping(raw.get("requestParameters"))))


def _parameters(request: Mapping[str, Any]) -> dict[str, FieldValue]:
    """The first plain values of the request; documents, lists and what hides itself are left out."""
    short = [(k, v) for k, v in request.items() if isinstance(v, str | int) and len(str(v)) < _TEXT]
    return {f"requestParameters.{plain(key, 64)}": _value(key, value) for key, value in short[:_PARAMETERS]}


def _value(key: str, value: str | int) -> str:
    """Shown as an assignment would be: the name may say that the value is a secret."""
    return shown(f"{key}={value}", _TEXT).partition("=")[2]


def _summary(raw: Mapping[str, Any]) -> str:
    identity = mapping(raw.get("userIdentity"))
    session, who = session_name(identity), principal(identity) or "an unnamed principal"
    service = text(raw.get("eventSource")).removesuffix(".amazonaws.com")
    refused = f", refused ({text(raw.get('errorCode'), 64)})" if raw.get("errorCode") else ""
    taken = f" (session {session})" if session else ""
    call = f"{service}:{text(raw.get('eventName'), 128)} in {text(raw.get('awsRegion'), 32)}"
    return plain(f"{who}{taken}: {call}{refused}", _TEXT)
