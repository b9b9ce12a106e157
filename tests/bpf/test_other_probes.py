"""Connections, permissions and cgroups as the kernel reports them; the sensor's own bookkeeping."""

import ipaddress
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from agent.decode.decode import Decoder
from agent.errors import SourceError
from agent.events import Cgroup, Chmod, Connection, EventType, Exec, Open
from agent.source.core_re import CoReSource
from agent.source.libbpf import LIBRARY

pytestmark = pytest.mark.bpf

VARYING = {"start_ns": 0, "pid": 0, "tid": 0, "ns_pid": 0}  # differ from process to process
CLIENT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])))"
SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 0), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,
                              dualstack_ipv6=sys.argv[1] == "::")
print(server.getsockname()[1], flush=True)
for _ in range(int(sys.argv[2])):
    server.accept()
"""


class Server:
    """A child that accepts `times` connections on `address`; the test's own process is not watched."""

    def __init__(self, address: str, times: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, address, str(times)], stdout=subprocess.PIPE, text=True
        )
        self.port = int(self.process.stdout.readline())

    def finish(self) -> int:
        """Wait for its end; its pid."""
        self.process.wait()
        self.process.stdout.close()
        return self.process.pid


def connect(address: str, port: int) -> int:
    """Connect from a child; its pid."""
    child = subprocess.Popen([sys.executable, "-c", CLIENT, address, str(port)])
    assert child.wait() == 0
    return child.pid


@pytest.mark.parametrize(
    ("listen", "to", "peer"),
    [("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::1"), ("::", "::ffff:127.0.0.1", "127.0.0.1")],
    ids=["IPv4", "IPv6", "IPv4-mapped"],
)
def test_both_ends_of_a_connection(sensor, listen, to, peer):
    """connect names the destination, accept the client; mapped addresses are plain IPv4."""
    server = Server(listen, 1)
    client = connect(to, server.port)
    pid = server.finish()
    [out] = sensor.of(Connection, lambda e: e.head.task.pid == client)
    [accepted] = sensor.of(Connection, lambda e: e.head.task.pid == pid)
    assert (out.head.type, accepted.head.type) == (EventType.CONNECT, EventType.ACCEPT)
    address = ipaddress.ip_address(peer)
    assert (out.peer, out.peer_port, out.protocol) == (address, server.port, socket.IPPROTO_TCP)
    assert (accepted.peer, accepted.local, accepted.local_port) == (address, address, server.port)
    assert accepted.peer_port not in (0, server.port)


def test_repeated_connections_are_one_behaviour(sensor):
    """The same program to the same port: one connect and one accept, all counted."""
    server = Server("127.0.0.1", 5)
    for _ in range(5):
        connect("127.0.0.1", server.port)
    pid = server.finish()
    [out] = sensor.of(Connection, lambda e: e.peer_port == server.port and e.head.type == EventType.CONNECT)
    [accepted] = sensor.of(Connection, lambda e: e.head.task.pid == pid)
    counts = {
        key.type: count
        for key, count in sensor.source.behaviours()
        if key.exe == out.exe == accepted.exe and int.from_bytes(key.object[16:18], sys.byteorder) == server.port
    }
    assert counts == {EventType.CONNECT: 5, EventType.ACCEPT: 5}


