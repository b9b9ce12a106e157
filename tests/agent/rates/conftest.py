"""Records made by hand, a clock one can set, and a host made of files."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.events import (
    Call,
    CallKind,
    Connection,
    Dns,
    EventType,
    Exec,
    Exit,
    FileFlag,
    FileId,
    Fork,
    Head,
    Open,
    PathChange,
    PathOp,
    Socket,
    SocketOp,
    Task,
)
from agent.identify.paths import Paths
from agent.rates import RateConfig, Rates
from agent.rates.gauges import Gauges
from agent.rates.rates import Inhabitant
from agent.workload import Container, Workload
from collector.train.forest import TrainConfig, train
from detection.rates.codec import model_bytes
from detection.rates.window import RateWindow

NOW = 1_700_000_000_000_000_000
EXE, LOCAL = FileId(9, 1, 0), ip_address("10.0.0.1")
WEB = Workload("container/web", "sha256:1")
PID, HOST_NET = 77, 4026531840


class Make:
    """Records of one cgroup."""

    def __init__(self, cgroup_id: int = 101) -> None:
        self._task = Task(1, 1, cgroup_id, 5, 5, 1, 5, 0, 0, 0, 0, 1, 1, 1, 0, "x")

    def head(self, kind: EventType) -> Head:
        return Head(kind, 0, NOW, self._task)

    def exec(self, path: str = "/bin/a") -> Exec:
        return Exec(self.head(EventType.EXEC), EXE, 0, 0, 0, path, (path,), 9, "/", path)

    def fork(self) -> Fork:
        return Fork(self.head(EventType.FORK))

    def exit(self, code: int = 0) -> Exit:
        return Exit(self.head(EventType.EXIT), code)

    def open(self, path: str, ino: int = 1, flags: int = FileFlag.WRITE) -> Open:
        return Open(self.head(EventType.OPEN), EXE, FileId(ino, 1, 0), flags, 1, 0o644, 0xEF53, path)

    def connect(self, peer: str = "10.0.0.2", port: int = 80) -> Connection:
        return Connection(self.head(EventType.CONNECT), EXE, LOCAL, 0, ip_address(peer), port, 6)

    def send(self, peer: str, result: int = 0) -> Socket:
        far = ip_address(peer)
        return Socket(self.head(EventType.SOCKET), EXE, SocketOp.SEND, 2, 2, 17, LOCAL, 1, far, 53, result, "")

    def ask(self, name: str, *, received: bool = False) -> Dns:
        return Dns(self.head(EventType.DNS), EXE, LOCAL, 53, received, name, 1, 0, ())

    def move(self, op: PathOp) -> PathChange:
        return PathChange(self.head(EventType.PATH), EXE, FileId(1, 1, 0), op, 0, (0, 0), "/a", "/b", "")

    def call(self, result: int) -> Call:
        return Call(self.head(EventType.CALL), EXE, CallKind.CAPSET, (0, 0, 0, 0), result, 0, 0, 0, "")


@pytest.fixture
def make() -> Make:
    """Records of cgroup 101."""
    return Make()


@dataclass
class Host:
    """A host made of files below a directory, with one container process: hybrid cgroups."""

    root: Path
    cpu_ns: int = 0
    sent: int = 0
    failures: int = 0
    net_ns: int = 0
    seconds: float = 0.0
    paths: Paths = field(init=False)

    def __post_init__(self) -> None:
        self.paths = Paths(proc=str(self.root / "proc"), cgroup=str(self.root / "cgroup"))
        lines = "9:name=systemd:/c1\n5:cpuacct:/c1\n3:blkio:/c1\n0::/c1\n"
        self.put(f"proc/{PID}/cgroup", lines)
        (self.root / f"proc/{PID}/ns").mkdir()
        self.own_network()
        self.write()

    def put(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def own_network(self) -> None:
        """Also: another than before."""
        link = self.root / f"proc/{PID}/ns/net"
        target = self.root / f"net{len(list(self.root.glob('net*')))}"
        target.write_text("")
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        self.net_ns = target.stat().st_ino

    def write(self) -> None:
        """Bring the files up to date."""
        self.put("cgroup/cpuacct/c1/cpuacct.usage", f"{self.cpu_ns}\n")
        io = "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\n8:16 Write 1\nTotal 12289\n"
        self.put("cgroup/blkio/c1/blkio.throttle.io_service_bytes_recursive", io)
        eth0 = f"{self.sent // 10} 1 0 0 0 0 0 0 {self.sent} 1 0"
        dev = f"Inter-|\n face |\n    lo: 99 1 0 0 0 0 0 0 99 1 0\n  eth0: {eth0}\n"
        self.put(f"proc/{PID}/net/dev", dev)
        snmp = f"Ip: A\nIp: 1\nTcp: RtoAlgorithm ActiveOpens AttemptFails\nTcp: 1 5 {self.failures}\n"
        self.put(f"proc/{PID}/net/snmp", snmp)

    def gauges(self) -> Gauges:
        return Gauges(self.paths, HOST_NET)

    def clock(self) -> float:
        return self.seconds


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host to measure."""
    return Host(tmp_path / "host")


@dataclass
class Bench:
    """The stage with one container on that host, whose windows end when a test says so."""

    host: Host
    rates: Rates
    container: Container = Container("c1", "web", init_pid=PID, image_digest="sha256:1")  # noqa: RUF009
    now_ns: int = NOW

    def close(self, seconds: float = 60.0, others: Iterable[Inhabitant] = ()) -> list[Any]:
        """Let time pass, then end the slot."""
        self.host.seconds += seconds
        self.now_ns += int(seconds * 1e9)
        self.host.write()
        return self.rates.close_slot(self.now_ns, [Inhabitant(self.container, WEB, (101, 102)), *others])


@pytest.fixture
def bench(host: Host, tmp_path: Path) -> Bench:
    """A bench whose forests are kept on disk."""
    rates = Rates("node-1", host.gauges(), RateConfig(), tmp_path / "forests", host.clock)
    return Bench(host, rates)


def learned(windows: list[RateWindow], revision: int = 1) -> bytes:
    """A forest of these windows, repeated with a little noise until there are enough."""
    rng, many = np.random.default_rng(0), []
    for n in range(400):
        base = windows[n % len(windows)]
        values = tuple(float(v + abs(rng.normal(0, 0.05))) for v in base.values)
        at = NOW + n * int(base.seconds * 1e9)
        many.append(RateWindow(*WEB_KEY, "c1", at, base.seconds, values, base.missing, lasting=values))
    model = train(many, TrainConfig(trees=16), revision)
    assert model is not None
    return model_bytes(model)


WEB_KEY = (WEB.key, WEB.version)


@pytest.fixture
def learn() -> Any:
    """Makes a forest of windows."""
    return learned
