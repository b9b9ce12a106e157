"""The demo's stage: work directory, network, containerd and the shop's pods, set up and taken down as one."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from cli.demo import image, network, pods, runtime, sweep, traffic
from cli.demo.controlplane import node
from cli.demo.errors import DemoError
from cli.demo.network import Network
from cli.demo.pods import Kubelet, RunningPod
from cli.demo.process import Processes, wait_until
from cli.demo.progress import Progress
from cli.demo.runtime import Runtime

REPLICAS = 4
_PROBED = {"web": "shop", "backend": "stock"}  # the page a readiness probe asks each for
_LOCK = "\0vedette-demo"
_LONGEST_PATH = 80  # sun_path holds 108 bytes


@dataclass(frozen=True, slots=True)
class Machine:
    """What pods run on."""

    network: Network
    runtime: Runtime
    kubelet: Kubelet


@dataclass(frozen=True, slots=True)
class Shop:
    """The workload: every web pod asks every backend."""

    web: tuple[RunningPod, ...]
    backend: tuple[RunningPod, ...]

    @property
    def pods(self) -> tuple[RunningPod, ...]:
        """All of them."""
        return (*self.web, *self.backend)


def check_machine() -> None:
    """Raises: DemoError unless containers can be run here, with everything that is missing."""
    if os.geteuid() != 0:
        raise DemoError("the demo loads BPF programs and runs containers: run it as root (`sudo make demo`)")
    lacks = runtime.missing()
    if lacks:
        raise DemoError("containers cannot run on this machine; missing: " + "; ".join(lacks))


@contextmanager
def work_directory(path: Path, keep: bool = False) -> Iterator[Path]:
    """The directory, for this process alone, with leftovers of earlier runs removed before and its own after.

    What runs is always removed; files stay if `keep` is set or something failed (the logs say why).
    Raises: DemoError if another demo runs on this machine, or the directory is somebody else's.
    """
    path = path.resolve()
    if len(str(path)) > _LONGEST_PATH:
        raise DemoError(f"{path}: sockets live in it, and their paths are limited; give a --work-dir of 80 characters")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_ours(path)
    with alone():
        _clear(path)
        (path / "logs").mkdir()
        try:
            with _signals_as_interrupts():
                yield path
        finally:
            with _ignoring_interrupts():
                sweep.sweep(path)
    if not keep:
        shutil.rmtree(path)


@contextmanager
def machine(work: Path, processes: Processes) -> Iterator[Machine]:
    """Network and containerd with the shop's image. Raises: DemoError."""
    net = network.create()
    cni = work / "cni" / "conf"
    network.write_cni(cni, net, work / "cni" / "state")
    image.write_archive(work / "image.tar")
    with runtime.running(work, cni, processes) as engine:
        engine.import_image(work / "image.tar")
        kubelet = Kubelet(engine.channel, work / "pods", work / "logs" / "pods")
        try:
            yield Machine(net, engine, kubelet)
        finally:
            with _ignoring_interrupts():
                kubelet.remove_all()


def open_shop(work: Path, kubelet: Kubelet, progress: Progress) -> Shop:
    """Start the pods and wait until each web pod serves. Raises: DemoError."""
    backend = _replicas(work, kubelet, "backend", {}, progress)
    addresses = " ".join(pod.address for pod in backend)
    web = _replicas(work, kubelet, "web", {"BACKENDS": addresses}, progress)
    return Shop(web, backend)


def _replicas(
    work: Path, kubelet: Kubelet, app: str, environment: dict[str, str], progress: Progress
) -> tuple[RunningPod, ...]:
    running: list[RunningPod] = []
    template = pods.template_hash()
    for _ in range(REPLICAS):
        pod = pods.describe(app, template, node(), environment)
        progress.update(pod.name)
        sweep.record_pod(work, pod.uid)
        running.append(kubelet.run(pod))
        _await_ready(running[-1])
    return tuple(running)


@contextmanager
def alone() -> Iterator[None]:
    """One demo at a time: the bridge has one name. An abstract socket is free again whatever becomes of us.

    Raises: DemoError if another demo runs on this machine.
    """
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(_LOCK)
        except OSError as e:
            raise DemoError("another demo runs on this machine: wait until it has ended") from e
        yield


def _await_ready(running: RunningPod) -> None:
    """Probe the pod until it serves, so that it does its work from its first second on."""
    advice = f"a firewall on this machine may forbid traffic on the bridge {network.BRIDGE}"
    what = f"pod {running.pod.name} serves at {running.address} ({advice})"
    wait_until(what, partial(traffic.probe, running.address, _PROBED[running.pod.app]), 10)


def _check_ours(path: Path) -> None:
    """The demo empties its directory: it must be one it made."""
    mark = path / ".vedette-demo"
    if not mark.exists():
        if any(path.iterdir()):
            raise DemoError(f"{path} is not empty and not made by the demo: give --work-dir a new directory")
        mark.touch()


def _clear(path: Path) -> None:
    sweep.sweep(path)
    for entry in path.iterdir():
        if entry.name == ".vedette-demo":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind as Ctrl-C does, so that everything is taken down."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """A second Ctrl-C must not leave half of it standing."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
