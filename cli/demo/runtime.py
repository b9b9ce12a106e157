"""A containerd of the demo's own: root, state, socket and network configuration below the work directory.

Only runc's state stays at its usual place (/run/containerd/runc), where a stock agent looks for it.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from vedette.cri.v1 import runtime_pb2, runtime_pb2_grpc

from cli.demo.errors import DemoError
from cli.demo.image import IMAGE
from cli.demo.process import Child, Processes, stop, wait_until

NAMESPACE = "k8s.io"  # the containerd namespace of everything made through the CRI
_CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_PROGRAMS = {"containerd": "containerd", "ctr": "containerd", "runc": "runc", "ip": "iproute2"}

# oom_score and restrict_oom_score_adj: without CAP_SYS_RESOURCE nobody may lower a score.
_CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_programs}"
    conf_dir = "{cni_config}"
"""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A running containerd."""

    socket: Path
    channel: grpc.Channel

    def import_image(self, archive: Path) -> None:
        """Load an OCI archive. Raises: DemoError with what ctr says."""
        self.ctr("image", "import", str(archive))

    def ctr(self, *arguments: str) -> str:
        """Run `ctr` against this containerd; its output. Raises: DemoError with what it says."""
        done = subprocess.run(self.ctr_command(*arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"`ctr {' '.join(arguments)}` failed: {done.stderr.strip()}")
        return done.stdout

    def ctr_command(self, *arguments: str) -> list[str]:
        """The argument vector for `ctr` against this containerd."""
        return ["ctr", "--address", str(self.socket), "--namespace", NAMESPACE, *arguments]


def missing() -> list[str]:
    """What this machine lacks to run containers, each with what to do about it."""
    lacks = [f"{name} (install the package {package})" for name, package in _PROGRAMS.items() if not shutil.which(name)]
    if not _cni_programs():
        lacks.append("CNI plugins bridge, host-local and loopback (install the package containernetworking-plugins)")
    if "overlay" not in Path("/proc/filesystems").read_text():
        lacks.append("overlayfs (`modprobe overlay`)")
    return lacks


@contextmanager
def running(work: Path, cni_config: Path, processes: Processes) -> Iterator[Runtime]:
    """Start containerd and wait until its CRI answers; stop it at the end. Raises: DemoError, saying why not."""
    socket = work / "containerd.sock"
    child = processes.start("containerd", ["containerd", "--config", str(_write_config(work, socket, cni_config))])
    try:
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            wait_until("containerd serves the CRI", lambda: _answers(channel, child), 30, child)
            yield Runtime(socket, channel)
    finally:
        stop(child)


def _write_config(work: Path, socket: Path, cni_config: Path) -> Path:
    path = work / "containerd.toml"
    programs = _cni_programs()
    path.write_text(
        _CONFIG.format(
            root=work / "containerd" / "root",
            state=work / "containerd" / "state",
            socket=socket,
            image=IMAGE,
            cni_programs=programs,
            cni_config=cni_config,
        )
    )
    return path


def _answers(channel: grpc.Channel, child: Child) -> bool:
    stub = runtime_pb2_grpc.RuntimeServiceStub(channel)
    try:
        stub.Version(runtime_pb2.VersionRequest(version="v1"), timeout=2)
    except grpc.RpcError as e:
        if e.code() is grpc.StatusCode.UNIMPLEMENTED:
            reason = [line for line in child.tail(200).splitlines() if "grpc.v1.cri" in line and "level=" in line]
            raise DemoError("containerd runs here, its CRI does not:\n" + "\n".join(reason[-3:])) from e
        return False
    return True


def _cni_programs() -> Path | None:
    needed = ("bridge", "host-local", "loopback")
    return next((d for d in _CNI_DIRECTORIES if all((d / name).exists() for name in needed)), None)
