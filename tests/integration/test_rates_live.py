"""Replicas of one workload in real containers: a forest of their own windows tells a miner, a scan, a leak and a
rewrite of files from the load they begin on top of; and nothing from the load alone."""

import json
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core import Core
from agent.decode.decode import Decoder
from agent.detect.detector import Detector
from agent.identify.identify import Identifier
from agent.learn.learner import Learner
from agent.ledger import Ledger
from agent.rates import RateConfig, Rates
from agent.rates.start import open_rates
from agent.source.core_re import CoReSource
from collector.train.forest import TrainConfig, train
from detection.finding import EntityKind, Finding, Severity
from detection.rates.codec import model_bytes
from detection.rates.model import WEEK_S
from detection.rates.window import RateWindow
from detection.rules import RuleSet

pytestmark = [pytest.mark.bpf, pytest.mark.container]
WINDOW_S, REPLICAS, LEARNED = 0.5, 4, 200
# As strict a window as one false anomaly a week of one container is with windows of a minute.
BUDGET = 60.0 / WEEK_S * REPLICAS * WEEK_S / WINDOW_S
ATTACK_S = 4.0
NAMESPACE = f"rates-{uuid.uuid4().hex[:8]}"  # nobody else's
WORKLOAD = f"k8s/{NAMESPACE}/deployment/web/web"
NET = "10.231.77"


def run(*command: str) -> None:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run(command, check=True, **quiet)


class Replica:
    """A container of the workload with a network of its own, at the other end of a virtual cable."""

    def __init__(self, directory: Path, number: int, program: Path, port: int) -> None:
        self.name = f"rates-{number}-{uuid.uuid4().hex[:8]}"
        self.directory, self.number, self.cable = directory, number, f"vr{number}{uuid.uuid4().hex[:6]}"
        self.host, self.address = f"{NET}.{4 * number + 1}", f"{NET}.{4 * number + 2}"
        (directory / "rootfs/bin").mkdir(parents=True)
        for name in ("proc", "sys", "dev", "data"):
            (directory / "rootfs" / name).mkdir()
        shutil.copy(program, directory / "rootfs/bin/load")
        run("runc", "spec", "--bundle", str(directory))
        path = directory / "config.json"
        config = json.loads(path.read_text())
        config["process"] |= {"terminal": False, "args": ["/bin/load", "benign", "600", self.host, str(port)]}
        config["process"].pop("rlimits", None)
        config["root"]["readonly"] = False
        config["linux"]["cgroupsPath"] = f"/{self.name}"
        config["annotations"] = {
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.container-name": "web",
            "io.kubernetes.cri.sandbox-namespace": NAMESPACE,
            "io.kubernetes.cri.sandbox-name": f"web-7d9f8c6b5d-{'bcdfg'[number]}x2k4",
        }
        path.write_text(json.dumps(config))

    def start(self) -> None:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["runc", "run", "--detach", "--bundle", str(self.directory), self.name], check=True, **quiet)
        state = subprocess.run(["runc", "state", self.name], check=True, capture_output=True).stdout
        pid = str(json.loads(state)["pid"])
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", pid)
        run("ip", "address", "add", f"{self.host}/30", "dev", self.cable)
        run("ip", "link", "set", self.cable, "up")
        inside = ("nsenter", "-t", pid, "-n", "ip")
        run(*inside, "address", "add", f"{self.address}/30", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")

    def abuse(self, *words: str) -> "subprocess.Popen[bytes]":
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(["runc", "exec", self.name, "/bin/load", *words], **quiet)

    def remove(self) -> None:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["runc", "delete", "--force", self.name], check=False, **quiet)
        subprocess.run(["ip", "link", "delete", self.cable], check=False, **quiet)


