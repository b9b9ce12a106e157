"""The control plane's half of the story: Kubernetes audit records of what really happens in the demo.

There is no API server. Records have the form of audit.k8s.io/v1 (Kubernetes 1.34, a policy that omits the stage
RequestReceived) with the real pod UIDs, addresses and times; who reads them cannot tell the difference.
"""

import json
import socket
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cli.demo.pods import NAMESPACE, RunningPod

HUMAN = "alice@example.com"
_KUBECTL = "kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9"
_WORKSTATION = "192.168.40.17"
_NODE_ADDRESS = "192.168.40.2"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks the API server, from where, with what."""

    user: Mapping[str, Any]
    address: str
    agent: str
    why_allowed: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, of which object, how it was answered, and when it came in."""

    caller: Caller
    verb: str
    uri: str
    target: Mapping[str, Any]
    code: int
    received: datetime


def human() -> Caller:
    """The person whose credentials the intruder has."""
    extra = {"authentication.kubernetes.io/credential-id": ["OIDC=8b1f6f1e-4c1c-4b52-9a55-1d0f3f6f2a10"]}
    user = {"username": HUMAN, "groups": ["platform-team", "system:authenticated"], "extra": extra}
    why = 'RBAC: allowed by RoleBinding "operators/shop" of ClusterRole "edit" to Group "platform-team"'
    return Caller(user, _WORKSTATION, _KUBECTL, why)


def service_account(pod: RunningPod, address: str, agent: str) -> Caller:
    """The pod's bound token, as the API server sees it used from `address`."""
    token, name = pod.pod.token, pod.pod.app
    assert token is not None
    extra = {
        "authentication.kubernetes.io/credential-id": [token.credential],
        "authentication.kubernetes.io/node-name": [node()],
        "authentication.kubernetes.io/pod-name": [pod.pod.name],
        "authentication.kubernetes.io/pod-uid": [pod.pod.uid],
    }
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
    username = f"system:serviceaccount:{NAMESPACE}:{name}"
    user = {"username": username, "uid": token.service_account_uid, "groups": groups, "extra": extra}
    binding = f'RoleBinding "{name}-legacy/{NAMESPACE}" of ClusterRole "admin"'
    why = f'RBAC: allowed by {binding} to ServiceAccount "{name}/{NAMESPACE}"'
    return Caller(user, address, agent, why)


class AuditLog:
    """An API server's audit log file, one JSON record per line. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.touch()

    def write(self, *records: Mapping[str, Any]) -> None:
        """Append records."""
        lines = "".join(json.dumps(record) + "\n" for record in records)
        with self._lock, self.path.open("a") as log:
            log.write(lines)


def exec_records(caller: Caller, pod: RunningPod, received: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two records of one `kubectl exec -it POD -- sh`: connection upgraded, connection closed.

    kubectl ≥ 1.31 upgrades to WebSocket: verb get, code 101. The second record's time is set by `closed_at`.
    """
    command = [("command", "sh"), ("container", pod.pod.app), ("stdin", "true"), ("stdout", "true"), ("tty", "true")]
    uri = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.pod.name}/exec?{urlencode(command)}"
    target = _object("pods", pod.pod.name, subresource="exec")
    request = Request(caller, "get", uri, target, 101, received)
    started = record(request, level="Request", stage="ResponseStarted")
    return started, {**started, "stage": "ResponseComplete"}


def closed_at(completed: Mapping[str, Any], when: datetime) -> dict[str, Any]:
    """The record of a long request's end, at the moment it ended."""
    return {**completed, "stageTimestamp": stamp(when)}


def secrets_listed(caller: Caller, uri: str, received: datetime) -> dict[str, Any]:
    """A list of the namespace's secrets."""
    return record(Request(caller, "list", uri, _object("secrets"), 200, received))


def pod_created(caller: Caller, uri: str, specification: Mapping[str, Any], received: datetime) -> dict[str, Any]:
    """A pod created, with what was asked for."""
    name = str(specification.get("metadata", {}).get("name", ""))
    created = record(Request(caller, "create", uri, _object("pods", name), 201, received), level="RequestResponse")
    answer = {**specification, "metadata": {"name": name, "namespace": NAMESPACE, "uid": str(uuid.uuid4())}}
    notes = {**created["annotations"], "pod-security.kubernetes.io/enforce-policy": "privileged:latest"}
    return {**created, "requestObject": dict(specification), "responseObject": answer, "annotations": notes}


