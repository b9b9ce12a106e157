"""What the polling sensor makes of a /proc: records that decode, each thing once, everything bounded."""

import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.decode.decode import Decoder
from agent.decode.strings import path as decoded_path
from agent.errors import ConfigError
from agent.events import Connection, Event, EventType, Exec, Exit, Fork
from agent.source import polling_facts as facts
from agent.source.polling import PollingSource
from agent.source.polling_records import components

STAT = b"42 (a b) (c\n) S 7 42 42 34816 -1 4194304 " + b"0 " * 12 + b"250 0 0\n"
DEADLINE_S = 15.0


def _write(root: Path, name: str, content: bytes) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)


def test_a_name_may_hold_anything(tmp_path: Path):
    """Parentheses, spaces and line ends in a process's name do not shift the fields behind it."""
    _write(tmp_path, "42/stat", STAT)
    seen = facts.look(42, str(tmp_path))
    assert seen is not None
    assert (seen.ppid, seen.comm, seen.tty) == (7, b"a b) (c\n", 136 << 20)
    assert seen.start_ns == 250 * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def test_kernel_threads_zombies_and_the_gone_are_nobody(tmp_path: Path):
    """None of them can run a program."""
    _write(tmp_path, "1/stat", STAT.replace(b"4194304", b"2097152"))
    _write(tmp_path, "2/stat", STAT.replace(b") S 7", b") Z 7"))
    assert [facts.look(pid, str(tmp_path)) for pid in (1, 2, 3)] == [None] * 3


def test_any_bytes_give_a_process_or_nothing(tmp_path: Path):
    """Fuzz: damaged files never raise."""
    rng = random.Random(3)
    for _ in range(300):
        damaged = bytearray(STAT)
        for _ in range(rng.randrange(1, 8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        _write(tmp_path, "42/stat", bytes(damaged[: rng.randrange(len(damaged) + 1)]))
        _write(tmp_path, "42/net/tcp", b"head\n" + rng.randbytes(200))
        facts.look(42, str(tmp_path))
        assert list(facts.tcp_rows(42, str(tmp_path))) == []


def test_an_ipv4_peer_of_a_dual_stack_socket_is_an_ipv4_peer(tmp_path: Path):
    """Addresses are words in the machine's order; mapped ones lose their prefix."""
    tail = " 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0\n"
    _write(tmp_path, "1/net/tcp", f"head\n   0: 0100007F:1F90 0200007F:0050{tail}".encode())
    mapped = "0000000000000000FFFF00000{}00007F"
    row = f"head\n   0: {mapped.format(1)}:1F90 {mapped.format(2)}:0050{tail}"
    _write(tmp_path, "1/net/tcp6", row.encode())
    rows = list(facts.tcp_rows(1, str(tmp_path)))
    assert len(rows) == 2
    assert (
        rows[0]
        == rows[1]
        == facts.SocketRow(77, 2, b"\x7f\0\0\x01".ljust(16, b"\0"), 8080, b"\x7f\0\0\x02".ljust(16, b"\0"), 80, 1)
    )


@pytest.mark.parametrize("path", ["/", "/bin/sh", "/a/b/c d/é"])
def test_paths_go_and_come_back(path: str):
    """Written as the kernel writes them, read as the kernel's are read."""
    assert decoded_path(components(path)) == path


def test_a_long_path_loses_its_root_and_says_so():
    """Bounded, and marked as cut."""
    raw = components("/" + "/".join(["x" * 200] * 20))
    assert len(raw) <= 1025
    assert decoded_path(raw).startswith("…/")


def test_an_interval_out_of_range_is_refused():
    """The message says what may be given."""
    with pytest.raises(ConfigError, match=r"0\.05 to 60"):
        PollingSource(interval_s=0)


@pytest.fixture
def polling() -> Iterator[PollingSource]:
    """A started sensor that watches this process, too."""
    if reason := facts.refusal_of_proc():
        pytest.skip(reason)
    source = PollingSource(interval_s=0.05, agent_pid=0)
    source.start()
    yield source
    source.stop()


def _until(source: PollingSource, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """What is seen until it is enough; a socket record without a reader yet would be rejected."""
    decoder, events = Decoder(), list[Event]()
    deadline = time.monotonic() + DEADLINE_S
    while not enough(events) and time.monotonic() < deadline:
        batch = source.read(0.2)
        events += decoder.decode(batch) if batch else []
    assert enough(events)
    return events


def test_a_process_comes_and_goes_once(polling: PollingSource):
    """One fork, one exec, one exit; the program and arguments are its own; the unknown exit code is marked."""
    child = subprocess.Popen(["/bin/sleep", "60"])
    mine = lambda events: [e for e in events if e.head.task.pid == child.pid]  # noqa: E731
    _, run = mine(_until(polling, lambda events: len(mine(events)) == 2))
    assert isinstance(run, Exec)
    assert run.argv == ("/bin/sleep", "60")
    assert run.head.task.ppid == os.getpid()
    child.kill()
    child.wait()
    [end] = mine(_until(polling, lambda events: bool(mine(events))))
    assert isinstance(end, Exit)
    assert end.head.flags


def test_a_connection_has_two_sides_and_is_told_once(polling: PollingSource):
    """Connect and accept by who listens; the same behaviour again is counted, not told."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        is_ours = lambda e: isinstance(e, Connection) and port in {e.local_port, e.peer_port}  # noqa: E731
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            events = _until(polling, lambda seen: sum(map(is_ours, seen)) == 2)
        kinds = {e.head.type: e for e in events if is_ours(e)}
        assert set(kinds) == {EventType.CONNECT, EventType.ACCEPT}
        assert kinds[EventType.CONNECT].peer_port == kinds[EventType.ACCEPT].local_port == port
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            deadline = time.monotonic() + DEADLINE_S
            while not polling.counters()["connect"]["filtered"] and time.monotonic() < deadline:
                polling.read(0.1)
        [key] = [key for key, count in polling.behaviours() if key.type == EventType.CONNECT and count == 2]
        assert polling.forget([key]) == 1


def test_records_nobody_reads_are_dropped_and_counted(polling: PollingSource, monkeypatch: pytest.MonkeyPatch):
    """What waits is bounded: after the batches already made, nothing comes, and the losses are known."""
    monkeypatch.setattr("agent.source.polling._QUEUED_BYTES", 0)
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        deadline = time.monotonic() + DEADLINE_S
        while not polling.counters()["fork"]["lost_ring"] and time.monotonic() < deadline:
            polling.read(0.1)
        child.kill()
    assert polling.counters()["fork"]["lost_ring"]
    assert polling.read(0.1) is None


def test_processes_already_there_make_no_records(polling: PollingSource):
    """The agent knows them from its own look at /proc: a record would make them new."""
    events = _until(polling, lambda _: True)
    assert not [e for e in events if isinstance(e, Fork) and e.head.task.pid == os.getppid()]
