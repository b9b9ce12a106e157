"""The Kubernetes Container Runtime Interface: containerd and CRI-O say which pod a container is of.

Which image, which pod with which labels (a controller's are on the pod, not on the container), and where the service
account's token is mounted. Pods are looked up once each.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
from vedette.cri.v1 import runtime_pb2 as cri
from vedette.cri.v1 import runtime_pb2_grpc

from agent.identify.accounts import MOUNTED_AT, service_account
from agent.identify.records import bounded_strings
from agent.identify.sources import Said
from agent.runtimes.engine import ANSWER_S, MAX_ANSWER, AnswerError, EngineError, Greeting, Trouble

_PODS = 1024
_RUNTIMES = {"containerd": "cri-containerd", "cri-o": "cri-o"}
_ROOTS = ("/var/run", "/run")
_TROUBLES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Trouble.SILENT,
    grpc.StatusCode.UNIMPLEMENTED: Trouble.GARBLED,
    grpc.StatusCode.INTERNAL: Trouble.GARBLED,
    grpc.StatusCode.PERMISSION_DENIED: Trouble.REFUSED,
}


class CriEngine:
    """An `Engine` at a unix socket. `prefix` is where the host's root is mounted."""

    def __init__(self, path: str, prefix: str = "", timeout_s: float = ANSWER_S, max_bytes: int = MAX_ANSWER) -> None:
        self._path = path
        self._prefix = prefix
        self._timeout_s = timeout_s
        options = (
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new try, without another's backoff
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
            ("grpc.default_authority", "localhost"),
        )
        self._channel = grpc.insecure_channel(f"unix:{path}", options=options)
        self._stub = runtime_pb2_grpc.RuntimeServiceStub(self._channel)
        self._runtime = ""
        self._pods: OrderedDict[str, Said] = OrderedDict()

    def greet(self) -> Greeting:
        found = self._call(self._stub.Version, cri.VersionRequest(version="v1"))
        if found is None or not found.runtime_name:
            raise EngineError(Trouble.GARBLED, f"{self._path}: what answers does not say its name")
        self._runtime = _RUNTIMES.get(found.runtime_name, found.runtime_name[:64])
        return Greeting("cri", f"{found.runtime_name[:64]} {found.runtime_version[:64]}")

    def describe(self, container_id: str) -> Said | None:
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(id=container_id))
        listed = self._call(self._stub.ListContainers, request)
        # The filter takes prefixes too.
        found = next((c for c in listed.containers if c.id == container_id), None) if listed is not None else None
        if found is None:
            return self._pod(container_id)
        pod = self._pod(found.pod_sandbox_id)
        status = self._call(self._stub.ContainerStatus, cri.ContainerStatusRequest(container_id=container_id))
        return self._container(found, pod, status.status if status is not None else None)

    def close(self) -> None:
        self._channel.close()

    def _pod(self, sandbox_id: str) -> Said | None:
        """What a pod's sandbox is; None where there is none of this id."""
        pod = self._pods.get(sandbox_id)
        if pod is None and sandbox_id:
            found = self._call(self._stub.PodSandboxStatus, cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id))
            if found is None or found.status.id != sandbox_id:
                return None
            pod = self._pods[sandbox_id] = self._sandbox(found.status)
            if len(self._pods) > _PODS:
                self._pods.popitem(last=False)
        return pod

    def _sandbox(self, status: Any) -> Said:
        return Said(
            id=status.id,
            source="cri",
            runtime=self._runtime,
            pod_uid=status.metadata.uid,
            pod_name=status.metadata.name,
            namespace=status.metadata.namespace,
            labels=bounded_strings(status.labels),
            annotations=bounded_strings(status.annotations),
            created_ns=status.created_at,
            sandbox=True,
        )

    def _container(self, found: Any, pod: Said | None, status: Any) -> Said:
        own = bounded_strings(found.labels)
        namespace = pod.namespace if pod is not None else own.get("io.kubernetes.pod.namespace", "")
        uid = pod.pod_uid if pod is not None else own.get("io.kubernetes.pod.uid", "")
        return Said(
            id=found.id,
            source="cri",
            runtime=self._runtime,
            name=found.metadata.name,
            image=_reference(status.image.image if status is not None else "", found.image.image),
            image_digest=found.image_ref,
            pod_uid=uid,
            pod_name=pod.pod_name if pod is not None else own.get("io.kubernetes.pod.name", ""),
            namespace=namespace,
            service_account=self._account_of(found.pod_sandbox_id, pod, status),
            labels={**(pod.labels if pod is not None else {}), **own},
            annotations={**(pod.annotations if pod is not None else {}), **bounded_strings(found.annotations)},
            created_ns=found.created_at,
        )

    def _account_of(self, sandbox_id: str, pod: Said | None, status: Any) -> str:
        """The pod's, from any of its containers that mounts the token: one just removed cannot be asked."""
        if pod is None or pod.service_account or status is None:
            return pod.service_account if pod is not None else ""
        account = self._account(status, pod.namespace, pod.pod_uid)
        if account:
            self._pods[sandbox_id] = replace(pod, service_account=account)
        return account

    def _account(self, status: Any, namespace: str, uid: str) -> str:
        """Also where /var/run is a link: the runtime may name the mount by where it leads."""
        ends = {root + MOUNTED_AT.removeprefix(_ROOTS[0]) for root in _ROOTS}
        volume = next((m.host_path for m in status.mounts if m.container_path in ends), "")
        return service_account(volume, namespace, uid, self._prefix) if volume else ""

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """The answer, None for "not found". Raises: EngineError, AnswerError."""
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            code = error.code()
            if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INVALID_ARGUMENT):
                return None  # CRI-O and older containerd say "unknown" of what does not exist
            if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise AnswerError(f"{self._path}: an answer over the limit") from error
            trouble = _TROUBLES.get(code, Trouble.UNREACHABLE)
            raise EngineError(trouble, f"{self._path}: {code.name.lower().replace('_', ' ')}") from error


def _reference(*candidates: str) -> str:
    """The first that is a name; an image's bare id tells nobody anything."""
    named = (c for c in candidates if c and not c.startswith("sha256:"))
    return next(named, next(filter(None, candidates), ""))
