"""Identified events made by hand."""

from ipaddress import ip_address

import pytest

from agent.events import Connection, Event, EventType, Exec, FileFlag, FileId, Fork, Head, Open, Task
from agent.workload import Container, Identified, Process, Workload

WEB = Workload("k8s/shop/deployment/web/web", "sha256:1")
CGROUPS = {"c1": 101, "c2": 102, "c3": 103, "": 1}


class World:
    """One workload with a main process; `now_ns` is the time of the next event."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000
        self.workload = WEB

    def process(
        self, path: str = "/bin/httpd", *argv: str, pid: int = 10, container: str = "c1", entry: str = ""
    ) -> Process:
        return Process(
            f"{container}-{pid}", pid, "", path, argv or (path,), "/", 0, 0, 1, CGROUPS[container], container, entry
        )

    def identified(self, event: Event, process: Process, *ancestors: Process) -> Identified:
        container = Container(process.container_id) if process.container_id else None
        workload = self.workload if container else Workload("host")
        return Identified(event, process, ancestors, container, workload)

    def head(self, kind: EventType, process: Process, ns_pid: int = 7) -> Head:
        task = Task(1, 1, process.cgroup_id, process.pid, process.pid, 1, ns_pid, 0, 0, 0, 0, 1, 1, 1, 0, "x")
        return Head(kind, 0, self.now_ns, task)

    def exec(self, path: str, *argv: str, parent: Process | None = None, pid: int = 20, **who: str) -> Identified:
        arguments = argv or (path,)
        process = self.process(path, *arguments, pid=pid, **who)
        event = Exec(self.head(EventType.EXEC, process), FileId(5, 1, 0), 0, 0, 0, path, arguments, 20, "/", path)
        return self.identified(event, process, parent or self.process(container=process.container_id))

    def write(
        self, path: str, process: Process | None = None, ino: int = 50, flags: int = FileFlag.WRITE
    ) -> Identified:
        process = process or self.process()
        event = Open(
            self.head(EventType.OPEN, process), FileId(5, 1, 0), FileId(ino, 1, 3), flags, 1, 0o644, 0xEF53, path
        )
        return self.identified(event, process)

    def connect(
        self, peer: str, port: int, process: Process | None = None, kind: EventType = EventType.CONNECT
    ) -> Identified:
        process = process or self.process()
        local, far = ip_address("10.0.0.1"), ip_address(peer)
        event = Connection(self.head(kind, process), FileId(5, 1, 0), local, 40001, far, port, 6)
        return self.identified(event, process)

    def fork(self) -> Identified:
        process = self.process()
        return self.identified(Fork(self.head(EventType.FORK, process)), process)


@pytest.fixture
def world() -> World:
    """A workload to make events of."""
    return World()
