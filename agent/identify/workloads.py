"""Which workload a container or cgroup belongs to: what its replicas have in common."""

import re

from agent.workload import Container, Workload

# k8s.io/apimachinery/pkg/util/rand: what generated names end in (no vowels, no 0, 1 or 3).
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_CRONJOB = re.compile(rf"^(?P<name>.+)-\d{{8}}-[{_SAFE}]{{5}}$")  # minutes since 1970, then the pod
_DEPLOYMENT = re.compile(rf"^(?P<name>.+)-[{_SAFE}]{{8,10}}-[{_SAFE}]{{5}}$")
_STATEFULSET = re.compile(r"^(?P<name>.+)-(?:0|[1-9]\d{0,4})$")
_GENERATED = re.compile(rf"^(?P<name>.+)-[{_SAFE}]{{5}}$")
_TAG = re.compile(r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$")
_BARE_DIGEST = re.compile(r"^(?:sha256:)?[0-9a-f]{64}$")

HOST = Workload(key="host")


def workload_of(container: Container) -> Workload:
    """The workload of a container.

    In Kubernetes the controller is read off the pod's name. A pod with a generated name whose controller
    cannot be told (DaemonSet, Job, bare ReplicaSet) has kind "pod" and the name without the generated end,
    so that its replicas share a profile. Elsewhere it is the image without tag and digest, or the name.
    """
    if container.pod_name and container.namespace:
        kind, name = _controller(container.pod_name)
        return Workload(f"k8s/{container.namespace}/{kind}/{name}/{container.name}", container.image_digest)
    return Workload(f"container/{_repository(container) or container.name}", container.image_digest)


def workload_of_unit(unit: str) -> Workload:
    """The workload of a systemd service; the host's own for no unit."""
    return Workload(f"unit/{unit}") if unit else HOST


def _controller(pod: str) -> tuple[str, str]:
    kinds = (("cronjob", _CRONJOB), ("deployment", _DEPLOYMENT), ("statefulset", _STATEFULSET), ("pod", _GENERATED))
    for kind, form in kinds:
        if match := form.match(pod):
            return kind, match["name"]
    return "pod", pod


def _repository(container: Container) -> str:
    if not container.image or _BARE_DIGEST.match(container.image):
        return ""
    return _TAG.sub("", container.image)
