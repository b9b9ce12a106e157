"""Real containers: what identify says of a cgroup is what its runtime says, live events included."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.events import Exec
from agent.identify.files import read_proc
from agent.identify.identify import Identifier
from agent.workload import Identified

pytestmark = pytest.mark.container
ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 30
V2_VIEW = """
umount -R /sys/fs/cgroup 2>/dev/null || umount -lR /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup && exec "$@"
"""
PODMAN = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
IN_V2 = """
import json, os, subprocess, sys, time
from agent.identify.identify import Identifier
bundle, name = sys.argv[1:]
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run(["runc", "run", "-d", "--bundle", bundle, name], check=True, **quiet)
try:
    identifier = Identifier("b")
    identifier.seed(time.time_ns())
    mode = identifier._cgroups.layout.mode.value
    inode = os.stat(f"/sys/fs/cgroup/{name}").st_ino
    found = {c.id: c.init_pid for c in identifier.containers()}
    pid = json.loads(subprocess.run(["runc", "state", name], capture_output=True, check=True).stdout)["pid"]
    print(json.dumps([mode, identifier._cgroups.path(inode), found.get(name) == pid]))
finally:
    subprocess.run(["runc", "delete", "-f", name], **quiet)
"""


def _run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def _detached(*command: str) -> None:
    """A container inherits its runtime's output: a pipe would stay open as long as it lives."""
    quiet = subprocess.DEVNULL
    subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=DEADLINE_S, check=True)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root file system with busybox in it."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox-static")
    root = tmp_path / "rootfs"
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    for name in ("sh", "sleep", "id", "true", "hostname"):
        (root / "bin" / name).symlink_to("busybox")
    return root


