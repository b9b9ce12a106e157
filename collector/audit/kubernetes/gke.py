"""Kubernetes requests in Google Cloud's audit log, as the audit events they were made from.

Format: a `LogEntry` whose protoPayload has the serviceName k8s.io ("Audit logs" of the GKE documentation). The method
is the reversed API group, version, resource, subresource and verb (`io.k8s.core.v1.pods.exec.create`), the name of
the resource a path (`core/v1/namespaces/shop/pods/web/exec`). Groups of the caller, the request's URL and the
stages are not in it: the URL is put together again, and the stage comes from the marks of a long operation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from collector.audit.values import first_time, items, mapping, text

SERVICE = "k8s.io"
# gRPC status (google.rpc.Code) → HTTP status, as the API server's own mapping has it.
_HTTP = {0: 200, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 409, 10: 409, 11: 400, 13: 500, 14: 503, 16: 401}
# After a namespace's name these are parts of the namespace itself; other words are resources in it.
_OF_NAMESPACE = frozenset({"status", "finalize"})
_UPGRADED = frozenset({"exec", "attach", "portforward"})


@dataclass(frozen=True, slots=True)
class _Object:
    group: str
    version: str
    resource: str
    namespace: str
    name: str
    subresource: str

    def path(self) -> str:
        """The path of the API."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{self.namespace}" if self.namespace and self.resource != "namespaces" else ""
        parts = (self.resource, self.name, self.subresource)
        return root + within + "".join(f"/{part}" for part in parts if part)


def is_kubernetes(payload: Mapping[str, Any]) -> bool:
    """Is this protoPayload of a request to a cluster's API server?"""
    return payload.get("serviceName") == SERVICE and text(payload.get("methodName")).startswith("io.")


def event_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The audit event, as far as the entry's fields allow."""
    payload, operation = mapping(entry.get("protoPayload")), mapping(entry.get("operation"))
    meta, request = mapping(payload.get("requestMetadata")), _body(payload.get("request"))
    verb = text(payload.get("methodName"), 1024).rpartition(".")[2]
    thing = _object(text(payload.get("resourceName"), 2048))
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "auditID": text(operation.get("id"), 128) or entry.get("insertId"),
        "stage": "ResponseStarted" if operation.get("first") and not operation.get("last") else "ResponseComplete",
        "verb": verb,
        "requestURI": _uri(thing, text(payload.get("resourceName"), 2048), request),
        "user": {"username": text(mapping(payload.get("authenticationInfo")).get("principalEmail"))},
        "sourceIPs": [ip for ip in (text(meta.get("callerIp"), 64),) if ip],
        "userAgent": text(meta.get("callerSuppliedUserAgent")),
        "objectRef": _reference(thing),
        "responseStatus": {"code": _code(payload, thing)},
        "requestReceivedTimestamp": _stamp(entry),
        "annotations": _notes(entry, payload),
    }
    answer = _body(payload.get("response"))
    return event | {k: v for k, v in (("requestObject", request), ("responseObject", answer)) if v}


def _object(name: str) -> _Object | None:
    """`group/version/[namespaces/n/]resource[/name[/subresource…]]`; None for what is no resource."""
    group, version, *parts = (*name.split("/"), "", "")[: max(2, name.count("/") + 1)]
    if not version or not parts:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in _OF_NAMESPACE:
        namespace, parts = parts[1], parts[2:]
    resource, thing, sub = (*parts[:2], "/".join(parts[2:]), "")[:3] if len(parts) > 1 else (parts[0], "", "")
    if resource == "namespaces":
        namespace = thing
    return _Object("" if group == "core" else group, version, resource, namespace, thing, sub)


def _reference(thing: _Object | None) -> dict[str, str]:
    if thing is None:
        return {}
    named = {
        "resource": thing.resource,
        "namespace": thing.namespace,
        "name": thing.name,
        "subresource": thing.subresource,
        "apiGroup": thing.group,
        "apiVersion": thing.version,
    }
    return {key: value for key, value in named.items() if value}


def _uri(thing: _Object | None, name: str, request: Mapping[str, Any]) -> str:
    if thing is None:
        return f"/{name}"
    if thing.subresource not in _UPGRADED:
        return thing.path()
    # The options of an exec are its query, and only there do we look for its command.
    options = [("command", text(word)) for word in items(request.get("command"))[:64]]
    options += [(key, str(request[key]).lower()) for key in ("container", "stdin", "tty") if key in request]
    return thing.path() + (f"?{urlencode(options)}" if options else "")


def _code(payload: Mapping[str, Any], thing: _Object | None) -> int:
    code = mapping(payload.get("status")).get("code", 0)
    status = _HTTP.get(code, 500) if isinstance(code, int) else 500
    return 101 if status == 200 and thing is not None and thing.subresource in _UPGRADED else status


def _notes(entry: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Labels are the annotations; without them, whether the permissions were granted."""
    notes = {key: value for key, value in mapping(entry.get("labels")).items() if isinstance(value, str)}
    granted = [mapping(one).get("granted") for one in items(payload.get("authorizationInfo"))]
    if granted and "authorization.k8s.io/decision" not in notes:
        notes["authorization.k8s.io/decision"] = "allow" if all(granted) else "forbid"
    return notes


def _stamp(entry: Mapping[str, Any]) -> Any:
    return next((v for v in (entry.get("timestamp"), entry.get("receiveTimestamp")) if first_time(v) is not None), None)


def _body(value: Any) -> dict[str, Any]:
    """An object without the type of its message (`core.k8s.io/v1.Pod`), which says its kind."""
    body = dict(mapping(value))
    kind = text(body.pop("@type", "")).rpartition(".")[2]
    return {"kind": kind, **body} if kind and body else body