class Sink:
    """Takes whatever is sent to it, answers the first bytes, and listens on one port."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("0.0.0.0", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(client,), daemon=True).start()

    def _take(self, client: socket.socket) -> None:
        with client:
            try:
                if client.recv(1 << 20):
                    client.send(b"ok")
                while client.recv(1 << 20):
                    continue
            except OSError:
                pass

    def close(self) -> None:
        self._listener.close()


class Kept:
    """A sink that keeps what rates found."""

    def __init__(self) -> None:
        self.findings: dict[str, Finding] = {}

    def finding(self, finding: Finding) -> None:
        if finding.rule_id == "rates" and any(e.id == WORKLOAD for e in finding.entities):
            self.findings[finding.id] = finding

    def of(self, container: str) -> list[Finding]:
        """The findings about one container."""
        return [f for f in self.findings.values() if any(e.id == container for e in f.entities)]

    def containers(self) -> set[str]:
        """All that findings are about."""
        return {e.id for f in self.findings.values() for e in f.entities if e.kind is EntityKind.CONTAINER}

    def ledger(self, entry: Ledger) -> None:
        """None is made."""

    def dropped(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


class Watch:
    """The agent's path from the kernel to findings, with windows ended by hand."""

    def __init__(self, directory: Path) -> None:
        self.kept, self._source = Kept(), CoReSource()
        rates = open_rates("node-1", directory, RateConfig(WINDOW_S, BUDGET), with_collector=True)
        assert rates is not None
        self.rates: Rates = rates
        identifier = Identifier(boot_id="boot")
        self._core = Core(
            source=self._source,
            decoder=Decoder(),
            identifier=identifier,
            learner=Learner(),
            detector=Detector(RuleSet.from_ir([]), "node-1"),
            sink=self.kept,
            rates=self.rates,
        )
        self._source.start()
        identifier.seed(time.time_ns())

    def watch(self, seconds: float) -> list[RateWindow]:
        """For so long; the windows that ended."""
        end, slot = time.monotonic() + seconds, time.monotonic() + WINDOW_S
        while time.monotonic() < end:
            batch = self._source.read(max(0.0, min(slot - time.monotonic(), 0.05)))
            if batch is not None:
                self._core.handle(batch)
            if time.monotonic() >= slot:
                slot += WINDOW_S
                self._core.tick(time.time_ns())
                self._core.close_slot(time.time_ns())
        return [w for w in self.rates.take() if w.workload == WORKLOAD]

    def stop(self) -> None:
        self._source.stop()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """What the workload talks to."""
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def replicas(tmp_path: Path, sink: Sink) -> Iterator[list[Replica]]:
    """The workload, running."""
    if shutil.which("ip") is None:
        pytest.skip("needs iproute2")
    program = tmp_path / "load"
    source = Path(__file__).with_name("rates_load.c")
    subprocess.run(["clang", "-O2", "-static", "-o", program, source], check=True)
    made = [Replica(tmp_path / f"r{n}", n, program, sink.port) for n in range(REPLICAS)]
    try:
        for replica in made:
            replica.start()
        yield made
    finally:
        for replica in made:
            replica.remove()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """A sensor and what stands behind it."""
    made = Watch(tmp_path / "forests")
    yield made
    made.stop()


def test_four_kinds_of_abuse_are_told_from_the_load_and_the_load_raises_nothing(
    replicas: list[Replica], sink: Sink, watch: Watch
) -> None:
    windows: list[RateWindow] = []
    watch.watch(3.0)  # what starts is not yet what runs
    deadline = time.monotonic() + 120
    while len(windows) < LEARNED and time.monotonic() < deadline:
        windows += watch.watch(WINDOW_S * 4)
    assert {len(w.values) for w in windows} == {19}
    assert {w.missing & 1 << 9 for w in windows} == {0}, "each replica has a network of its own"
    model = train(windows, TrainConfig(), containers=REPLICAS)
    assert model is not None
    key = (model.workload, model.version)
    assert watch.rates.adopt(*key, model_bytes(model)) == ""

    watch.watch(10.0)
    assert watch.kept.findings == {}, "the load alone raises nothing"

    expected = {
        ("mine",): ("cpu", "T1496"),
        ("scan", replicas[1].host): ("connect_failures", "T1046"),
        ("leak", replicas[2].host, str(sink.port)): ("bytes_out", "T1048"),
        ("encrypt",): ("moves", "T1486"),
    }
    attacked: set[str] = set()
    for replica, (words, (feature, technique)) in zip(replicas, expected.items(), strict=True):
        watch.kept.findings.clear()
        attack = replica.abuse(words[0], str(ATTACK_S), *words[1:])
        watch.watch(ATTACK_S + 1.0)
        attack.wait()
        attacked.add(replica.name)
        found = [f for f in watch.kept.of(replica.name) if f.severity >= Severity.MEDIUM]
        print(f"{words[0]}: {[(f.severity.label, round(f.surprise, 1), f.reason) for f in found]}")
        assert found, (words[0], watch.rates.history(replica.name)[-8:])
        assert {c for c in watch.kept.containers() if c not in attacked} == set()
        assert any(f"rates.{feature}" in f.fields for f in found), (words[0], [dict(f.fields) for f in found])
        assert any(t.id == technique for f in found for t in f.techniques)

    watch.watch(6.0)  # until what lasted has left the last ten windows
    watch.kept.findings.clear()
    watch.watch(10.0)
    assert watch.kept.findings == {}, "what is over raises nothing more"
