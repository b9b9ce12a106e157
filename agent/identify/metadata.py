"""A container's record → what its files say: names, pod, image, labels, by the keys each runtime uses.

Keys: containerd pkg/cri/annotations, cri-o pkg/annotations, kubelet pkg/kubelet/types/labels.go.
"""

from collections.abc import Mapping

import orjson

from agent.identify.images import Image
from agent.identify.merge import SANDBOX_NAME
from agent.identify.records import Record, bounded_strings
from agent.identify.sources import Said

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


def describe(record: Record, image: Image) -> Said:
    """What the runtime's own files say of a container; nothing of it is checked yet."""
    facts = {**record.annotations, **_nested(record.annotations), **image.labels}
    return Said(
        id=record.id,
        source="files",
        runtime=record.runtime,
        name=_first(facts, _NAME) or image.name,
        image=_first(facts, _IMAGE) or image.reference,
        image_digest=facts.get("io.kubernetes.cri-o.ImageRef", "") or image.digest,
        pod_uid=_first(facts, _POD_UID),
        pod_name=_first(facts, _POD_NAME),
        namespace=_first(facts, _NAMESPACE),
        service_account=_first(facts, _SERVICE_ACCOUNT),
        labels=facts,
        annotations=record.annotations,
        rootfs=record.rootfs,
        init_pid=record.init_pid,
        sandbox=_first(facts, _TYPE) in _SANDBOX_TYPES or _first(facts, _NAME) == SANDBOX_NAME,
    )


def _first(facts: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next((value for key in keys if (value := facts.get(key, ""))), "")


def _nested(annotations: Mapping[str, str]) -> dict[str, str]:
    """CRI-O keeps the pod's labels as JSON inside one annotation."""
    try:
        found = orjson.loads(annotations.get("io.kubernetes.cri-o.Labels", "{}"))
    except ValueError:
        return {}
    return bounded_strings(found) if isinstance(found, dict) else {}
