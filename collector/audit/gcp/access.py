"""A Google Cloud audit entry as behaviour of its principal."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from collector.audit.origin import MOST, agent_of, call, hours_of, network_of, template
from collector.audit.record import AuditRecord
from collector.audit.values import mapping, mappings, text
from collector.plain import plain
from detection.principals.access import Access, Actor, PrincipalKind

_VERSION = re.compile(r"(^|\.)(v\d+[a-z0-9]*|alpha|beta)(?=\.)")
# Agents of Google's own services ("Service agents" of the IAM documentation).
_AGENTS = re.compile(
    r"@(gcp-sa-|cloudservices\.|system\.|[a-z-]+-system\.|compute-system\.|container-engine-robot\.)"
    r"|^(service-\d+@|system@google\.com$)"
)
_REFUSED = (7, 16)  # google.rpc.Code PERMISSION_DENIED, UNAUTHENTICATED


def access_of(record: AuditRecord) -> Access | None:
    """None where it does not say who called. Where one acts for another, the first of the chain is the actor."""
    raw = record.raw
    payload = mapping(raw.get("protoPayload"))
    info, meta = mapping(payload.get("authenticationInfo")), mapping(payload.get("requestMetadata"))
    where = mapping(mapping(raw.get("resource")).get("labels"))
    home = text(where.get("project_id"), 128)
    called = _actor(text(info.get("principalEmail"), 256) or text(info.get("principalSubject"), 256), home)
    behind = _actor(_delegate(info), home)
    if called is None and behind is None:
        return None
    refused = mapping(payload.get("status")).get("code") in _REFUSED
    service, method = text(payload.get("serviceName"), 128), text(payload.get("methodName"), MOST)
    return Access(
        behind or called or Actor("", PrincipalKind.PERSON, home),
        call(service.removesuffix(".googleapis.com"), _method(method), refused),
        template(text(mapping(raw.get("resource")).get("type"), MOST) or service),
        agent_of(meta.get("callerSuppliedUserAgent")),
        network_of(meta.get("callerIp")),
        template(text(where.get("location"), 64) or text(where.get("zone"), 64) or text(where.get("region"), 64)),
        hours_of(record.time_ns),
        called if behind is not None and called != behind else None,
    )


def _delegate(info: Mapping[str, Any]) -> str:
    """The last of the delegation chain is who began it."""
    for delegate in reversed(mappings(info.get("serviceAccountDelegationInfo"))):
        first = text(mapping(delegate.get("firstPartyPrincipal")).get("principalEmail"), 256)
        if subject := first or text(delegate.get("principalSubject"), 256):
            return subject
    return ""


@lru_cache(maxsize=16_384)
def _actor(name: str, home: str) -> Actor | None:
    if not name:
        return None
    return Actor(
        plain(name.partition(":")[2] if name.startswith("user:") else name, 256), _kind(name), plain(home, 128)
    )


def _kind(name: str) -> PrincipalKind:
    if _AGENTS.search(name):
        return PrincipalKind.SERVICE
    machine = name.endswith("gserviceaccount.com") or ".svc.id.goog[" in name or "/subject/ns/" in name
    return PrincipalKind.WORKLOAD if machine else PrincipalKind.PERSON


@lru_cache(maxsize=16_384)
def _method(name: str) -> str:
    """google.iam.admin.v1.CreateServiceAccountKey → google.iam.admin.CreateServiceAccountKey."""
    return _VERSION.sub("", name).lstrip(".")
