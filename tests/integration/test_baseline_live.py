"""Baselines as files, live: a running agent goes by them without a restart; a seccomp profile holds a container."""

import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.learn.store import ProfileFileError, read_profiles, write_profiles
from agent.syscalls.store import RecordingStore
from cli.baseline import command
from detection.baseline.profile import ClassProfile, Profile, ProfileConfig

pytestmark = [pytest.mark.bpf, pytest.mark.container]
_QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
_WAIT_S = 45
_SLOT_S = 0.4
# What the workload does all day: files, pipes, children, a socket; then it waits.
_WORK = (
    "while :; do date > /tmp/now; cat /tmp/now | wc -c > /tmp/count; rm /tmp/count; "
    "[ -e /tmp/odd ] && cp /tmp/now /data/odd; ls / > /dev/null; echo x > /tmp/done; sleep 0.1; done"
)


class Container:
    """A runc container of a busybox image that looks to the agent like a pod's."""

    def __init__(self, directory: Path, namespace: str) -> None:
        self.name = f"baseline-{uuid.uuid4().hex[:12]}"
        self.root, self._directory, self.namespace = directory / "rootfs", directory, namespace
        for name in ("bin", "proc", "sys", "dev", "tmp", "etc", "data"):
            (self.root / name).mkdir(parents=True)
        shutil.copy("/usr/bin/busybox", self.root / "bin/busybox")
        for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if applet != "busybox":
                (self.root / "bin" / applet).symlink_to("busybox")
        subprocess.run(["runc", "spec", "--bundle", str(directory)], check=True)
        config = json.loads((directory / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": ["/bin/sh", "-c", _WORK]}
        config["process"].pop("rlimits", None)
        config["root"]["readonly"] = False
        config["linux"]["cgroupsPath"] = f"/{self.name}"
        config["annotations"] = {
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.container-name": "web",
            "io.kubernetes.cri.sandbox-namespace": namespace,
            "io.kubernetes.cri.sandbox-name": "web-7d9f8c6b5d-x2k4b",
        }
        self._write(config)

    def seccomp(self, profile: Any, *, no_new_privileges: bool) -> None:
        """Run it under this profile from now on."""
        config = json.loads((self._directory / "config.json").read_text())
        config["linux"]["seccomp"] = profile
        config["process"]["noNewPrivileges"] = no_new_privileges
        self._write(config)

    def _write(self, config: Any) -> None:
        (self._directory / "config.json").write_text(json.dumps(config))

    def start(self) -> None:
        subprocess.run(["runc", "run", "--detach", "--bundle", str(self._directory), self.name], check=True, **_QUIET)

    def exec(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(["runc", "exec", self.name, *words], check=False, capture_output=True)

    def works(self) -> bool:
        """Whether it does its work now."""
        (self.root / "tmp/done").unlink(missing_ok=True)
        return waits_for((self.root / "tmp/done").exists, 10)

    def remove(self) -> None:
        subprocess.run(["runc", "delete", "--force", self.name], check=False, **_QUIET)


def waits_for(condition: Callable[[], object], seconds: float = _WAIT_S) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    made = Container(tmp_path / "bundle", f"base-{uuid.uuid4().hex[:8]}")
    yield made
    made.remove()


def baseline(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


class Agent:
    """A real agent as a process of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.state, self.output = directory / "state", directory / "findings.jsonl"
        vedette = Path(sys.executable).with_name("vedette")
        self._log = (directory / "agent.log").open("w")
        arguments = [str(vedette), "agent", "--state-dir", str(self.state), "--output", str(self.output)]
        arguments += ["--slot", str(_SLOT_S), "--heartbeat", "0.5", "--runtime-socket", "none", *options]
        self.process = subprocess.Popen(arguments, stderr=self._log, stdin=subprocess.DEVNULL)
        log = directory / "agent.log"
        if not waits_for(lambda: "ready" in log.read_text() or self.process.poll() is not None) or self.process.poll():
            self.stop()
            raise AssertionError(log.read_text()[-2000:])

    def findings(self, namespace: str) -> list[dict[str, Any]]:
        """Anomalies about containers of this namespace, newest last."""
        lines = self.output.read_text().splitlines() if self.output.exists() else []
        found = [json.loads(line) for line in lines if namespace in line and '"anomaly' in line]
        return [f for f in found if str(f.get("rule", "")).startswith("anomaly.")]

    def known(self, workload: str, behaviour: str) -> ClassProfile | None:
        """A class as the agent saved it last."""
        try:
            profiles = read_profiles(self.state / "profiles.json", ProfileConfig())
        except ProfileFileError:
            return None
        return next((p.of(behaviour) for p in profiles if p.workload == workload), None)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._log.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path)
    yield made
    made.stop()


@pytest.mark.e2e
def test_a_lock_and_an_approval_hold_in_a_running_agent(agent: Agent, container: Container) -> None:
    container.start()
    namespace = container.namespace
    workload = f"k8s/{namespace}/deployment/web/web"
    here = ("--state-dir", str(agent.state))

    def learned() -> bool:
        known = agent.known(workload, "write")
        return known is not None and known.units >= 5 and any("/tmp/now" in name for name in known.members)

    assert waits_for(learned)
    told = baseline("lock", workload, "--class", "write", *here)
    assert "locked: write" in told

    def high() -> list[dict[str, Any]]:
        return [f for f in agent.findings(namespace) if f["severity"] in ("high", "critical") and "/data/odd" in str(f)]

    def provoke() -> bool:
        """Outside the lock: the workload copies a file it never wrote, again and again, until the lock is read."""
        (container.root / "tmp/odd").touch()
        (container.root / "data/odd").unlink(missing_ok=True)
        return bool(high())

    (container.root / "tmp/odd").touch()
    assert waits_for(provoke), "what is outside a lock raises HIGH"
    assert "is locked" in str(high()[0])

    held = agent.known(workload, "write")
    assert waits_for(
        lambda: (held := agent.known(workload, "write")) and any("/data/odd" in n for n in held.quarantine)
    )
    assert held is not None
    baseline("approve", workload, "--waiting", "--class", "write", *here)

    def accepted() -> bool:
        (container.root / "data/odd").unlink(missing_ok=True)
        known = agent.known(workload, "write")
        return known is not None and any("/data/odd" in name for name in known.members) and not known.quarantine

    assert waits_for(accepted), "what a person approved is known, without a restart"

    baseline("condemn", workload, "/tmp/now", "--class", "write", *here)

    def told_again() -> bool:
        return any("/tmp/now" in str(f) and "condemns it" in str(f) for f in agent.findings(namespace))

    assert waits_for(told_again), "what was known and is condemned is reported again"


@pytest.mark.e2e
def test_an_agent_records_system_calls_beside_its_watch(tmp_path: Path, container: Container) -> None:
    agent = Agent(tmp_path, "--record-syscalls")
    try:
        container.start()
        assert all(container.works() for _ in range(5))
    finally:
        agent.stop()
    found = RecordingStore(agent.state / "syscalls").find(f"k8s/{container.namespace}/deployment/web/web", "")
    assert found is not None
    assert (found.containers, found.starts) == (1, 1)
    assert {"execve", "openat", "unlink", "wait4"} <= found.calls
    assert not {"mount", "pivot_root", "unshare", "sethostname"} & found.calls, "what the runtime did to set it up"


def recorded(state: Path, container: Container) -> Any:
    """A seccomp profile from a recording that saw the container start and work."""
    vedette = Path(sys.executable).with_name("vedette")
    arguments = [str(vedette), "baseline", "syscalls", "--for", "12s", "--slot", "2", "--state-dir", str(state)]
    recording = subprocess.Popen(
        [*arguments, "--container", container.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert recording.stderr is not None
    assert "recording" in recording.stderr.readline()
    time.sleep(1.5)  # the first look tells who was there before
    container.start()
    assert container.works()
    assert container.exec("/bin/true").returncode == 0
    text = recording.communicate(timeout=60)[0]
    assert recording.returncode == 0
    assert "1 start watched" in text
    workload = text.splitlines()[0].split("  ")[0]
    shown = state / "profiles.json"
    return workload, shown


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_a_recorded_profile_lets_the_workload_run_and_nothing_else(
    tmp_path: Path, container: Container, no_new_privileges: bool
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    workload, shown = recorded(state, container)
    write_profiles(shown, [Profile(workload, "", ProfileConfig())], 1)
    profile = json.loads(baseline("export", workload, "--format", "seccomp", "--state-dir", str(state)))
    allowed = {name for row in profile["syscalls"] for name in row["names"]}
    assert {"execve", "openat", "wait4", "pipe2"} & allowed >= {"execve", "wait4"}
    assert not {"ptrace", "mount", "unshare", "bpf", "symlink"} & allowed
    assert container.exec("/bin/ln", "-s", "/x", "/tmp/free").returncode == 0, "nothing held it before"
    container.remove()

    container.seccomp(profile, no_new_privileges=no_new_privileges)
    container.start()
    assert container.works(), "under its own profile it does what it did"
    assert container.exec("/bin/true").returncode == 0
    refused = container.exec("/bin/ln", "-s", "/x", "/tmp/link")
    assert refused.returncode != 0
    assert b"Operation not permitted" in refused.stderr
    assert not (container.root / "tmp/link").is_symlink()
