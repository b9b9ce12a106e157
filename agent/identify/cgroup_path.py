"""What a cgroup's path alone says: which container, pod or systemd unit made it.

Formats: runc and containerd "cgroupsPath", the kubelet's cgroupfs and systemd drivers
(kubernetes/pkg/kubelet/cm/cgroup_manager_linux.go), Docker, CRI-O, Podman (libpod/container_internal_linux.go).
"""

import re
from typing import NamedTuple

_ID = r"(?P<id>[0-9a-f]{64})"
_SCOPE = re.compile(rf"(?:^|:)(?P<tool>cri-containerd|crio|docker|nerdctl|libpod(?:-payload)?)[:-]{_ID}(?:\.scope)?$")
_BARE = re.compile(rf"^{_ID}$")
_MONITOR = re.compile(r"(?:^|-)conmon(?:-|$)")
_POD = re.compile(r"(?:^|-)pod(?P<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$")
# A socket with Accept=yes names each connection's unit "x@<count>-<local>:<port>-<remote>:<port>.service".
_PER_CONNECTION = re.compile(r"@\d+-[^/]*:\d+-[^/]*:\d+(?:-\d+)?\.service$")
_RUNTIMES = {
    "cri-containerd": "cri-containerd",
    "crio": "cri-o",
    "docker": "docker",
    "nerdctl": "containerd",
    "libpod": "podman",
    "libpod-payload": "podman",
}


class Claim(NamedTuple):
    """What a path says. `root` is the container's own cgroup: the path itself or one above it."""

    container_id: str = ""
    runtime: str = ""  # "" where the path does not tell
    root: str = ""
    pod_uid: str = ""
    unit: str = ""


NOTHING = Claim()


def read_path(path: str) -> Claim:
    """The outermost container on the path, else the outermost systemd service, else NOTHING.

    Outermost: what a container does with cgroups below its own is still that container.
    """
    pod, unit, root, parent = "", "", "", ""
    for part in path.split("/")[1:]:
        root = f"{root}/{part}"
        if _MONITOR.search(part):
            return Claim(unit=unit)  # conmon watches a container from outside
        if found := _container(part, parent):
            return Claim(found[0], found[1], root, pod)
        if match := _POD.search(part):
            pod = match["uid"].replace("_", "-")
        if not unit and part.endswith(".service"):
            unit = _PER_CONNECTION.sub("@.service", part)
        parent = part
    return Claim(pod_uid=pod, unit=unit) if pod or unit else NOTHING


def _container(part: str, parent: str) -> tuple[str, str] | None:
    if match := _SCOPE.search(part):
        return match["id"], _RUNTIMES[match["tool"]]
    if match := _BARE.match(part):
        return match["id"], "docker" if parent == "docker" else ""
    return None
