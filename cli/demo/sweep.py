"""Leave nothing behind: whatever a run of the demo, this one or a crashed one, may have left on the machine.

Everything is found by what is the demo's alone: its work directory, its socket, its bridge, the cgroups of its
pods. Each step works where the one before found nothing.
"""

import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

from cli.demo import network
from cli.demo.errors import DemoError
from cli.demo.pods import CGROUP_ROOT
from cli.demo.process import find_by_argument, kill, kill_recorded

_RUNC_ROOT = Path("/run/containerd/runc/k8s.io")
_SHIM_SOCKETS = Path("/run/containerd/s")
_CGROUPS = Path("/sys/fs/cgroup")
_RUN_DIRECTORIES = (
    _RUNC_ROOT,
    _RUNC_ROOT.parent,
    _SHIM_SOCKETS,
    _RUNC_ROOT.parent.parent / "fifo",
    _RUNC_ROOT.parent.parent,
)
_TRIES = 50


def sweep(work: Path) -> int:
    """Remove leftovers of runs in `work`, the directory's runtime part included; how many things there were.

    Raises: DemoError if something does not go away.
    """
    found = kill_recorded(work / "processes")
    (work / "processes").unlink(missing_ok=True)
    pods = _pod_uids(work)
    found += _delete_containers(work)
    found += _kill_shims(work / "containerd.sock")
    found += unmount_below(work)
    found += _remove_cgroups(pods)
    network.remove()
    for name in ("containerd", "cni", "pods"):
        shutil.rmtree(work / name, ignore_errors=True)
    for directory in _RUN_DIRECTORIES:
        _remove_if_empty(directory)
    return found


def unmount_below(directory: Path) -> int:
    """Unmount everything mounted below `directory`, deepest first; how many. Raises: DemoError if one stays."""
    prefix = f"{directory}/"
    points = [p for p in _mount_points() if p.startswith(prefix)]
    for point in reversed(points):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
    stuck = [p for p in _mount_points() if p.startswith(prefix)]
    if stuck:
        raise DemoError(f"cannot unmount {stuck[0]}: unmount it by hand (`umount -l`), then run the demo again")
    return len(points)


def _mount_points() -> list[str]:
    """As proc(5) mountinfo gives them, in order of mounting; spaces and the like are octal escapes there."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def _delete_containers(work: Path) -> int:
    """Delete the containers whose bundle is below `work`, with runc itself: their containerd is gone."""
    deleted = 0
    for state in sorted(_RUNC_ROOT.glob("*/state.json")):
        if _bundle(state).startswith(f"{work}/"):
            container = state.parent
            command = ["runc", "--root", str(_RUNC_ROOT), "delete", "--force", container.name]
            subprocess.run(command, capture_output=True, check=False)
            deleted += 1
    return deleted


def _kill_shims(socket: Path) -> int:
    """Kill the shims of our containerd and remove the sockets they listened on."""
    shims = find_by_argument("containerd-shim", str(socket))
    for pid, argv in shims.items():
        kill(pid)
        if "-id" in argv[:-1]:
            _shim_socket(socket, argv[argv.index("-id") + 1]).unlink(missing_ok=True)
    return len(shims)


def _shim_socket(socket: Path, container: str) -> Path:
    """Where a shim listens: containerd 1.x, runtime/v2/shim/util_unix.go, SocketAddress."""
    name = hashlib.sha256(f"{socket}/{_RUNC_ROOT.name}/{container}".encode()).hexdigest()
    return _SHIM_SOCKETS / name


def _bundle(state: Path) -> str:
    try:
        labels = json.loads(state.read_bytes()).get("config", {}).get("labels") or []
    except (OSError, ValueError):
        return ""
    return next((label.removeprefix("bundle=") for label in labels if label.startswith("bundle=")), "")


def _pod_uids(work: Path) -> list[str]:
    record = work / "pods.uids"
    return record.read_text().split() if record.exists() else []


def record_pod(work: Path, uid: str) -> None:
    """Write a pod down before it is made, so that a later run finds its cgroups."""
    with (work / "pods.uids").open("a") as record:
        record.write(f"{uid}\n")


def _remove_cgroups(uids: list[str]) -> int:
    """Remove the pods' own cgroups (a kubelet would), and kubepods where no other pod is left in it."""
    removed = 0
    for hierarchy in [_CGROUPS, *(d for d in _CGROUPS.iterdir() if d.is_dir())]:
        root = hierarchy / CGROUP_ROOT.lstrip("/")
        for uid in uids:
            removed += _remove_tree(root / f"pod{uid}")
        for directory in (root, root.parent) if uids else ():
            _remove_if_empty(directory)
    return removed


def _remove_tree(cgroup: Path) -> int:
    if not cgroup.is_dir():
        return 0
    children = [d for d in sorted(cgroup.rglob("*"), reverse=True) if d.is_dir()]
    for directory in [*children, cgroup]:
        for _ in range(_TRIES):  # a cgroup stays busy until its last process is reaped
            _remove_if_empty(directory)
            if not directory.exists():
                break
            time.sleep(0.02)
    return 1


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        pass  # in use by others, or not there
