"""Which workload a container or cgroup belongs to: what its replicas have in common."""

import re
from typing import NamedTuple

from agent.workload import Container, Owner, Workload

# k8s.io/apimachinery/pkg/util/rand: what generated names end in (no vowels, no 0, 1 or 3).
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_CRONJOB = re.compile(rf"^(?P<name>.+)-\d{{8}}-[{_SAFE}]{{5}}$")  # minutes since 1970, then the pod
_DEPLOYMENT = re.compile(rf"^(?P<name>.+)-[{_SAFE}]{{8,10}}-[{_SAFE}]{{5}}$")
_STATEFULSET = re.compile(r"^(?P<name>.+)-(?:0|[1-9]\d{0,4})$")
_GENERATED = re.compile(rf"^(?P<name>.+)-[{_SAFE}]{{5}}$")
_TAG = re.compile(r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$")
_BARE_DIGEST = re.compile(r"^(?:sha256:)?[0-9a-f]{64}$")
_NAMED = ("compose", "swarm", "nomad")

HOST = Workload(key="host")


class Scope(NamedTuple):
    """Where this agent is: hosts of one group and clusters of one name share profiles, others do not."""

    node: str = ""
    cluster: str = ""
    host_group: str = ""


HERE = Scope()


def workload_of(container: Container, scope: Scope = HERE) -> Workload:
    """The workload of a container.

    In Kubernetes the owner, as the runtime's labels tell it. Where no labels are known it is read off the pod's name:
    a pod with a generated name whose controller cannot be told then has kind "pod" and the name without the generated
    end, so that its replicas share a profile. Elsewhere it is the compose, swarm or nomad service, else the image
    without tag and digest, or the name.
    """
    owner = container.owner
    if container.pod_name and container.namespace:
        if not owner.kind:
            owner = _controller(container.pod_name)
        place = f"{scope.cluster}/{container.namespace}" if scope.cluster else container.namespace
        return Workload(f"k8s/{place}/{owner.kind}/{owner.name}/{container.name}", container.image_digest)
    if owner.kind in _NAMED:
        return Workload(f"{owner.kind}/{owner.name}", container.image_digest)
    return Workload(f"container/{_repository(container) or container.name}", container.image_digest)


def workload_of_unit(unit: str, executable: str = "", scope: Scope = HERE) -> Workload:
    """The workload of a systemd service, by group, unit and the program it is made to run; the host's for no unit."""
    group = f"/{scope.host_group}" if scope.host_group else ""
    if unit:
        return Workload(f"unit{group}/{unit}{executable}")
    return Workload(f"host{group}") if group else HOST


def _controller(pod: str) -> Owner:
    kinds = (("cronjob", _CRONJOB), ("deployment", _DEPLOYMENT), ("statefulset", _STATEFULSET), ("pod", _GENERATED))
    for kind, form in kinds:
        if match := form.match(pod):
            return Owner(kind, match["name"])
    return Owner("pod", pod)


def _repository(container: Container) -> str:
    if not container.image or _BARE_DIGEST.match(container.image):
        return ""
    return _TAG.sub("", container.image)
