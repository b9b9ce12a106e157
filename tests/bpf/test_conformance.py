"""One suite over every sensor: the same acts in a container, what each must see of them, and that each says in words
what it cannot. docs/sensors.md has the table for people.
"""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.decode.decode import Decoder
from agent.events import Chmod, Connection, Event, EventType, Exec, Exit, FileFlag, FileId, Fork, Open, Socket, SocketOp
from agent.source.bcc_source import BccSource
from agent.source.capabilities import LOADERS
from agent.source.core_re import CoReSource
from agent.source.fake import FakeSource
from agent.source.polling import PollingSource
from agent.source.port import BehaviourKey, Source

PORT = 8099
ACTS = f"""
/bin/true
echo x > /tmp/witness
chmod 755 /tmp/witness
/bin/busybox nc -ll -p {PORT} -e /bin/sleep 2.6 &
server=$!
while ! /bin/busybox netstat -lnt | /bin/busybox grep -q :{PORT}; do :; done
/bin/sleep 2.5 | /bin/busybox nc 127.0.0.1 {PORT} &
/bin/sleep 2.4
kill $! $server
exit 7
"""
_DEADLINE_S = 40.0

# What must be seen, as a question to one event of the container.
FACTS: dict[str, Callable[[Event], bool]] = {
    "new process": lambda e: isinstance(e, Fork),
    "program": lambda e: isinstance(e, Exec) and e.argv == ("/bin/sleep", "2.4") and e.path == "/bin/busybox",
    "process ended": lambda e: isinstance(e, Exit),
    "connect": lambda e: _is_connection(e, EventType.CONNECT) and e.peer_port == PORT,
    "accept": lambda e: _is_connection(e, EventType.ACCEPT) and e.local_port == PORT,
    "listener": lambda e: isinstance(e, Socket) and e.op == SocketOp.LISTEN and e.local_port == PORT,
    "exit code": lambda e: isinstance(e, Exit) and e.exit_code == 7 << 8,
    "short life": lambda e: isinstance(e, Exec) and e.argv == ("/bin/true",),
    "file written": lambda e: isinstance(e, Open) and e.path == "/tmp/witness" and bool(e.file_flags & FileFlag.WRITE),
    "upper layer": lambda e: isinstance(e, Open) and e.path == "/tmp/witness" and bool(e.file_flags & FileFlag.OVERLAY),
    "mode changed": lambda e: isinstance(e, Chmod) and e.mode == 0o755 and e.path == "/tmp/witness",
}
# Sensor → fact it cannot see → the probe that says so.
CANNOT = {
    "co-re": {},
    "bcc": {},
    "polling": {
        "exit code": "poll_exit_codes",
        "short life": "poll_short_lived",
        "file written": "poll_files",
        "upper layer": "poll_files",
        "mode changed": "poll_files",
    },
}
_MAKE: dict[str, Callable[[], Source]] = {
    "co-re": CoReSource,
    "bcc": BccSource,
    "polling": lambda: PollingSource(interval_s=0.1),
}


def _is_connection(event: Event, kind: EventType) -> bool:
    return isinstance(event, Connection) and event.head.type == kind and str(event.peer) == "127.0.0.1"


@pytest.fixture(params=_MAKE)
def sensor(request: pytest.FixtureRequest) -> Iterator[tuple[str, Source]]:
    """Each sensor that can be used here, started."""
    name = request.param
    [loader] = [ask() for key, ask in LOADERS.items() if key.lower() == name]
    if not loader.usable:
        pytest.skip(f"{loader.name}: {loader.reason}")
    source = _MAKE[name]()
    source.start()
    try:
        yield name, source
    finally:
        source.stop()


@pytest.mark.bpf
@pytest.mark.container
def test_each_sensor_sees_what_it_must_and_says_what_it_cannot(sensor, container):
    """Every fact is seen by each sensor but those it declares; a declared one is named by an unattached probe."""
    name, source = sensor
    events = _watch(source, container)
    mine = [event for event in events if event.head.task.cgroup_id == container.cgroup_id]
    seen = {fact for fact, asks in FACTS.items() if any(asks(event) for event in mine)}
    assert set(FACTS) - seen <= set(CANNOT[name])
    said = {state.name: state.consequence for state in source.probes() if not state.attached}
    assert all(said[probe] for probe in CANNOT[name].values())


@pytest.mark.bpf
@pytest.mark.container
def test_each_sensor_tells_the_same_process(sensor, container):
    """One program has the same identity, program and place whoever saw it: /proc says which."""
    _, source = sensor
    events = _watch(source, container)
    [run] = [e for e in events if isinstance(e, Exec) and e.argv == ("/bin/sleep", "2.4")]
    task = run.head.task
    assert (task.cgroup_id, task.uid, task.euid) == (container.cgroup_id, 0, 0)
    assert task.ns_pid != task.pid
    assert task.comm == "sleep"
    assert run.argv_total == sum(len(argument) + 1 for argument in run.argv)
    assert abs(run.head.time_ns - time.time_ns()) < _DEADLINE_S * 1e9
    assert 0 < task.parent_start_ns <= task.start_ns
    assert run.exe.ino == (container.root / "bin/busybox").stat().st_ino


@pytest.fixture(params=[*_MAKE, "fake"])
def any_source(request: pytest.FixtureRequest) -> Source:
    """Each sensor that can be used here and the fake, not started."""
    name = request.param
    if name == "fake":
        return FakeSource()
    [loader] = [ask() for key, ask in LOADERS.items() if key.lower() == name]
    if not loader.usable:
        pytest.skip(f"{loader.name}: {loader.reason}")
    return _MAKE[name]()


@pytest.mark.bpf
def test_each_sensor_keeps_the_ports_promises(any_source):
    """Nothing before start; probes with a reason wherever one does not watch; nothing after stop, counters kept."""
    assert any_source.read(0) is None
    any_source.start()
    states = any_source.probes()
    assert any(state.attached for state in states)
    assert all(state.consequence for state in states if not state.attached)
    assert len({state.name for state in states}) == len(states)
    assert any_source.forget([BehaviourKey(1, EventType.OPEN, FileId(1, 2, 3), bytes(24))]) == 0
    before = any_source.counters()
    any_source.stop()
    assert any_source.read(0) is None
    after = any_source.counters()
    assert all(after[kind][cause] >= count for kind, causes in before.items() for cause, count in causes.items())


def _watch(source: Source, container) -> list[Event]:
    """Everything seen from before the acts until the last process of theirs is known to be gone."""
    decoder, events = Decoder(), list[Event]()
    status: list[int] = []
    acts = threading.Thread(target=lambda: status.append(container.run("/bin/sh", "-c", ACTS)))
    acts.start()
    deadline = time.monotonic() + _DEADLINE_S
    quiet = 0
    while (acts.is_alive() or quiet < 5) and time.monotonic() < deadline:
        batch = source.read(0.1)
        events += decoder.decode(batch) if batch else []
        quiet = 0 if acts.is_alive() else quiet + 1
    acts.join()
    assert status == [7]
    assert not decoder.rejected
    return events
