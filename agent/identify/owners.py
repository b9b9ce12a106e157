"""What made a container: its controller, by the labels and annotations controllers put on what they make.

Labels: k8s.io/api apps/v1 and batch/v1 (pod-template-hash, controller-revision-hash, job-name,
statefulset.kubernetes.io/pod-name), kubelet annotations of static pods, Argo Rollouts, Docker Compose and Swarm, Nomad.
A ReplicaSet's pods are named after the ReplicaSet, that after its Deployment and the hash of the template, so the
hash in the label says exactly where the Deployment's name ends.
"""

import re
from collections.abc import Mapping

from agent.workload import NOBODY, Owner

_JOB = ("batch.kubernetes.io/job-name", "job-name")
_STATEFULSET = "statefulset.kubernetes.io/pod-name"
_REVISION = "controller-revision-hash"
_SOURCE = "kubernetes.io/config.source"
_HASHES = (("pod-template-hash", "deployment"), ("rollouts-pod-template-hash", "rollout"))
_RANDOM = re.compile(r"-[a-z0-9]{5}$")  # what the API server puts after a generateName
_ORDINAL = re.compile(r"-\d{1,10}$")
# The controller names a CronJob's Jobs after the minute (before Kubernetes 1.21: the second) they were due.
_SCHEDULED = re.compile(r"-(?:\d{8}|\d{10})$")
_PARTS = (
    ("compose", ("com.docker.compose.project", "com.docker.compose.service")),
    ("compose", ("io.podman.compose.project", "com.docker.compose.service")),
    ("swarm", ("com.docker.swarm.service.name",)),
    ("nomad", ("com.hashicorp.nomad.job_name", "com.hashicorp.nomad.task_name")),
)


def owner_of(pod: str, labels: Mapping[str, str], annotations: Mapping[str, str], node: str = "") -> Owner:
    """The owner, as far as labels and annotations say; NOBODY where they do not. `pod` is the pod's name or ""."""
    if not pod:
        return _outside_kubernetes(labels)
    if owner := _of_job(labels) or _of_template(pod, labels):
        return owner
    if labels.get(_STATEFULSET) == pod:
        return Owner("statefulset", _ORDINAL.sub("", pod))
    if labels.get(_REVISION):
        return Owner("daemonset", _RANDOM.sub("", pod))
    if annotations.get(_SOURCE, "api") != "api":
        return Owner("node", pod.removesuffix(f"-{node}") if node else pod)  # a static pod: the kubelet's own
    return NOBODY


def _of_job(labels: Mapping[str, str]) -> Owner | None:
    job = next((labels[key] for key in _JOB if labels.get(key)), "")
    scheduled = _SCHEDULED.sub("", job)
    if not job:
        return None
    return Owner("cronjob", scheduled) if scheduled != job else Owner("job", job)


def _of_template(pod: str, labels: Mapping[str, str]) -> Owner | None:
    for key, kind in _HASHES:
        if template := labels.get(key):
            return Owner(kind, _before(pod, template))
    return None


def _before(pod: str, template: str) -> str:
    """The name before the template's hash; of a name too long to hold it, what is left of the ReplicaSet's."""
    name, found, _ = pod.rpartition(f"-{template}-")
    return name if found else _RANDOM.sub("", pod)


def _outside_kubernetes(labels: Mapping[str, str]) -> Owner:
    for kind, keys in _PARTS:
        values = [labels.get(key, "") for key in keys]
        if all(values):
            return Owner(kind, "/".join(values))
    return NOBODY
