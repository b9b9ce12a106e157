"""Sockets as the kernel reports them, made in real containers."""

import errno
import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from agent.events import Connection, Socket, SocketOp
from agent.learn.links import novelty_key

pytestmark = [pytest.mark.bpf, pytest.mark.container]

AF_UNIX, AF_INET, AF_INET6, AF_PACKET = 1, 2, 10, 17
STREAM, DGRAM, RAW = 1, 2, 3
TCP, UDP, ICMP = 6, 17, 1


@pytest.fixture(scope="session")
def net(tmp_path_factory) -> Path:
    """The compiled socket program (tests/bpf/net.c), static."""
    target = tmp_path_factory.mktemp("net") / "net"
    subprocess.run(["clang", "-O2", "-w", "-static", "-o", target, Path(__file__).with_name("net.c")], check=True)
    return target


@pytest.fixture
def act(container, net, sensor):
    """Run the socket program in the container: the socket events of it, and its exit status."""
    shutil.copy(net, container.root / "bin/net")

    def run(*argv: str) -> tuple[list[Socket], int]:
        seen = len(sensor.of(Socket))
        status = container.run("/bin/net", *argv)
        events = [e for e in sensor.of(Socket)[seen:] if e.head.task.comm == "net"]
        assert all(e.head.task.cgroup_id == container.cgroup_id for e in events)
        return events, status

    return run


def told(events: list[Socket]) -> list[tuple[object, ...]]:
    """Operation, family, type, protocol, result, name of each."""
    return [(e.op, e.family, e.type, e.protocol, e.result, e.name) for e in events]


def test_raw_and_packet_sockets_are_reported_refused_ones_too(act):
    """Allowed or not; other sockets are no event."""
    events, status = act("socket", str(AF_INET), str(RAW), str(ICMP))
    assert told(events) == [(SocketOp.CREATE, AF_INET, RAW, ICMP, -status, "")]
    events, status = act("socket", str(AF_INET6), str(RAW), "58")
    assert told(events) == [(SocketOp.CREATE, AF_INET6, RAW, 58, -status, "")]
    events, status = act("socket", str(AF_PACKET), str(RAW), str(0x0300))
    assert told(events) == [(SocketOp.CREATE, AF_PACKET, RAW, 3, -status, "")]
    assert act("socket", str(AF_INET), str(DGRAM), "0") == ([], 0)
    assert act("socket", "16", str(RAW), "0") == ([], 0)


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", AF_INET), ("::1", AF_INET6)])
def test_a_listener_is_bound_and_listens(act, address, family):
    """Both steps name the address and the port."""
    events, status = act("tcp-listen", address, "8123")
    assert status == 0
    assert told(events) == [
        (SocketOp.BIND, family, STREAM, TCP, 0, ""),
        (SocketOp.LISTEN, family, STREAM, TCP, 0, ""),
    ]
    assert {(str(e.local), e.local_port) for e in events} == {(address, 8123)}


def test_a_bind_that_fails_names_what_was_asked_for(act):
    """An address that is not the machine's."""
    [event], status = act("udp-bind", "192.0.2.77", "99")
    assert (event.op, event.result, status) == (SocketOp.BIND, -errno.EADDRNOTAVAIL, errno.EADDRNOTAVAIL)
    assert (str(event.local), event.local_port) == ("192.0.2.77", 99)


@pytest.mark.parametrize("name", ["/tmp/own.sock", "@own"])
def test_unix_sockets_by_path_and_abstract(act, name):
    """bind, listen and connect carry the name; an abstract one with @ for its NUL."""
    events, status = act("unix-own", name)
    assert status == 0
    assert told(events) == [
        (op, AF_UNIX, STREAM, 0, 0, name) for op in (SocketOp.BIND, SocketOp.LISTEN, SocketOp.CONNECT)
    ]
    assert all(e.local is None and e.peer is None for e in events)


def test_a_unix_socket_nobody_serves_is_an_attempt(act, container):
    """A socket file without a listener refuses; a name that does not exist is not reported."""
    assert act("unix-own", "/tmp/dead.sock")[1] == 0
    [event], status = act("unix-connect", "/tmp/dead.sock")
    assert (event.op, event.result, event.name) == (SocketOp.CONNECT, -errno.ECONNREFUSED, "/tmp/dead.sock")
    assert status == errno.ECONNREFUSED
    assert act("unix-connect", "/tmp/absent.sock") == ([], errno.ENOENT)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("what", ["udp-connect", "udp-send"])
def test_udp_peers(act, sensor, address, what):
    """The peer is named, an IPv4-mapped one as IPv4. The second time it is known by the learner's key."""
    op = SocketOp.CONNECT if what == "udp-connect" else SocketOp.SEND
    events, status = act(what, address, "4567")
    peer = ip_address(address.removeprefix("::ffff:"))
    assert status == 0
    assert [(e.op, e.peer, e.peer_port, e.protocol, e.type) for e in events] == [(op, peer, 4567, UDP, DGRAM)]
    assert act(what, address, "4567") == ([], 0)
    assert dict(sensor.source.behaviours())[novelty_key(events[0])] == 2


def test_a_refused_tcp_connection_has_its_result(act, sensor):
    """The attempt is a connect event; that it failed a socket event."""
    [event], status = act("tcp-connect", "127.0.0.1", "9")
    assert (event.op, event.result, event.protocol) == (SocketOp.CONNECT, -errno.ECONNREFUSED, TCP)
    assert (str(event.peer), event.peer_port, status) == ("127.0.0.1", 9, errno.ECONNREFUSED)
    assert len(sensor.of(Connection, lambda e: e.peer_port == 9 and e.head.task.comm == "net")) == 1