def refused(uri: str, verb: str, address: str, agent: str, received: datetime) -> dict[str, Any]:
    """A request without a valid token, refused."""
    user = {"username": "system:anonymous", "groups": ["system:unauthenticated"]}
    denied = record(Request(Caller(user, address, agent, ""), verb, uri, {}, 401, received))
    return {**denied, "annotations": {}}


def background(pods: Sequence[RunningPod]) -> list[dict[str, Any]]:
    """A quiet cluster's traffic: a kubelet, the controllers, a deployment by a robot, a look by a person."""
    now, apps = datetime.now(UTC), f"/apis/apps/v1/namespaces/{NAMESPACE}"
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    lease_object = {**_object("leases", node(), "coordination.k8s.io"), "namespace": "kube-node-lease"}
    deployment, replica_sets = _object("deployments", "web", "apps"), _object("replicasets", "", "apps")
    requests = [
        Request(_kubelet(), "update", f"{lease}/{node()}?timeout=10s", lease_object, 200, now),
        Request(_controllers(), "watch", f"{apps}/replicasets?watch=true", replica_sets, 200, now),
        Request(_robot(), "patch", f"{apps}/deployments/web?fieldManager=helm", deployment, 200, now),
        Request(human(), "list", f"/api/v1/namespaces/{NAMESPACE}/pods?limit=500", _object("pods"), 200, now),
    ]
    for pod in pods:
        uri = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.pod.name}/status"
        status = _object("pods", pod.pod.name, subresource="status")
        requests.append(Request(_kubelet(), "patch", uri, status, 200, now))
    return [record(request) for request in requests]


def record(request: Request, level: str = "Metadata", stage: str = "ResponseComplete") -> dict[str, Any]:
    """One audit.k8s.io/v1 Event, its stage reached now."""
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": level,
        "auditID": str(uuid.uuid4()),
        "stage": stage,
        "requestURI": request.uri,
        "verb": request.verb,
        "user": dict(request.caller.user),
        "sourceIPs": [request.caller.address],
        "userAgent": request.caller.agent,
        "objectRef": dict(request.target),
        "responseStatus": {"metadata": {}, "code": request.code},
        "requestReceivedTimestamp": stamp(request.received),
        "stageTimestamp": stamp(datetime.now(UTC)),
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": request.caller.why_allowed,
        },
    }


def node() -> str:
    """The name of this machine as a node, the one its agent gives too."""
    return socket.gethostname()


def stamp(when: datetime) -> str:
    """Time as the API server writes it (RFC 3339, microseconds)."""
    return f"{when:%Y-%m-%dT%H:%M:%S.%fZ}"


def _object(resource: str, name: str = "", group: str = "", subresource: str = "") -> dict[str, str]:
    fields = {"resource": resource, "namespace": NAMESPACE, "name": name, "apiGroup": group, "apiVersion": "v1"}
    return {key: value for key, value in {**fields, "subresource": subresource}.items() if value}


def _kubelet() -> Caller:
    user = {"username": f"system:node:{node()}", "groups": ["system:nodes", "system:authenticated"]}
    return Caller(user, _NODE_ADDRESS, "kubelet/v1.34.1 (linux/amd64) kubernetes/93248f9", "")


def _controllers() -> Caller:
    user = {"username": "system:kube-controller-manager", "groups": ["system:authenticated"]}
    agent = "kube-controller-manager/v1.34.1 (linux/amd64) kubernetes/93248f9/shared-informers"
    return Caller(user, _NODE_ADDRESS, agent, 'RBAC: allowed by ClusterRoleBinding "system:kube-controller-manager"')


def _robot() -> Caller:
    groups = ["system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"]
    user = {"username": "system:serviceaccount:ci:deployer", "groups": groups}
    return Caller(user, "192.168.40.31", "helm/v3.19.0", 'RBAC: allowed by RoleBinding "deployer/shop"')
