"""The demo's containers are real, and nothing of them stays."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.demo import image, network, pods, runtime, stage, sweep, traffic
from cli.demo.errors import DemoError
from cli.demo.pods import RunningPod
from cli.demo.process import Processes, wait_until
from cli.demo.runtime import Runtime
from cli.demo.terminal import Terminal

pytestmark = pytest.mark.container


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    if runtime.missing():
        pytest.skip(f"needs {', '.join(runtime.missing())}")
    with ExitStack() as stack:
        wait_until("no other demo runs here", lambda: _entered(stack), 120)
        yield tmp_path
        sweep.sweep(tmp_path)


def _entered(stack: ExitStack) -> bool:
    try:
        stack.enter_context(stage.alone())
    except DemoError:
        return False
    return True


def _start(work: Path, stack: ExitStack) -> tuple[Runtime, pods.Kubelet]:
    net = network.create()
    network.write_cni(work / "cni" / "conf", net, work / "cni" / "state")
    engine = stack.enter_context(runtime.running(work, work / "cni" / "conf", Processes(work / "processes", work)))
    image.write_archive(work / "image.tar")
    engine.import_image(work / "image.tar")
    return engine, pods.Kubelet(engine.channel, work / "pods", work / "logs")


def _run(work: Path, kubelet: pods.Kubelet, app: str, environment: dict[str, str]) -> RunningPod:
    pod = pods.describe(app, pods.template_hash(), "node-1", environment)
    sweep.record_pod(work, pod.uid)
    return kubelet.run(pod)


def _leftovers(work: Path) -> list[str]:
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {work}/" in line]
    cgroups = [str(p) for p in Path("/sys/fs/cgroup").glob("**/kubepods/**/pod*")]
    shims = subprocess.run(["pgrep", "-f", str(work / "containerd.sock")], capture_output=True, text=True, check=False)
    bridge = [network.BRIDGE] if Path("/sys/class/net", network.BRIDGE).exists() else []
    return [*mounts, *cgroups, *shims.stdout.split(), *bridge]


def test_the_shop_works_and_a_shell_sees_its_own_token(work: Path) -> None:
    with ExitStack() as stack:
        engine, kubelet = _start(work, stack)
        backend = _run(work, kubelet, "backend", {})
        web = _run(work, kubelet, "web", {"BACKENDS": backend.address})
        wait_until("the shop answers", lambda: "left" in traffic.visit(web.address, 3), 10)
        with Terminal(engine, web.container_id) as shell:
            assert web.pod.token is not None
            assert shell.run(f"cat {pods.TOKEN_DIRECTORY}/token").strip() == web.pod.token.jwt
            assert shell.run("hostname").strip() == web.pod.name
        state = json.loads(Path(f"/run/containerd/runc/k8s.io/{web.container_id}/state.json").read_bytes())
        assert state["cgroup_paths"]["memory"].endswith(f"/pod{web.pod.uid}/{web.container_id}")
        kubelet.remove_all()
    sweep.sweep(work)
    assert _leftovers(work) == []


def _shim_sockets() -> set[Path]:
    return set(Path("/run/containerd/s").glob("*"))


def test_what_a_killed_run_leaves_is_swept(work: Path) -> None:
    before = _shim_sockets()
    with ExitStack() as stack:
        _, kubelet = _start(work, stack)
        _run(work, kubelet, "backend", {})
        for line in (work / "processes").read_text().splitlines():
            os.kill(int(line.split()[0]), signal.SIGKILL)
    assert _leftovers(work) != []
    assert sweep.sweep(work) > 0
    assert _shim_sockets() <= before
    assert _leftovers(work) == []
    assert sweep.sweep(work) == 0
