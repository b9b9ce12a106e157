"""A CloudTrail event as behaviour of its principal."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from collector.audit.aws.principal import principal, session_name
from collector.audit.origin import MOST, agent_of, call, hours_of, network_of, template
from collector.audit.record import AuditRecord
from collector.audit.values import mapping, text
from collector.plain import plain
from detection.principals.access import Access, Actor, PrincipalKind

_POD = "system:serviceaccount:"
_PEOPLE = ":role/aws-reserved/sso.amazonaws.com/"
_LINKED = ":role/aws-service-role/"
_REFUSED = ("AccessDenied", "UnauthorizedOperation", "Client.UnauthorizedOperation", "AccessDeniedException")


def access_of(record: AuditRecord) -> Access | None:
    """None where it does not say who called."""
    raw = record.raw
    actor = _actor_of(raw)
    if actor is None:
        return None
    source, refused = raw["eventSource"][:128], raw.get("errorCode") in _REFUSED
    api = call(source.removesuffix(".amazonaws.com"), raw["eventName"][:128], refused)
    agent, region = agent_of(raw.get("userAgent")), raw.get("awsRegion")
    network = network_of(raw.get("sourceIPAddress"))
    where = template(region[:64]) if isinstance(region, str) else ""
    return Access(actor, api, _resource(raw, source), agent, network, where, hours_of(record.time_ns))


def _resource(raw: Mapping[str, Any], source: str) -> str:
    """The type of the first resource, else the service."""
    named = raw.get("resources")
    first = named[0] if isinstance(named, list) and named else None
    kind = first.get("type") if isinstance(first, dict) else None
    return template(kind[:MOST] if isinstance(kind, str) and kind else source)


def _actor_of(raw: Mapping[str, Any]) -> Actor | None:
    """Who is behind it: of a role's session the role, of a person's (SSO, source identity) the person."""
    identity = raw.get("userIdentity")
    if not isinstance(identity, dict):
        return None
    account = text(identity.get("accountId"), 32) or text(raw.get("recipientAccountId"), 32)
    kind, behind = text(identity.get("type"), 32), mapping(identity.get("sessionContext"))
    if kind == "AWSService" or not (identity.get("arn") or identity.get("principalId") or identity.get("userName")):
        who = text(identity.get("invokedBy"), 128) or (account if kind == "AWSAccount" else "")
        own = PrincipalKind.ROLE if kind == "AWSAccount" else PrincipalKind.SERVICE
        return _named(who, own, account) if who else None
    if person := text(behind.get("sourceIdentity"), 256):
        return _named(person, PrincipalKind.PERSON, account)
    if kind == "AssumedRole":
        role = text(mapping(behind.get("sessionIssuer")).get("arn"), 256) or principal(identity).rpartition("/")[0]
        return _role(role, session_name(identity) if _PEOPLE in role or "AWSReservedSSO_" in role else "", account)
    if kind in ("WebIdentityUser", "SAMLUser"):
        name = text(identity.get("userName"), 256) or text(identity.get("principalId"), 256)
        return _named(name, PrincipalKind.WORKLOAD if _POD in name else PrincipalKind.PERSON, account) if name else None
    name = principal(identity)
    return _named(name, PrincipalKind.ROLE if kind == "AWSAccount" else PrincipalKind.PERSON, account) if name else None


@lru_cache(maxsize=16_384)
def _role(arn: str, person: str, account: str) -> Actor | None:
    if person:
        return _named(person, PrincipalKind.PERSON, account)
    return _named(arn, PrincipalKind.SERVICE if _LINKED in arn else PrincipalKind.ROLE, account) if arn else None


@lru_cache(maxsize=16_384)
def _named(name: str, kind: PrincipalKind, account: str) -> Actor:
    return Actor(plain(name, 256), kind, plain(account, 32))
