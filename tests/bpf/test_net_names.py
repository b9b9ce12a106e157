"""DNS as it is really spoken in a container: questions, answers, and the names later connections get."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from agent.events import Connection, Dns, Socket, SocketOp
from agent.identify.identify import Identifier

pytestmark = [pytest.mark.bpf, pytest.mark.container]

A, AAAA = 1, 28
ANSWERS = {A: "127.1.2.3", AAAA: "::1"}


@pytest.fixture(scope="session")
def net(tmp_path_factory) -> Path:
    """The compiled socket program (tests/bpf/net.c), static."""
    target = tmp_path_factory.mktemp("net") / "net"
    subprocess.run(["clang", "-O2", "-w", "-static", "-o", target, Path(__file__).with_name("net.c")], check=True)
    return target


@pytest.fixture
def serve(container) -> Iterator[Callable[[str, int], None]]:
    """Start a name server in the container's network namespace."""
    servers: list[subprocess.Popen[str]] = []
    state = container._directory / "state" / container.name / "state.json"
    pid = json.loads(state.read_text())["init_process_pid"]
    (container.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")

    def start(address: str, times: int) -> None:
        script = Path(__file__).with_name("dns_server.py")
        command = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, str(script), address, str(times)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        servers.append(server)
        assert server.stdout.readline() == "ready\n"

    yield start
    for server in servers:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture
def visit(container, net) -> Callable[[str, str], int]:
    """Look a name up by getaddrinfo and connect there; the exit status."""
    shutil.copy(net, container.root / "bin/net")
    return lambda name, port: container.run("/bin/net", "visit", name, port)


def asked(sensor, container, name: str) -> list[Dns]:
    """The messages of a container about one name."""
    return sensor.of(Dns, lambda e: e.question == name and e.head.task.cgroup_id == container.cgroup_id)


@pytest.mark.parametrize("server", ["127.0.0.1", "::1"])
def test_nslookup_writes_and_reads(sensor, container, serve, server):
    """busybox nslookup uses write and read on a connected socket: question and answer are seen all the same."""
    serve(server, 1)
    assert container.run("/bin/busybox", "nslookup", "-type=a", "one.example.test", server) == 0
    question, answer = asked(sensor, container, "one.example.test")
    assert (question.received, question.question_type, question.answers) == (False, A, ())
    assert (answer.received, answer.question_type, answer.response_code) == (True, A, 0)
    assert answer.answers == (("one.example.test", "www.one.example.test"), ("www.one.example.test", ANSWERS[A]))
    assert {(e.server, e.server_port) for e in (question, answer)} == {(ip_address(server), 53)}


def test_glibc_asks_two_at_once(sensor, container, serve, visit):
    """getaddrinfo sends both questions with one sendmmsg."""
    serve("127.0.0.1", 2)
    assert visit("two.example.test", "81") == 0
    events = asked(sensor, container, "two.example.test")
    assert sorted((e.received, e.question_type) for e in events) == [(False, A), (False, AAAA), (True, A), (True, AAAA)]
    assert {e.answers[1][1] for e in events if e.received} == set(ANSWERS.values())


@pytest.mark.parametrize("server", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_sockets_without_a_connection(sensor, container, serve, net, server):
    """musl's way: sendto or sendmsg, recvmsg. The answer is the server's that was asked; repeats are known."""
    shutil.copy(net, container.root / "bin/net")
    serve(server.removeprefix("::ffff:"), 4)
    assert container.run("/bin/net", "ask", server, "53", "4") == 0
    events = asked(sensor, container, "raw1.example.test")
    assert [e.received for e in events] == [False, True]
    assert {e.server for e in events} == {ip_address(server.removeprefix("::ffff:"))}
    [sent] = sensor.of(Socket, lambda e: e.op is SocketOp.SEND and e.head.task.cgroup_id == container.cgroup_id)
    assert (sent.peer, sent.peer_port) == (events[0].server, 53)


def test_a_connection_is_named_after_the_question(sensor, serve, visit):
    """What a program connects to carries the name it asked for, not the alias."""
    serve("127.0.0.1", 2)
    assert visit("three.example.test", "82") == 0
    identifier = Identifier("boot")
    identifier.seed()
    named = {}
    for event in sensor.drain():
        found = identifier.identify(event)
        if isinstance(event, Connection) and event.peer_port == 82:
            named[str(event.peer)] = found.peer_name
    assert named
    assert set(named) <= set(ANSWERS.values())
    assert set(named.values()) == {"three.example.test"}