@pytest.fixture
def bundle(tmp_path: Path, rootfs: Path) -> Path:
    """An OCI bundle that sleeps."""
    _run("runc", "spec", "--bundle", str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    config["process"].update(terminal=False, args=["/bin/sleep", "300"])
    config["root"]["path"] = str(rootfs)
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.fixture
def name() -> str:
    """A container name nobody else has."""
    return f"identity-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def runc(bundle: Path, name: str) -> Iterator[Callable[[], int]]:
    """Starts the container; gives its first pid as runc has it."""

    def start() -> int:
        _detached("runc", "run", "-d", "--bundle", str(bundle), name)
        return int(json.loads(_run("runc", "state", name))["pid"])

    yield start
    subprocess.run(["runc", "delete", "-f", name], capture_output=True, check=False)


@pytest.fixture
def podman() -> Iterator[Callable[..., str]]:
    """Podman with its own storage; containers are removed afterwards."""
    if shutil.which("podman") is None:
        pytest.skip("needs podman")
    home = Path(tempfile.mkdtemp(prefix="identity-"))  # podman refuses a runroot over 50 characters
    base = ("podman", "--root", str(home / "store"), "--runroot", str(home / "run"), *PODMAN)
    yield lambda *command: _run(*base, *command)
    subprocess.run([*base, "rm", "-f", "-t", "0", "-a"], capture_output=True, check=False)
    deadline = time.monotonic() + DEADLINE_S
    while home.exists() and time.monotonic() < deadline:  # conmon's own clean-up may still be mounting
        subprocess.run(["umount", str(home / "store/overlay")], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


def _cgroup_id(pid: int) -> int:
    """The kernel's id of a process's cgroup, found without the code under test."""
    line = next(li for li in read_proc(f"/proc/{pid}/cgroup").decode().splitlines() if li.startswith("0::"))
    base = "/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup"
    return Path(base + line[3:]).stat().st_ino


def _seeded() -> Identifier:
    identifier = Identifier("boot")
    identifier.seed(time.time_ns())
    return identifier


def test_a_runc_container_is_told_by_its_cgroup_and_its_addresses_by_its_network(
    runc: Callable[[], int], name: str
) -> None:
    """Id, first pid and cgroup as runc says; an address put on its own interface is found, the host's are not."""
    pid = runc()
    if shutil.which("ip"):
        _run("nsenter", "-t", str(pid), "-n", "ip", "address", "add", "10.99.98.97/32", "dev", "lo")
        _run("nsenter", "-t", str(pid), "-n", "ip", "link", "set", "lo", "up")
    identifier = _seeded()
    container = next(c for c in identifier.containers() if c.id == name)
    assert (container.runtime, container.init_pid, container.complete) == ("runc", pid, True)
    assert identifier._residents.of(_cgroup_id(pid), pid, time.time_ns()).container is container
    assert container.addresses == (("10.99.98.97",) if shutil.which("ip") else ())


def test_the_pure_v2_layout_natively(bundle: Path, name: str) -> None:
    """In a mount namespace whose /sys/fs/cgroup is cgroup v2 only."""
    script = ("bash", "-c", V2_VIEW, "v2", sys.executable, "-c", IN_V2, str(bundle), name)
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", *script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["v2", f"/{name}", True]


def test_a_podman_container_has_podmans_id_and_name(podman: Callable[..., str], rootfs: Path, name: str) -> None:
    """The state is runc's, the name Podman's own; its monitor is not in the container."""
    container_id = _podman_start(podman, rootfs, name)
    pid = int(podman("inspect", "--format", "{{.State.Pid}}", name))
    identifier = _seeded()
    container = next(c for c in identifier.containers() if c.id == container_id)
    assert (container.runtime, container.name, container.init_pid) == ("podman", name, pid)
    assert identifier._residents.of(_cgroup_id(pid), pid, time.time_ns()).container is container
    monitor = int(podman("inspect", "--format", "{{.State.ConmonPid}}", name))
    node = next(n for n in identifier._tree._nodes.values() if n.pid == monitor)
    assert node.container_id == ""


def _podman_start(podman: Callable[..., str], rootfs: Path, name: str) -> str:
    limits = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000")
    return podman(
        "run", "-d", "--name", name, "--network", "none", *limits, "--rootfs", str(rootfs), "/bin/sleep", "300"
    ).strip()


class Live:
    """The sensor and identify in one thread of their own; events are kept as identified."""

    def __init__(self) -> None:
        from agent.decode.decode import Decoder  # noqa: PLC0415  (needs the compiled sensor)
        from agent.source.core_re import CoReSource  # noqa: PLC0415

        # This process is a test, not an agent: what it starts is what is watched.
        self._source: Any = CoReSource(agent_pid=1 << 30)
        self._source.start()
        self._decoder = Decoder()
        self.identifier = _seeded()
        self.seen: list[Identified] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def _loop(self) -> None:
        while not self._stop.is_set():
            batch = self._source.read(0.1)
            for event in self._decoder.decode(batch) if batch else ():
                identified = self.identifier.identify(event)
                if identified is not None:
                    self.seen.append(identified)

    def exec_of(self, *argv: str) -> Identified:
        """The exec with these arguments, waited for."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            for one in list(self.seen):
                if isinstance(one.event, Exec) and one.event.argv == argv:
                    return one
            self._stop.wait(0.02)
        raise AssertionError(f"no exec of {argv} within {DEADLINE_S} s")

    def close(self) -> None:
        """Stop both."""
        self._stop.set()
        self._thread.join()
        self._source.stop()


@pytest.fixture
def live() -> Iterator[Live]:
    """A running sensor with identify behind it."""
    running = Live()
    yield running
    running.close()


@pytest.mark.bpf
def test_live_events_are_attributed_and_entries_marked_with_runc(
    live: Live, runc: Callable[[], int], name: str
) -> None:
    """The container's own program carries no mark; `runc exec` and nsenter do, with all they start."""
    pid = runc()
    init = live.exec_of("/bin/sleep", "300")
    assert (init.container and init.container.id, init.process.pid, init.process.entry_id) == (name, pid, "")
    assert init.workload.key == f"container/{name}"
    assert init.ancestors[0].path.endswith("/runc")
    assert init.ancestors[0].container_id == ""

    _run("runc", "exec", name, "/bin/sh", "-c", "/bin/id -u; /bin/true")
    shell = live.exec_of("/bin/sh", "-c", "/bin/id -u; /bin/true")
    below = live.exec_of("/bin/id", "-u")
    assert (shell.container and shell.container.id, shell.process.entry_id) == (name, shell.process.exec_id)
    assert (below.container and below.container.id, below.process.entry_id) == (name, shell.process.exec_id)
    assert below.ancestors[0].exec_id == shell.process.exec_id

    _run("nsenter", "-t", str(pid), "-a", "/bin/sh", "-c", "/bin/hostname; /bin/true")
    entered, below = live.exec_of("/bin/sh", "-c", "/bin/hostname; /bin/true"), live.exec_of("/bin/hostname")
    assert (entered.container and entered.container.id, entered.process.entry_id) == (name, entered.process.exec_id)
    assert (below.container and below.container.id, below.process.entry_id) == (name, entered.process.exec_id)
    outside = live.exec_of("nsenter", "-t", str(pid), "-a", "/bin/sh", "-c", "/bin/hostname; /bin/true")
    assert (outside.container, outside.workload.key) == (None, "host")
    kernel_and_proc = [n.key for n in _seeded()._tree._nodes.values() if n.pid == pid]
    assert [live.identifier._tree.exec_id(key) for key in kernel_and_proc] == [init.process.exec_id]


@pytest.mark.bpf
def test_live_events_are_attributed_and_entries_marked_with_podman(
    live: Live, podman: Callable[..., str], rootfs: Path, name: str
) -> None:
    """`podman exec` comes from outside; the container's own program does not."""
    container_id = _podman_start(podman, rootfs, name)
    init = live.exec_of("/bin/sleep", "300")
    assert (init.container and init.container.id, init.process.entry_id) == (container_id, "")
    podman("exec", name, "/bin/id", "-g")
    entered = live.exec_of("/bin/id", "-g")
    assert (entered.container and entered.container.id, entered.process.entry_id) == (
        container_id,
        entered.process.exec_id,
    )
