"""A container's record → the Container value: names, pod, image, labels, by the keys each runtime uses.

Keys: containerd pkg/cri/annotations, cri-o pkg/annotations, kubelet pkg/kubelet/types/labels.go. Every value
is checked against the form its kind allows; what does not fit becomes "" and is counted, never repaired.
"""

import re
from collections import Counter
from collections.abc import Mapping

import orjson

from agent.identify.images import Image
from agent.identify.records import Record, bounded_strings
from agent.workload import Container

_POD_NAME = ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", "io.kubernetes.cri-o.KubeName")
_NAMESPACE = ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace", "io.kubernetes.cri-o.Namespace")
_POD_UID = ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid")
_NAME = ("io.kubernetes.cri.container-name", "io.kubernetes.container.name")
_IMAGE = (
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.ImageName",
    "org.opencontainers.image.ref.name",
    "io.kubernetes.cri-o.Image",
)
_TYPE = ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType", "io.kubernetes.docker.type")
_SERVICE_ACCOUNT = ("kubernetes.io/service-account.name",)
_SANDBOX_TYPES = ("sandbox", "podsandbox")
_NAME_FORM = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,254}$")
_IMAGE_FORM = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,511}$")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}$")
_LABELS = 64
SANDBOX_NAME = "POD"  # what the kubelet itself calls a pod's sandbox container


def describe(record: Record, pod_uid: str, image: Image, counts: Counter[str]) -> Container:
    """What is known of a container. `pod_uid` is the one its cgroup path named. A sandbox is named POD."""
    facts = {**record.annotations, **_nested(record.annotations), **image.labels}
    look = _Look(facts, counts)
    sandbox = look.first(_TYPE) in _SANDBOX_TYPES or look.first(_NAME) == SANDBOX_NAME
    name = SANDBOX_NAME if sandbox else look.first(_NAME) or look.checked(image.name) or record.id
    reference = look.first(_IMAGE, _IMAGE_FORM) or look.checked(image.reference, _IMAGE_FORM)
    return Container(
        id=record.id,
        name=name,
        runtime=record.runtime,
        image=reference,
        image_digest=_digest(reference, image.digest, facts),
        pod_uid=look.first(_POD_UID) or pod_uid,
        pod_name=look.first(_POD_NAME),
        namespace=look.first(_NAMESPACE),
        service_account=look.first(_SERVICE_ACCOUNT),
        labels=_labels(facts),
        init_pid=record.init_pid,
        complete=True,
    )


class _Look:
    """Looks facts up and checks their form."""

    def __init__(self, facts: Mapping[str, str], counts: Counter[str]) -> None:
        self._facts = facts
        self._counts = counts

    def first(self, keys: tuple[str, ...], form: re.Pattern[str] = _NAME_FORM) -> str:
        """The first well-formed value of these keys, else ""."""
        return next((value for key in keys if (value := self.checked(self._facts.get(key, ""), form))), "")

    def checked(self, value: str, form: re.Pattern[str] = _NAME_FORM) -> str:
        """The value if it has the form, else "" and a count."""
        if value and not form.match(value):
            self._counts["metadata_malformed"] += 1
            return ""
        return value


def _nested(annotations: Mapping[str, str]) -> dict[str, str]:
    """CRI-O keeps the pod's labels as JSON inside one annotation."""
    try:
        found = orjson.loads(annotations.get("io.kubernetes.cri-o.Labels", "{}"))
    except ValueError:
        return {}
    return bounded_strings(found) if isinstance(found, dict) else {}


def _digest(reference: str, digest: str, facts: Mapping[str, str]) -> str:
    for candidate in (reference, facts.get("io.kubernetes.cri-o.ImageRef", ""), digest):
        if match := _DIGEST.search(candidate):
            return match[0]
    return ""


def _labels(facts: Mapping[str, str]) -> dict[str, str]:
    """Labels people gave; what runtimes note for themselves is left out."""
    own = ((k, v) for k, v in facts.items() if not k.startswith(("io.kubernetes.cri", "io.podman.", "io.container.")))
    return dict(list(own)[:_LABELS])
