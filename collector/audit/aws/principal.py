"""Who is behind a CloudTrail event: `userIdentity` as entities.

Format: "CloudTrail userIdentity element" of the AWS CloudTrail user guide.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from collector.audit.values import mapping, mappings, text
from collector.plain import plain
from detection.finding import Entity, EntityKind, Role

_POD_ACCOUNT = "system:serviceaccount:"


def principal(identity: Mapping[str, Any]) -> str:
    """The principal in one text: the role's ARN for its sessions, else the ARN, the service or the name."""
    issuer = mapping(mapping(identity.get("sessionContext")).get("sessionIssuer"))
    found = issuer.get("arn") or identity.get("arn") or identity.get("invokedBy")
    return plain(text(found) or text(identity.get("userName")) or text(identity.get("principalId")), 256)


def session_name(identity: Mapping[str, Any]) -> str:
    """The session's name, which says who or what took the role; "" where no role was taken."""
    if identity.get("type") != "AssumedRole":
        return ""
    return plain(
        text(identity.get("arn")).rpartition("/")[2] or text(identity.get("principalId")).rpartition(":")[2], 128
    )


def callers(identity: Mapping[str, Any]) -> list[Entity]:
    """The principal, and everything known to be behind it."""
    return [entity for entity in _callers(identity) if entity.id]


def _callers(identity: Mapping[str, Any]) -> Iterator[Entity]:
    name, kind = principal(identity), text(identity.get("type"))
    if name and kind != "AWSService":
        yield Entity(EntityKind.ROLE if kind == "AssumedRole" else EntityKind.USER, name, name=_short(name))
    yield Entity(EntityKind.CREDENTIAL, plain(text(identity.get("accessKeyId")), 128))
    yield Entity(EntityKind.CLOUD_ACCOUNT, plain(text(identity.get("accountId")), 32))
    context = mapping(identity.get("sessionContext"))
    yield Entity(EntityKind.USER, plain(text(context.get("sourceIdentity")), 256))
    session = session_name(identity)
    if session.startswith("i-"):  # the instance's own role: the session is named after the instance
        yield Entity(EntityKind.CLOUD_RESOURCE, session)
    yield from _federated(text(identity.get("userName")))


def _federated(name: str) -> Iterator[Entity]:
    """A pod that exchanged its token (IAM roles for service accounts) is known by its service account."""
    if name.startswith(_POD_ACCOUNT):
        yield Entity(EntityKind.SERVICE_ACCOUNT, plain(name.removeprefix(_POD_ACCOUNT).replace(":", "/", 1), 256))


def pod_of(request: Mapping[str, Any]) -> list[Entity]:
    """The pod named in the session tags of EKS Pod Identity."""
    tags = {text(tag.get("key")): plain(text(tag.get("value")), 253) for tag in _tags(request)}
    namespace, pod = tags.get("kubernetes-namespace", ""), tags.get("kubernetes-pod-name", "")
    account = tags.get("kubernetes-service-account", "")
    named = f"{namespace}/{pod}" if namespace and pod else ""
    found = (
        Entity(EntityKind.POD, tags.get("kubernetes-pod-uid", ""), name=named),
        Entity(EntityKind.POD_NAME, named),
        Entity(EntityKind.SERVICE_ACCOUNT, f"{namespace}/{account}" if namespace and account else ""),
    )
    return [entity for entity in found if entity.id]


def issued(response: Mapping[str, Any]) -> list[Entity]:
    """Credentials the call gave out: whoever uses them goes on from here."""
    keys = (mapping(response.get(part)).get("accessKeyId") for part in ("credentials", "accessKey"))
    return [Entity(EntityKind.CREDENTIAL, plain(text(key), 128), Role.TARGET) for key in keys if text(key)]


def _tags(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Session tags, as a list of key and value or as an object."""
    given = request.get("principalTags", request.get("tags"))
    if isinstance(given, dict):
        return [{"key": key, "value": value} for key, value in list(given.items())[:64]]
    return mappings(given)


def _short(arn: str) -> str:
    return arn.rpartition(":")[2]
