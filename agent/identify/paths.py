"""Where a host keeps what identify reads, and how much of it identify is willing to hold."""

from dataclasses import dataclass, replace

from agent.identify.host import HERE, HostFiles

_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StateRoot:
    """A directory with one directory per container, and the runtime that fills it.

    `path` may end in `/*`: then every directory in its place is such a root, and its name is the runtime's
    namespace. `runtime` is "" where several runtimes share the root and the record itself must tell.
    """

    path: str
    runtime: str = ""


STATE_ROOTS = (
    StateRoot("/run/containerd/runc/*", "containerd"),
    StateRoot("/run/docker/runtime-runc/*", "docker"),
    StateRoot("/run/runc"),
    StateRoot("/run/crun"),
    StateRoot("/run/user/*/runc"),
    StateRoot("/run/user/*/crun"),
)


@dataclass(frozen=True, slots=True)
class Paths:
    """Absolute paths as identify opens them.

    `prefix` stands before every path a runtime writes about (a bundle, a storage directory): an agent in a
    container sees the host's files below a mount point.
    """

    proc: str = "/proc"
    cgroup: str = "/sys/fs/cgroup"
    state_roots: tuple[StateRoot, ...] = STATE_ROOTS
    docker_containers: str = "/var/lib/docker/containers"
    podman_storage: str = "/var/lib/containers/storage"
    prefix: str = ""
    files: HostFiles = HERE

    @classmethod
    def below(cls, prefix: str) -> "Paths":
        """The usual places of a host whose root is mounted at `prefix`."""
        usual = cls()
        return cls(
            proc=prefix + usual.proc,
            cgroup=prefix + usual.cgroup,
            state_roots=tuple(replace(root, path=prefix + root.path) for root in usual.state_roots),
            docker_containers=prefix + usual.docker_containers,
            podman_storage=prefix + usual.podman_storage,
            prefix=prefix,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of everything that can grow, and how long identify keeps trying. Times are nanoseconds."""

    cgroups: int = 65_536
    records: int = 4_096  # runtime state files known at once
    processes: int = 32_768
    exited: int = 8_192  # of these, gone but within the grace period: a storm of short ones takes no more memory
    ancestors: int = 16
    grace_ns: int = 10 * _S  # a process or cgroup that is gone stays known for late events
    rescan_ns: int = _S // 10  # between two scans for a cgroup or container nobody announced
    retry_ns: int = _S // 20  # between two look-ups of one container's metadata, doubled each time
    retries: int = 10  # 50 ms doubled ten times: about 50 s in all
    proc_reads: int = 500  # processes read from /proc per second because their fork was lost
    sweep: int = 16  # processes per tick checked for an exit nobody announced
