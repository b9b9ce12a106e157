"""The one place where what the sources say of a container becomes the Container value.

Every value is checked against the form its kind allows; what does not fit becomes "" and is counted, never repaired.
Where two sources say something, the first in order wins: a runtime that was asked, then what it wrote on disk.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from agent.identify.owners import owner_of
from agent.identify.records import bounded_strings
from agent.identify.sources import Said
from agent.workload import Container

NAME_FORM = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,254}$")
IMAGE_FORM = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,511}$")
_PATH_FORM = re.compile(r"^/[^\x00-\x1f\x7f]{0,4095}$")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}$")
_LABELS = 64
_OWN = ("io.kubernetes.cri", "io.podman.", "io.container.")  # what runtimes note for themselves
_KEPT = ("kubernetes.io/config.", "kubernetes.io/psp", "kubectl.kubernetes.io/restartedAt", "org.opencontainers.image.")
_KEPT_PARTS = ("apparmor.security", "seccomp.security", "sidecar.istio.io/status", "vedette.")
SANDBOX_NAME = "POD"  # what the kubelet itself calls a pod's sandbox container


def merge(claimed: Container, said: Sequence[Said], counts: Counter[str], node: str = "") -> Container:
    """A container with all that is known of it. `claimed` is what its cgroup's path said; a sandbox is named POD."""
    take = _Take(said, counts)
    sandbox = any(s.sandbox for s in said)
    labels = _people(_first_mapping(s.labels for s in said))
    annotations = _first_mapping(s.annotations for s in said)
    image = take.first("image", IMAGE_FORM)
    pod = take.first("pod_name")
    return Container(
        id=claimed.id,
        name=SANDBOX_NAME if sandbox else take.first("name") or claimed.id,
        runtime=take.first("runtime") or claimed.runtime,
        image=image,
        image_digest=_digest([image, *(s.image_digest for s in said)]),
        pod_uid=take.first("pod_uid") or claimed.pod_uid,
        pod_name=pod,
        namespace=take.first("namespace"),
        service_account=take.first("service_account"),
        labels=labels,
        init_pid=next(
            (s.init_pid for s in reversed(said) if s.init_pid > 0), 0
        ),  # the files' are of this pid namespace
        addresses=claimed.addresses,
        complete=True,
        annotations={k: v for k, v in annotations.items() if _matters(k)},
        owner=owner_of(pod, labels, annotations, node),
        upper_dir=take.first("upper_dir", _PATH_FORM),
        created_ns=next((s.created_ns for s in said if 0 < s.created_ns < 1 << 62), 0),
        node=node,
        sandbox=sandbox,
    )


class _Take:
    """The first well-formed value of a field."""

    def __init__(self, said: Sequence[Said], counts: Counter[str]) -> None:
        self._said = said
        self._counts = counts

    def first(self, field: str, form: re.Pattern[str] = NAME_FORM) -> str:
        return next((v for s in self._said if (v := checked(getattr(s, field), form, self._counts))), "")


def checked(value: str, form: re.Pattern[str], counts: Counter[str]) -> str:
    """The value if it has the form, else "" and a count."""
    if value and not form.match(value):
        counts["metadata_malformed"] += 1
        return ""
    return value


def _digest(candidates: Iterable[str]) -> str:
    return next((match[0] for candidate in candidates if (match := _DIGEST.search(candidate))), "")


def _first_mapping(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """All pairs; of one key the first source's."""
    merged: dict[str, str] = {}
    for mapping in found:
        for key, value in bounded_strings(mapping).items():
            merged.setdefault(key, value)
    return merged


def _people(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels people and controllers gave; what runtimes note for themselves is left out."""
    return dict([(k, v) for k, v in labels.items() if not k.startswith(_OWN)][:_LABELS])


def _matters(key: str) -> bool:
    """Annotations that tell of provenance and confinement; the rest may hold anything and be large."""
    return key.startswith(_KEPT) or any(part in key for part in _KEPT_PARTS)
