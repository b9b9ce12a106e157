"""Egress by name: the profile holds whom a program meant, not where it happened to be."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from agent.events import EventType, FileId, Head, Socket, SocketOp
from agent.learn.behaviour import behaviours_of, is_behaviour


def udp(world, port: int, op: SocketOp = SocketOp.SEND, protocol: int = 17) -> Socket:
    head: Head = world.head(EventType.SOCKET, world.process())
    peer = ip_address("10.0.0.9")
    return Socket(head, FileId(5, 1, 0), op, 2, 2, protocol, ip_address("10.0.0.1"), 40000, peer, port, 0, "")


def test_a_name_is_one_member_whatever_its_address(world):
    """Two addresses of one name: one member; without a name, the address."""
    first, second = (replace(world.connect(a, 443), peer_name="api.example.com") for a in ("10.1.0.1", "2001:db8::1"))
    assert behaviours_of(first)[0].member == behaviours_of(second)[0].member == "/bin/httpd → tcp api.example.com:443"
    assert behaviours_of(world.connect("10.1.0.1", 443))[0].member == "/bin/httpd → tcp 10.1.0.1:443"


def test_a_name_does_not_hide_what_the_address_touches(world):
    """The metadata service stays what it is under any name."""
    plain = world.connect("169.254.169.254", 80)
    assert (
        behaviours_of(replace(plain, peer_name="api.example.com"))[0].touches == behaviours_of(plain)[0].touches != ()
    )


@pytest.mark.parametrize(("port", "shown"), [(53, "53"), (32767, "32767"), (32768, "*"), (60000, "*")])
def test_udp_peers_are_egress(world, port, shown):
    """Ports that clients choose at random are one, as in the kernel's filter."""
    (found,) = behaviours_of(world.identified(udp(world, port), world.process()))
    assert (found.kind, found.member) == ("egress", f"/bin/httpd → udp 10.0.0.9:{shown}")


def test_other_socket_events_are_no_egress(world):
    """A bind, and a refused TCP connection, whose attempt was an event of its own."""
    (bound,) = behaviours_of(world.identified(udp(world, 0, SocketOp.BIND), world.process()))
    assert bound.kind == "listen"
    assert not is_behaviour(udp(world, 80, SocketOp.CONNECT, 6))
