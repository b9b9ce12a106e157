"""The demo's pods, made through the CRI as a kubelet makes them: identities, cgroups, labels, token volume."""

import base64
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from vedette.cri.v1 import runtime_pb2 as cri
from vedette.cri.v1 import runtime_pb2_grpc

from cli.demo.errors import DemoError
from cli.demo.image import IMAGE

NAMESPACE = "shop"
CGROUP_ROOT = "/kubepods/burstable"
TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 — a path
_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # the alphabet Kubernetes makes names of
_CALL_S = 60


@dataclass(frozen=True, slots=True)
class Token:
    """A bound service account token; `credential` is what the API server calls it in audit records."""

    jwt: str
    credential: str
    service_account_uid: str


@dataclass(frozen=True, slots=True)
class Pod:
    """What a Deployment's pod is before it runs."""

    app: str
    name: str
    uid: str
    template_hash: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    token: Token | None = None

    @property
    def cgroup(self) -> str:
        """Its cgroup, as a kubelet with the cgroupfs driver names it."""
        return f"{CGROUP_ROOT}/pod{self.uid}"


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod and what the runtime made of it."""

    pod: Pod
    sandbox_id: str
    container_id: str
    address: str


def template_hash() -> str:
    """What a Deployment puts between its own name and a pod's."""
    return _random(9)


def describe(app: str, template: str, node: str, environment: Mapping[str, str]) -> Pod:
    """A pod of Deployment `app` with a name, a UID and a token of its own."""
    name, uid = f"{app}-{template}-{_random(5)}", str(uuid.uuid4())
    token = _token(app, name, uid, node)
    return Pod(app, name, uid, template, (f"/opt/shop/{app}",), environment, token)


class Kubelet:
    """Runs pods on one runtime, in the order and with the settings a kubelet uses."""

    def __init__(self, channel: grpc.Channel, volumes: Path, logs: Path) -> None:
        self._stub = runtime_pb2_grpc.RuntimeServiceStub(channel)
        self._volumes = volumes
        self._logs = logs

    def run(self, pod: Pod) -> RunningPod:
        """Make and start a pod with its one container. Raises: DemoError with what the runtime says."""
        try:
            return self._run(pod)
        except grpc.RpcError as e:
            raise DemoError(f"containerd cannot run pod {pod.name}: {e.details()}") from e

    def remove_all(self) -> None:
        """Stop and remove every pod. Raises: DemoError with what the runtime says."""
        try:
            for item in self._stub.ListPodSandbox(cri.ListPodSandboxRequest(), timeout=_CALL_S).items:
                self._stub.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=item.id), timeout=_CALL_S)
                self._stub.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=item.id), timeout=_CALL_S)
        except grpc.RpcError as e:
            raise DemoError(f"containerd cannot remove the pods: {e.details()}") from e

    def _run(self, pod: Pod) -> RunningPod:
        sandbox = self._sandbox(pod)
        request = cri.RunPodSandboxRequest(config=sandbox)
        sandbox_id = self._stub.RunPodSandbox(request, timeout=_CALL_S).pod_sandbox_id
        container = cri.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=self._container(pod), sandbox_config=sandbox
        )
        container_id = self._stub.CreateContainer(container, timeout=_CALL_S).container_id
        self._stub.StartContainer(cri.StartContainerRequest(container_id=container_id), timeout=_CALL_S)
        status = self._stub.PodSandboxStatus(cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id), timeout=_CALL_S)
        return RunningPod(pod, sandbox_id, container_id, status.status.network.ip)

    def _sandbox(self, pod: Pod) -> cri.PodSandboxConfig:
        logs = self._logs / f"{NAMESPACE}_{pod.name}_{pod.uid}"
        (logs / pod.app).mkdir(parents=True, exist_ok=True)
        return cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=pod.name, uid=pod.uid, namespace=NAMESPACE),
            hostname=pod.name,
            log_directory=str(logs),
            labels={"app": pod.app, "pod-template-hash": pod.template_hash, **_identity(pod)},
            annotations={"kubernetes.io/config.source": "api", "kubernetes.io/config.seen": _now()},
            linux=cri.LinuxPodSandboxConfig(
                cgroup_parent=pod.cgroup,
                security_context=cri.LinuxSandboxSecurityContext(namespace_options=_namespaces()),
            ),
        )

    def _container(self, pod: Pod) -> cri.ContainerConfig:
        return cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name=pod.app),
            image=cri.ImageSpec(image=IMAGE),
            command=pod.command,
            envs=[cri.KeyValue(key=k, value=v) for k, v in pod.environment.items()],
            mounts=self._mounts(pod),
            labels={"io.kubernetes.container.name": pod.app, **_identity(pod)},
            annotations={"io.kubernetes.container.restartCount": "0"},
            log_path=f"{pod.app}/0.log",
            linux=cri.LinuxContainerConfig(
                security_context=cri.LinuxContainerSecurityContext(namespace_options=_namespaces())
            ),
        )

    def _mounts(self, pod: Pod) -> list[cri.Mount]:
        if pod.token is None:
            return []
        volume = self._volumes / pod.uid / "volumes" / "kubernetes.io~projected" / "kube-api-access"
        _project(volume, {"token": pod.token.jwt, "namespace": NAMESPACE})
        return [cri.Mount(container_path=TOKEN_DIRECTORY, host_path=str(volume), readonly=True)]


def _identity(pod: Pod) -> dict[str, str]:
    return {
        "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": NAMESPACE,
        "io.kubernetes.pod.uid": pod.uid,
    }


def _namespaces() -> cri.NamespaceOption:
    return cri.NamespaceOption(network=cri.POD, pid=cri.CONTAINER, ipc=cri.POD)


def _project(volume: Path, contents: Mapping[str, str]) -> None:
    """Lay files out as a kubelet's atomic writer does: name → ..data/name, ..data → a dated directory."""
    dated = f"..{datetime.now(UTC):%Y_%m_%d_%H_%M_%S}.{secrets.randbelow(10**9)}"
    (volume / dated).mkdir(parents=True)
    (volume / "..data").symlink_to(dated)
    for name, text in contents.items():
        (volume / dated / name).write_text(text)
        (volume / name).symlink_to(f"..data/{name}")


def _token(service_account: str, pod: str, uid: str, node: str) -> Token:
    """A token with the claims of a bound service account token; its signature is random, so it opens nothing."""
    now, credential, account_uid = int(time.time()), str(uuid.uuid4()), str(uuid.uuid4())
    bound = {
        "namespace": NAMESPACE,
        "node": {"name": node},
        "pod": {"name": pod, "uid": uid},
        "serviceaccount": {"name": service_account, "uid": account_uid},
    }
    issuer = "https://kubernetes.default.svc.cluster.local"
    claims = {
        "aud": [issuer],
        "exp": now + 3607,
        "iat": now,
        "iss": issuer,
        "jti": credential,
        "kubernetes.io": bound,
        "sub": f"system:serviceaccount:{NAMESPACE}:{service_account}",
    }
    header = {"alg": "RS256", "kid": secrets.token_urlsafe(32)}
    parts = [_b64(json.dumps(header).encode()), _b64(json.dumps(claims).encode()), _b64(secrets.token_bytes(256))]
    return Token(".".join(parts), f"JTI={credential}", account_uid)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _random(length: int) -> str:
    return "".join(secrets.choice(_SAFE) for _ in range(length))


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