def test_an_attempt_nobody_answers_is_reported(sensor):
    """A refused connection is an attempt all the same."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        subprocess.run([sys.executable, "-c", CLIENT, "127.0.0.1", str(port)], stderr=subprocess.DEVNULL, check=False)
    assert len(sensor.of(Connection, lambda e: e.peer_port == port)) == 1


def test_set_user_id_and_execute_bits(sensor, tmp_path):
    """chmod that succeeds and gives set-id or execute bits is reported, by path or descriptor; others are not."""
    target = tmp_path / "file"
    target.touch()
    code = (
        "import os, sys; p = sys.argv[1]; os.chmod(p, 0o644); os.chmod(p, 0o4755); d = os.open(p, os.O_RDONLY);"
        "os.fchmod(d, 0o755)\ntry: os.chmod(p + '.absent', 0o755)\nexcept OSError: pass"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(target)])
    child.wait()
    events = sensor.of(Chmod, lambda e: e.head.task.pid == child.pid)
    assert [(e.mode, e.path) for e in events] == [(0o4755, str(target)), (0o755, "")]


def test_chmod_command_uses_fchmodat(sensor, tmp_path):
    """The chmod program, which goes through fchmodat (or fchmodat2), is seen."""
    target = tmp_path / "file"
    target.touch()
    subprocess.run(["chmod", "u+s", target], check=True)
    assert [(e.mode, e.path) for e in sensor.of(Chmod) if e.path == str(target)] == [(0o4644, str(target))]


def test_cgroups_come_and_go(sensor):
    """mkdir and rmdir of a cgroup carry its id (the directory's inode) and path."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    root = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    if root is None:
        pytest.skip("needs a cgroup v2 hierarchy")
    directory = root / f"vt-test-{uuid.uuid4().hex[:8]}"
    directory.mkdir()
    inode = directory.stat().st_ino
    directory.rmdir()
    events = sensor.of(Cgroup, lambda e: e.path == f"/{directory.name}")
    assert [e.head.type for e in events] == [EventType.CGROUP_MKDIR, EventType.CGROUP_RMDIR]
    assert {(e.id, e.level) for e in events} == {(inode, 1)}


def test_every_program_is_accounted_for(sensor):
    """Each program is attached, or says what goes unseen and why."""
    states = sensor.source.probes()
    assert {"process_fork", "process_exec", "file_openat", "net_connect"} <= {s.name for s in states if s.attached}
    assert all(state.attached or ":" in state.consequence for state in states)
    assert sum(state.name.startswith("process_exit") for state in states) == 1


def test_a_full_ring_is_counted_not_hidden(load):
    """With a ring of one page nobody reads: emitted plus lost are all execs."""
    source = CoReSource(urgent_bytes=4096)
    source.start()
    try:
        subprocess.run([load, "execs", "200", "/bin/true"], check=True)
        counters = source.counters()["exec"]
    finally:
        source.stop()
    assert counters["lost_ring"] > 100
    assert counters["emitted"] + counters["lost_ring"] >= 201


def test_a_full_filter_emits_and_says_so(load, tmp_path):
    """Beyond the filter's room behaviours are emitted every time, flagged and counted."""
    source = CoReSource(filter_entries=16)
    source.start()
    try:
        subprocess.run([load, "opens", "1000", tmp_path, "500"], check=True)
        counters = source.counters()["open"]
    finally:
        source.stop()
    assert counters["filter_full"] > 0
    assert counters["emitted"] >= 900


def test_stop_ends_reading_and_keeps_the_last_counters(load):
    """After stop nothing is read, counters stay, and a second stop is harmless."""
    source = CoReSource()
    source.start()
    subprocess.run([load, "exit", "0"], check=True)
    source.stop()
    source.stop()
    assert source.read(0) is None
    assert source.counters()["exec"]["emitted"] >= 1
    assert list(source.behaviours()) == []


def test_a_missing_object_says_what_to_do(tmp_path):
    """Without the compiled programs the error names the remedy."""
    with pytest.raises(SourceError, match="make build"):
        CoReSource(directory=tmp_path).start()


def test_times_are_unix_times(sensor, run):
    """An event's time is the wall clock's, within the time the test took."""
    before = time.time_ns()
    run("exit", 0)
    after = time.time_ns()
    [event] = sensor.of(Exec, lambda e: e.argv[-2:] == ("exit", "0") and e.head.task.ppid == os.getpid())
    assert before - 2_000_000 <= event.head.time_ns <= after + 2_000_000


def test_the_object_for_older_kernels_sees_the_same(load, tmp_path):
    """Compiled with helper reads (kernels before 6.2), the programs load here too and read the same values."""
    directory = tmp_path / "lib"
    directory.mkdir()
    (directory / "vedette.bpf.o").write_bytes((LIBRARY / "vedette-helpers.bpf.o").read_bytes())
    (directory / "libvedette_ring.so").write_bytes((LIBRARY / "libvedette_ring.so").read_bytes())
    seen = []
    for source in (CoReSource(), CoReSource(directory=directory)):
        source.start()
        try:
            subprocess.run([load, "file", str(os.O_RDWR | os.O_CREAT), tmp_path / "file"], check=True)
            batch, decoder = [], Decoder()
            while raw := source.read(0):
                batch += decoder.decode(raw)
        finally:
            source.stop()
        [execed] = [e for e in batch if isinstance(e, Exec) and e.argv[1:2] == ("file",)]
        [opened] = [e for e in batch if isinstance(e, Open) and e.path == str(tmp_path / "file")]
        seen.append((execed[1:], opened.file, opened.exe, opened.mode, execed.head.task._replace(**VARYING)))
    assert seen[0] == seen[1]
