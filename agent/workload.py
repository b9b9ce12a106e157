"""Who is who: the values identify attaches to an event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.events import Event


class Owner(NamedTuple):
    """What made a container and would make its replacement: ("deployment", "shop"). Empty where nothing says so."""

    kind: str = ""
    name: str = ""


NOBODY = Owner()


@dataclass(frozen=True, slots=True)
class Container:
    """One container instance. Unknown strings are "", never guessed.

    `complete`: enough is known to say which workload it belongs to. `awaited` names the runtime that would know
    more but does not answer ("cri", "docker", "podman"), "" for none. `sandbox`: it only holds a pod's namespaces.
    `upper_dir` is where what it writes lands on the host (overlayfs), as the host names it.
    """

    id: str
    name: str = ""
    runtime: str = ""  # runc, containerd, cri-containerd, cri-o, docker, podman
    image: str = ""
    image_digest: str = ""
    pod_uid: str = ""
    pod_name: str = ""
    namespace: str = ""
    service_account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    init_pid: int = 0
    addresses: tuple[str, ...] = ()  # its own IP addresses, as text
    complete: bool = True
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: Owner = NOBODY
    upper_dir: str = ""
    created_ns: int = 0  # Unix time, 0 where not known
    node: str = ""
    sandbox: bool = False
    awaited: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a profile belongs to; replicas of one controller share it.

    `key` is stable across instances: `k8s/[<cluster>/]<namespace>/<kind>/<name>/<container>`,
    `compose/<project>/<service>`, `container/<image or name>`, `unit/[<host group>/]<systemd unit><executable>` or
    `host[/<host group>]`. `version` is the image digest.
    """

    key: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One program run by one process: replaced (never changed) at exec.

    `exec_id` identifies the process, not the program: 16 hex digits of a hash of boot id, pid and
    start time in clock ticks, so it is safe against pid reuse and equal for kernel and /proc.
    `entry_id` is the exec_id of the process through which this one's tree entered the container from outside
    (`kubectl exec`, `nsenter`), "" for the container's own tree.
    """

    exec_id: str
    pid: int
    parent_id: str
    path: str
    argv: tuple[str, ...]
    cwd: str
    uid: int
    tty: int
    start_ns: int  # CLOCK_BOOTTIME
    cgroup_id: int
    container_id: str = ""
    entry_id: str = ""
    exe_flags: int = 0
    seeded: bool = False  # read from /proc when the agent started


@dataclass(frozen=True, slots=True)
class Identified:
    """An event with its process, ancestry and workload.

    `ancestors` runs from the parent upwards and is bounded. `container` is None on the host. `target` is the process
    a call was done to (its path is "" where it is not known); `host_namespace` says of setns that it was about one of
    the host's own namespaces. `peer_name` is what the other end's address was asked for as, "" where nobody asked.
    """

    event: Event
    process: Process
    ancestors: tuple[Process, ...]
    container: Container | None
    workload: Workload
    target: Process | None = None
    host_namespace: bool = False
    peer_name: str = ""
