"""Events of a small web workload, and of somebody who broke into it."""

from dataclasses import dataclass, replace
from ipaddress import ip_address

import pytest

import rules
from agent.detect import Detector
from agent.events import (
    Call,
    CallKind,
    Chmod,
    Connection,
    Dns,
    Event,
    EventType,
    Exec,
    FileFlag,
    FileId,
    Head,
    Open,
    PathChange,
    PathOp,
    Socket,
    SocketOp,
    Task,
)
from agent.observation import Observation
from agent.workload import Container, Identified, Process, Workload
from detection.finding import Finding
from detection.rules import load_compiled

CONTAINER = Container(
    id="c" * 64,
    name="web",
    runtime="cri-containerd",
    image="shop/web:1",
    image_digest="sha256:11",
    pod_uid="11111111-2222-3333-4444-555555555555",
    pod_name="web-7",
    namespace="shop",
    service_account="web",
    addresses=("10.88.0.5", "127.0.0.1"),
)
WORKLOAD = Workload("k8s/shop/deployment/web/web", "sha256:11")
_FILE = FileId(1, 2, 3)


@dataclass
class World:
    """Makes identified events; every one a microsecond after the one before."""

    container: Container | None = CONTAINER
    now_ns: int = 1_700_000_000_000_000_000
    pids: int = 100

    def process(self, path: str, *argv: str, **more: object) -> Process:
        self.pids += 1
        base = Process(
            exec_id=f"{self.pids:016x}",
            pid=self.pids,
            parent_id="",
            path=path,
            argv=argv or (path,),
            cwd="/",
            uid=0,
            tty=0,
            start_ns=self.pids,
            cgroup_id=7,
            container_id=self.container.id if self.container else "",
        )
        return replace(base, **more)

    def _head(self, kind: EventType, process: Process) -> Head:
        self.now_ns += 1000
        task = Task(process.start_ns, 0, 7, process.pid, process.pid, 1, 1, 0, 0, 0, 0, 1, 1, 1, process.tty, "x")
        return Head(kind, 0, self.now_ns, task)

    def _identified(self, event: Event, process: Process, ancestors: tuple[Process, ...]) -> Identified:
        return Identified(event, process, ancestors, self.container, WORKLOAD)

    def execs(self, process: Process, *ancestors: Process, filename: str = "") -> Identified:
        event = Exec(
            self._head(EventType.EXEC, process),
            _FILE,
            process.exe_flags,
            0,
            1 << 21,
            process.path,
            process.argv,
            sum(map(len, process.argv)),
            process.cwd,
            filename or process.path,
        )
        return self._identified(event, process, ancestors)

    def opens(self, process: Process, path: str, flags: int = 0, mode: int = 0o100644) -> Identified:
        event = Open(self._head(EventType.OPEN, process), _FILE, _FILE, flags, 0, mode, 0, path)
        return self._identified(event, process, ())

    def writes(self, process: Process, path: str) -> Identified:
        return self.opens(process, path, FileFlag.WRITE | FileFlag.CREATED)

    def chmods(self, process: Process, path: str, mode: int) -> Identified:
        return self._identified(Chmod(self._head(EventType.CHMOD, process), mode, path), process, ())

    def calls(
        self,
        process: Process,
        call: CallKind,
        *args: int,
        text: str = "",
        result: int = 0,
        target: Process | None = None,
        host_namespace: bool = False,
    ) -> Identified:
        four = (*args, 0, 0, 0, 0)[:4]
        pid, start = (target.pid, target.start_ns) if target else (0, 0)
        event = Call(self._head(EventType.CALL, process), _FILE, call, four, result, pid, start, 7, text)
        made = self._identified(event, process, ())
        return replace(made, target=target, host_namespace=host_namespace)

    def changes(
        self, process: Process, op: PathOp, path: str, target: str = "", text: str = "", flags: int = 0,
        args: tuple[int, int] = (0, 0),
    ) -> Identified:  # fmt: skip
        head = self._head(EventType.PATH, process)._replace(flags=flags)
        return self._identified(PathChange(head, _FILE, _FILE, op, 0, args, path, target, text), process, ())

    def sockets(
        self, process: Process, op: SocketOp, family: int, kind: int, protocol: int = 0, *, local_port: int = 0,
        peer: str = "", peer_port: int = 0, name: str = "",
    ) -> Identified:  # fmt: skip
        local = ip_address("0.0.0.0") if family == 2 else None
        event = Socket(
            self._head(EventType.SOCKET, process), _FILE, op, family, kind, protocol, local, local_port,
            ip_address(peer) if peer else None, peer_port, 0, name,
        )  # fmt: skip
        return self._identified(event, process, ())

    def asks(self, process: Process, question: str, *answers: str) -> Identified:
        server = ip_address("10.0.0.10")
        pairs = tuple((question, answer) for answer in answers)
        event = Dns(self._head(EventType.DNS, process), _FILE, server, 53, bool(answers), question, 1, 0, pairs)
        return self._identified(event, process, ())

    def connects(self, process: Process, peer: str, port: int) -> Identified:
        return self._conn(EventType.CONNECT, process, "0.0.0.0", 0, peer, port)

    def accepts(self, process: Process, peer: str, port: int) -> Identified:
        return self._conn(EventType.ACCEPT, process, "10.88.0.5", 8080, peer, port)

    def _conn(self, kind: EventType, process: Process, local: str, local_port: int, peer: str, port: int) -> Identified:
        head = self._head(kind, process)
        event = Connection(head, _FILE, ip_address(local), local_port, ip_address(peer), port, 6)
        return self._identified(event, process, ())


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


class Bench:
    """A detector with the shipped rules."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.detector = Detector(load_compiled(rules.runtime_rules()), "node-1", self.clock, capacity=8)

    def see(self, *events: Identified) -> list[Finding]:
        return [f for e in events for f in self.detector.detect(Observation(e))]

    def ids(self, *events: Identified) -> list[str]:
        return [f.rule_id for f in self.see(*events)]


@pytest.fixture
def world() -> World:
    """A container of a pod."""
    return World()


@pytest.fixture
def host() -> World:
    """No container."""
    return World(container=None)


@pytest.fixture
def bench() -> Bench:
    """Shipped rules, moved clock, room for eight windows."""
    return Bench()
