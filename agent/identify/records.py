"""One container as its runtime wrote it down: runc's state.json and crun's status, read as hostile input.

runc: `libcontainer.State` (id, init_process_pid, init_process_start in clock ticks, cgroup_paths,
config.labels as "key=value", which hold the bundle's annotations). crun: `libcrun_container_status_t`
(pid, process-start-time, cgroup-path, bundle). OCI bundle: config.json (annotations, hostname).
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.identify.host import HERE, HostFiles, read_json

STATE_LIMIT = 2 << 20
BUNDLE_LIMIT = 2 << 20
_ID = re.compile(r"^(?!\.{1,2}$)[A-Za-z0-9_.+-]{1,255}$")
_MOUNT = "/sys/fs/cgroup"
_VALUE_LIMIT = 4096
_ANNOTATIONS = 256


@dataclass(frozen=True, slots=True)
class Record:
    """A container's state. `cgroup` is its path in the identity hierarchy; `init_ticks` 0 when not yet started."""

    id: str
    runtime: str
    cgroup: str
    init_pid: int
    init_ticks: int
    bundle: str
    annotations: Mapping[str, str]
    hostname: str = ""
    rootfs: str = ""  # where its root is mounted on the host


def valid_id(name: str) -> bool:
    """Whether a runtime can have given this id (runc: `^[\\w+-\\.]+$`); never a path."""
    return _ID.match(name) is not None


class StateReader:
    """Reads records below state roots. `controllers` and `prefix` as in Layout and Paths."""

    def __init__(
        self, controllers: tuple[str, ...], prefix: str, counts: Counter[str], files: HostFiles = HERE
    ) -> None:
        self._files = files
        self._controllers = controllers
        self._prefix = prefix
        self._counts = counts

    def read(self, root: str, container_id: str, runtime: str) -> Record | None:
        """The state of `container_id` below the state root `root`; None when absent or not to be believed."""
        if not valid_id(container_id):
            self._counts["state_bad_id"] += 1
            return None
        state = read_json(f"{root}/{container_id}/state.json", STATE_LIMIT, self._counts, self._files)
        if state is not None:
            record = _from_runc(_dict(state), container_id, runtime, self._controllers)
        else:
            state = read_json(f"{root}/{container_id}/status", STATE_LIMIT, self._counts, self._files)
            if state is None:
                return None
            record = _from_crun(_dict(state), container_id, runtime)
        if record is None:
            self._counts["state_malformed"] += 1
            return None
        return record if record.annotations else _with_bundle(record, self._prefix, self._counts, self._files)


def _from_runc(state: dict[str, Any], name: str, runtime: str, controllers: tuple[str, ...]) -> Record | None:
    config, paths = state.get("config"), state.get("cgroup_paths")
    if state.get("id") != name or not isinstance(config, dict) or not isinstance(paths, dict):
        return None
    labels = _labels(config.get("labels"))
    bundle = labels.pop("bundle", "")
    cgroup = next((p for key in controllers if isinstance(p := paths.get(key), str)), "")
    return Record(
        id=name,
        runtime=runtime or _runtime(labels, "runc"),
        cgroup=below_mount(cgroup, controllers),
        init_pid=_count(state.get("init_process_pid")),
        init_ticks=_count(state.get("init_process_start")),
        bundle=bundle,
        annotations=labels,
        hostname=_string(config.get("hostname")),
        rootfs=_string(config.get("rootfs")),
    )


def _from_crun(state: dict[str, Any], name: str, runtime: str) -> Record | None:
    cgroup = state.get("cgroup-path")
    if not isinstance(cgroup, str):
        return None
    return Record(
        id=name,
        runtime=runtime or "crun",
        cgroup=below_mount(cgroup, ("",)),
        init_pid=_count(state.get("pid")),
        init_ticks=_count(state.get("process-start-time")),
        bundle=_string(state.get("bundle")),
        annotations={},
        rootfs=_string(state.get("rootfs")),
    )


def _with_bundle(record: Record, prefix: str, counts: Counter[str], files: HostFiles) -> Record:
    """crun keeps no annotations in its state; the bundle it names has them."""
    if not record.bundle.startswith("/") or "/../" in f"{record.bundle}/":
        return record
    config = read_json(f"{prefix}{record.bundle}/config.json", BUNDLE_LIMIT, counts, files)
    if not isinstance(config, dict):
        return record
    found = config.get("annotations")
    annotations = bounded_strings(found if isinstance(found, dict) else {})
    return Record(
        record.id,
        _runtime(annotations, record.runtime),
        record.cgroup,
        record.init_pid,
        record.init_ticks,
        record.bundle,
        annotations,
        _string(config.get("hostname")),
        record.rootfs,
    )


def below_mount(path: str, controllers: tuple[str, ...]) -> str:
    """A cgroup path below its hierarchy's root: "/sys/fs/cgroup/unified/a" → "/a"; "" for the root itself."""
    if path.startswith(_MOUNT):
        path = path[len(_MOUNT) :]
        for name in ("unified", *(c.removeprefix("name=") for c in controllers if c)):
            if path == f"/{name}" or path.startswith(f"/{name}/"):
                path = path[len(name) + 1 :]
                break
    path = "/" + path.strip("/")
    return "" if path == "/" or "/../" in f"{path}/" or len(path) > _VALUE_LIMIT else path


def _labels(labels: object) -> dict[str, str]:
    if not isinstance(labels, list):
        return {}
    pairs = (label.partition("=") for label in labels[:_ANNOTATIONS] if isinstance(label, str))
    return bounded_strings({key: value for key, _, value in pairs})


def bounded_strings(found: Mapping[Any, Any]) -> dict[str, str]:
    """The string pairs of a mapping: at most 256, keys to 256 characters; longer values are left out, not cut."""
    return {
        key: value
        for key, value in list(found.items())[:_ANNOTATIONS]
        if isinstance(key, str) and isinstance(value, str) and 0 < len(key) <= 256 and len(value) <= _VALUE_LIMIT
    }


def _runtime(annotations: Mapping[str, str], usual: str) -> str:
    """Podman and CRI-O share runc's and crun's own state root."""
    if annotations.get("io.container.manager") in ("libpod", "cri-o"):
        return "podman" if annotations["io.container.manager"] == "libpod" else "cri-o"
    return "cri-o" if "io.kubernetes.cri-o.SandboxID" in annotations else usual


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= _VALUE_LIMIT else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0
