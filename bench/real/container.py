"""One container: an overlay of its image, started by runc, described as a kubelet would describe it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from bench.real.net import Network

_CAPABILITIES = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
]
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GRACE_S = 8


@dataclass(frozen=True, slots=True)
class Image:
    """A file system and what a registry would call it."""

    name: str
    root: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Start:
    """What runs in a container. `binds` are (directory of the host, directory in the container)."""

    arguments: tuple[str, ...]
    user: int = 0
    environment: tuple[str, ...] = ()
    cwd: str = "/"
    binds: tuple[tuple[Path, str], ...] = ()


@dataclass(slots=True)
class Container:
    """A running container of a workload's replica number `ordinal`; `address` stays the same over restarts."""

    workload: str
    pod: str
    address: str
    home: Path
    tag: str = "vreal"  # tells this world's bridge, network namespaces and cgroups from others'
    namespace: str = "real"
    labels: dict[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex + uuid.uuid4().hex)
    pid: int = 0

    @property
    def root(self) -> Path:
        """Its file system, seen from the host."""
        return self.home / "merged"

    def start(self, image: Image, start: Start, network: Network) -> None:
        """Mount, create, connect, start. Raises: RuntimeError with what runc says."""
        for name in ("upper", "work", "merged"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={image.root},upperdir={self.home}/upper,workdir={self.home}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
        namespace = network.connect(self._netns, self.address)
        (self.home / "config.json").write_text(json.dumps(self._spec(image, start, network.gateway, namespace)))
        with (self.home / "log").open("ab") as log:
            self._runc("create", "--bundle", str(self.home), "--pid-file", str(self.home / "pid"), self.id, log=log)
        self.pid = int((self.home / "pid").read_text())
        self._runc("start", self.id)

    @property
    def _netns(self) -> str:
        return f"{self.tag}-{self.home.name}"

    def _spec(self, image: Image, start: Start, gateway: str, netns: Path) -> dict[str, object]:
        (self.home / "resolv.conf").write_text(f"nameserver {gateway}\n")
        files = [(self.home / "resolv.conf", "/etc/resolv.conf"), *start.binds]
        return {
            "ociVersion": "1.0.2",
            "hostname": self.pod,
            "root": {"path": str(self.root), "readonly": False},
            "process": {
                "terminal": False,
                "user": {"uid": start.user, "gid": start.user},
                "args": list(start.arguments),
                "env": [_PATH, f"HOSTNAME={self.pod}", "HOME=/root", "LANG=C.UTF-8", *start.environment],
                "cwd": start.cwd,
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
            },
            "mounts": [*_MOUNTS, *({**_BIND, "destination": at, "source": str(f)} for f, at in files)],
            "annotations": {
                "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.container-name": self.workload,
                "io.kubernetes.cri.image-name": f"{image.name}@{image.digest}",
                "io.kubernetes.cri.sandbox-name": self.pod,
                "io.kubernetes.cri.sandbox-namespace": self.namespace,
                "io.kubernetes.cri.sandbox-uid": str(uuid.UUID(self.id[:32])),
                **self.labels,
            },
            "linux": {
                "cgroupsPath": f"/{self.tag}/{self.id}",
                "namespaces": [
                    *({"type": t} for t in ("pid", "ipc", "uts", "mount")),
                    {"type": "network", "path": str(netns)},
                ],
            },
        }

    def execute(self, *arguments: str, user: int = 0, timeout_s: float = 20) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as `kubectl exec` does."""
        return subprocess.run(
            ["runc", "exec", "--user", str(user), self.id, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def alive(self) -> bool:
        """Whether its first process is there."""
        try:
            return ") Z " not in Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False

    def stop(self, network: Network) -> None:
        """Ask it to end, then make it; nothing of it stays but its log."""
        if self.pid and self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + _GRACE_S
        while self.pid and self.alive() and time.monotonic() < end:
            time.sleep(0.1)
        subprocess.run(["runc", "delete", "-f", self.id], capture_output=True, check=False)
        subprocess.run(["umount", "-l", str(self.root)], capture_output=True, check=False)
        network.disconnect(self._netns)
        for name in ("upper", "work"):
            shutil.rmtree(self.home / name, ignore_errors=True)

    def _runc(self, *arguments: str, log: object = subprocess.DEVNULL) -> None:
        # A container inherits its runtime's output: a pipe would stay open as long as it lives.
        done = subprocess.run(
            ["runc", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False  # type: ignore[call-overload]
        )  # fmt: skip
        if done.returncode:
            said = (self.home / "log").read_text(errors="replace")[-500:] if (self.home / "log").exists() else ""
            raise RuntimeError(f"runc {arguments[0]} {self.pod} failed: {said}")


_BIND = {"type": "bind", "options": ["rbind", "rw"]}
_MOUNTS: list[dict[str, object]] = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
    # Pods may run programs there: an emptyDir in memory has no "noexec".
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
]  # fmt: skip


def remove_cgroups(tag: str) -> None:
    """Remove the directory of a world's cgroups, in every hierarchy."""
    for base in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        for directory in sorted((base / tag).glob("*/"), reverse=True):
            with contextlib.suppress(OSError):
                directory.rmdir()
        with contextlib.suppress(OSError):
            (base / tag).rmdir()
