"""A host in a directory: cgroup tree, runtime state, /proc; and the events its kernel would send."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.events import Cgroup, EventType, Exec, Exit, FileId, Fork, Head, Open, Task
from agent.identify.identify import Identifier
from agent.identify.paths import Limits, Paths, StateRoot

TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class FakeHost:
    """Hybrid by default; `now` is the event clock and moves 1 ms with each event."""

    def __init__(self, base: Path, layout: str = "hybrid") -> None:
        self.base = base
        self.proc = base / "proc"
        self.proc.mkdir(parents=True)
        (self.proc / "2/ns").mkdir(parents=True)
        (self.proc / "2/comm").write_text("kthreadd\n")
        for kind in ("mnt", "pid", "net"):
            self.ns(kind, "host")
            (self.proc / "2/ns" / kind).symlink_to(base / "ns" / f"{kind}-host")
        self.run = base / "run"
        self.cgroup_base = base / "cgroup"
        self.cgroup_root = {
            "v2": self.cgroup_base,
            "hybrid": self.cgroup_base / "unified",
            "v1": self.cgroup_base / "pids",
        }[layout]
        self.cgroup_root.mkdir(parents=True)
        (self.cgroup_root / "cgroup.procs").touch()
        if layout != "v1":
            (self.cgroup_root / "cgroup.controllers").touch()
        self.layout = layout
        self.now = 1_700_000_000_000_000_000
        self.paths = Paths(
            proc=str(self.proc),
            cgroup=str(self.cgroup_base),
            state_roots=(
                StateRoot(f"{self.run}/containerd/runc/*", "containerd"),
                StateRoot(f"{self.run}/docker/*", "docker"),
                StateRoot(f"{self.run}/runc"),
                StateRoot(f"{self.run}/crun"),
            ),
            docker_containers=str(base / "docker"),
            podman_storage=str(base / "storage"),
            prefix=str(base / "host"),
        )

    def identifier(self, limits: Limits | None = None) -> Identifier:
        """An identifier over this host that never looks whether fake processes live, unless told to."""
        return Identifier("boot", self.paths, limits or Limits(sweep=0))

    def mkdir(self, path: str) -> int:
        """Make a cgroup; its id."""
        directory = self.cgroup_root / path.strip("/")
        directory.mkdir(parents=True, exist_ok=True)
        return directory.stat().st_ino

    def runc_state(
        self,
        container_id: str,
        cgroup: str,
        *,
        root: str = "runc",
        init: tuple[int, int] = (100, 1000),
        annotations: dict[str, str] | None = None,
        bundle: str = "/b",
    ) -> Path:
        """Write the state file runc keeps; its path."""
        directory = self.run / root / container_id
        directory.mkdir(parents=True, exist_ok=True)
        key, mount = {
            "v2": ("", "/sys/fs/cgroup"),
            "hybrid": ("", "/sys/fs/cgroup/unified"),
            "v1": ("pids", "/sys/fs/cgroup/pids"),
        }[self.layout]
        state = {
            "id": container_id,
            "init_process_pid": init[0],
            "init_process_start": init[1],
            "cgroup_paths": {key: mount + cgroup, "cpu": "/sys/fs/cgroup/cpu/elsewhere"},
            "config": {
                "rootfs": "/r",
                "hostname": "h",
                "labels": [f"{k}={v}" for k, v in (annotations or {}).items()] + [f"bundle={bundle}"],
            },
        }
        (directory / "state.json").write_text(json.dumps(state))
        return directory / "state.json"

    def process(
        self,
        pid: int,
        ppid: int,
        ticks: int,
        argv: list[str],
        cgroup: str = "/",
        *,
        ns_pid: int = 0,
        namespaces: dict[str, str] | None = None,
    ) -> None:
        """Write a /proc entry. `namespaces` maps kind to a name: equal names, equal namespaces."""
        directory = self.proc / str(pid)
        (directory / "ns").mkdir(parents=True)
        fields = ["S", ppid, 1, 1, 0, -1, 0] + [0] * 12 + [ticks] + [0] * 20
        (directory / "stat").write_text(f"{pid} (a ) b\n) {' '.join(map(str, fields))}\n")
        (directory / "status").write_text(f"Name:\tx\nUid:\t7\t0\t0\t0\nNSpid:\t{pid}\t{ns_pid or pid}\n")
        (directory / "cmdline").write_bytes(b"".join(a.encode() + b"\0" for a in argv))
        (directory / "exe").symlink_to(argv[0])
        (directory / "cwd").symlink_to("/")
        line = f"8:pids:{cgroup}\n" if self.layout == "v1" else f"8:pids:/elsewhere\n0::{cgroup}\n"
        (directory / "cgroup").write_text(line)
        for kind in ("mnt", "pid", "net"):
            name = (namespaces or {}).get(kind, "host")
            self.ns(kind, name)
            (directory / "ns" / kind).symlink_to(self.base / "ns" / f"{kind}-{name}")

    def ns(self, kind: str, name: str) -> int:
        """The inode number of a namespace."""
        target = self.base / "ns" / f"{kind}-{name}"
        target.parent.mkdir(exist_ok=True)
        target.touch()
        return target.stat().st_ino

    def task(self, pid: int, start_ms: int, cgroup_id: int, parent: tuple[int, int] = (0, 0), **more: int) -> Task:
        """`start_ms` and parent's are milliseconds since boot."""
        facts = {"uid": 0, "tty": 0, "ns_pid": pid, "pid_ns": 1, "mnt_ns": self.ns("mnt", "host"), "net_ns": 1, **more}
        return Task(
            start_ns=start_ms * 1_000_000,
            parent_start_ns=parent[1] * 1_000_000,
            cgroup_id=cgroup_id,
            pid=pid,
            tid=pid,
            ppid=parent[0],
            gid=0,
            euid=facts["uid"],
            egid=0,
            comm="c",
            **facts,
        )

    def head(self, kind: EventType, task: Task) -> Head:
        """A head at the next millisecond."""
        self.now += 1_000_000
        return Head(kind, 0, self.now, task)

    def fork(self, task: Task) -> Fork:
        """A fork event."""
        return Fork(self.head(EventType.FORK, task))

    def exec(self, task: Task, path: str, *argv: str) -> Exec:
        """An exec event."""
        head = self.head(EventType.EXEC, task)
        return Exec(head, FileId(1, 2, 3), 0, 0, 0, path, argv or (path,), 10, "/", path)

    def exit(self, task: Task) -> Exit:
        """An exit event."""
        return Exit(self.head(EventType.EXIT, task), 0)

    def open(self, task: Task, path: str) -> Open:
        """An open event."""
        return Open(self.head(EventType.OPEN, task), FileId(1, 2, 3), FileId(4, 5, 6), 128, 1, 0o100644, 0, path)

    def cgroup_event(self, kind: EventType, cgroup_id: int, path: str) -> Cgroup:
        """A cgroup event, sent by some host process."""
        return Cgroup(self.head(kind, self.task(1, 0, 1)), cgroup_id, path.count("/"), path)


@pytest.fixture
def make_host(tmp_path: Path) -> Callable[[str], FakeHost]:
    """Makes a host with a given cgroup layout."""
    return lambda layout: FakeHost(tmp_path / layout, layout)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A host with the hybrid layout."""
    return FakeHost(tmp_path)
