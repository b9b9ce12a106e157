"""An audit event as behaviour of its principal."""

from functools import lru_cache
from typing import Any

from collector.audit.origin import MOST, PRIVATE, agent_of, hours_of, network_of, template
from collector.audit.record import AuditRecord
from collector.plain import plain
from detection.principals.access import Access, Actor, PrincipalKind

_ACCOUNT = "system:serviceaccount:"
_ADDRESSES = 4
_REFUSED = (401, 403)
# Controllers of kube-controller-manager (--use-service-account-credentials): the control plane itself.
_CONTROLLERS = frozenset({
    "attachdetach-controller", "certificate-controller", "clusterrole-aggregation-controller", "cronjob-controller",
    "daemon-set-controller", "deployment-controller", "disruption-controller", "endpoint-controller",
    "endpointslice-controller", "endpointslicemirroring-controller", "ephemeral-volume-controller", "expand-controller",
    "generic-garbage-collector", "horizontal-pod-autoscaler", "job-controller", "legacy-service-account-token-cleaner",
    "namespace-controller", "node-controller", "persistent-volume-binder", "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller", "replicaset-controller", "replication-controller", "resourcequota-controller",
    "root-ca-cert-publisher", "route-controller", "service-account-controller", "service-controller",
    "statefulset-controller", "token-cleaner", "ttl-after-finished-controller", "ttl-controller",
})  # fmt: skip


def access_of(record: AuditRecord) -> Access | None:
    """None where it does not say who asked."""
    raw = record.raw
    actor = _user(raw.get("user"))
    if actor is None:
        return None
    ref, status, verb = raw.get("objectRef"), raw.get("responseStatus"), raw.get("verb")
    refused = isinstance(status, dict) and status.get("code") in _REFUSED
    acting_as = _user(raw["impersonatedUser"]) if "impersonatedUser" in raw else None
    if not isinstance(ref, dict):
        uri = raw.get("requestURI")
        api, resource = _path(_short(verb), uri[:MOST].partition("?")[0] if isinstance(uri, str) else "", refused), ""
    else:
        group, kind, sub = _short(ref.get("apiGroup")), _short(ref.get("resource")), _short(ref.get("subresource"))
        api, resource = _call(_short(verb), group, kind, sub, refused), _resource(kind, _short(ref.get("namespace")))
    network, agent = _network(raw.get("sourceIPs")), agent_of(raw.get("userAgent"))
    return Access(actor, api, resource, agent, network, "", hours_of(record.time_ns), acting_as)


def _short(value: Any) -> str:
    return value[:MOST] if isinstance(value, str) else ""


def _user(value: Any) -> Actor | None:
    name = value.get("username") if isinstance(value, dict) else None
    return _actor(name[:256]) if isinstance(name, str) and name else None


@lru_cache(maxsize=16_384)
def _actor(name: str) -> Actor:
    shown = plain(name, 256)
    if name.startswith(_ACCOUNT):
        namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
        own = namespace == "kube-system" and account in _CONTROLLERS
        return Actor(shown, PrincipalKind.SERVICE if own else PrincipalKind.WORKLOAD, plain(namespace, 128))
    if name.startswith("system:node:"):
        return Actor(shown, PrincipalKind.WORKLOAD, "nodes")
    if name.startswith("system:kube-") or name in ("system:apiserver", "aksService", "eks:node-manager"):
        return Actor(shown, PrincipalKind.SERVICE, "control plane")
    return Actor(shown, PrincipalKind.PERSON, "anonymous" if name == "system:anonymous" else "")


@lru_cache(maxsize=16_384)
def _call(verb: str, group: str, resource: str, sub: str, refused: bool) -> str:
    kind = "/".join(part for part in (group, resource, sub) if part)
    return plain(f"{verb} {kind}"[:MOST], MOST) + (" refused" if refused else "")


@lru_cache(maxsize=8192)
def _path(verb: str, path: str, refused: bool) -> str:
    """Requests for no resource: the first two parts of the path (/apis/apps, /healthz)."""
    return plain(f"{verb} {'/'.join(template(p) for p in path.split('/')[:3])}", MOST) + (" refused" if refused else "")


@lru_cache(maxsize=16_384)
def _resource(kind: str, namespace: str) -> str:
    return plain(f"{kind} in {template(namespace)}" if namespace else kind, MOST)


def _network(addresses: Any) -> str:
    """Of the last public address, else of the last: what stands before it the client may have made up."""
    if not isinstance(addresses, list) or not addresses:
        return ""
    found = network_of(addresses[-1])
    if len(addresses) == 1 or found not in PRIVATE:
        return found
    public = [network for ip in addresses[-_ADDRESSES:] if (network := network_of(ip)) not in PRIVATE and network]
    return public[-1] if public else found
