"""Connections made and taken, and listeners, as behaviours."""

from collections.abc import Mapping
from functools import partial

from agent.events import Connection, EventType, Socket, SocketOp
from agent.learn.actor import Behaviour, actor_of
from agent.workload import Identified
from detection.baseline.deeds import raw_touches, socket_touches
from detection.baseline.peers import (
    address_text,
    egress_member,
    ingress_member,
    listen_member,
    network_of,
    protocol_name,
)
from detection.baseline.priors import ingress_touches, listen_touches, peer_touches
from detection.baseline.templates import deed_member, file_path

EGRESS, INGRESS, LISTEN, CALL = "egress", "ingress", "listen", "call"
_TALKS = (SocketOp.CONNECT, SocketOp.SEND)
_AF_UNIX, _AF_PACKET = 1, 17
_TCP, _UDP = 6, 17
_STREAMS = (1, 5)  # SOCK_STREAM, SOCK_SEQPACKET
_TYPE = 0xF
EPHEMERAL_PORT = 32768  # bpf/include/sockets.h: from here on the kernel takes all UDP ports for one


def connected(identified: Identified, event: Connection, homes: Mapping[str, str]) -> Behaviour:
    """A TCP connection attempted, or taken. `homes`: which workload has an address."""
    if event.head.type == EventType.CONNECT:
        return _egress(identified, event, event.peer_port)
    actor, name = actor_of(identified.process), homes.get(address_text(event.peer)) or network_of(event.peer)
    port = _lasting(event.local_port)
    member = ingress_member(actor, event.protocol, port, name)
    weigh = partial(ingress_touches, event.peer, event.local_port)
    return Behaviour(INGRESS, member, f"{actor} never took a connection to port {port or 'any'} from {name}", weigh)


def is_socket_behaviour(event: Socket) -> bool:
    """A UDP or unix peer talked to, a listener, a socket for raw packets."""
    if event.op is SocketOp.CREATE:
        return True
    if event.family == _AF_UNIX:
        return event.op is SocketOp.LISTEN or event.op in _TALKS
    if event.op in _TALKS:
        return event.protocol == _UDP and event.peer is not None
    return event.op is SocketOp.LISTEN or (event.op is SocketOp.BIND and event.protocol == _UDP)


def socket_used(identified: Identified, event: Socket) -> Behaviour:
    """What `is_socket_behaviour` lets through."""
    if event.op is SocketOp.CREATE:
        return _raw(identified, event)
    if event.op in _TALKS:
        return _unix(identified, event) if event.family == _AF_UNIX else _egress(identified, event, event.peer_port)
    return _listen(identified, event)


def _egress(identified: Identified, event: Connection | Socket, port: int) -> Behaviour:
    assert event.peer is not None
    actor = actor_of(identified.process)
    shown = _lasting(port) if event.protocol == _UDP else port
    member = egress_member(actor, event.protocol, event.peer, shown, identified.peer_name)
    target = member.rpartition(" → ")[2]
    return Behaviour(EGRESS, member, f"{actor} never connected to {target}", partial(peer_touches, event.peer, port))


def _unix(identified: Identified, event: Socket) -> Behaviour:
    actor, path = actor_of(identified.process), _socket_path(event)
    member = deed_member(actor, f"unix {path}")
    return Behaviour(EGRESS, member, f"{actor} never connected to {path}", partial(socket_touches, event.name))


def _listen(identified: Identified, event: Socket) -> Behaviour:
    actor = actor_of(identified.process)
    if event.family == _AF_UNIX:
        path = _socket_path(event)
        return Behaviour(LISTEN, deed_member(actor, f"unix {path}"), f"{actor} never listened on {path}")
    protocol, port = protocol_name(event.protocol), _lasting(event.local_port)
    address = address_text(event.local) if event.local is not None else "*"
    member = listen_member(actor, protocol, address, port)
    target = member.rpartition(" → ")[2]
    return Behaviour(LISTEN, member, f"{actor} never listened on {target}", partial(listen_touches, event.local, port))


def _raw(identified: Identified, event: Socket) -> Behaviour:
    actor = actor_of(identified.process)
    if event.family == _AF_PACKET:
        kind, deed = "packet", f"packet socket 0x{event.protocol:04x}"
    else:
        kind, deed = "raw", f"raw socket {protocol_name(event.protocol)}"
    deed += "" if event.result >= 0 else " (refused)"
    return Behaviour(CALL, deed_member(actor, deed), f"{actor} never opened a {deed}", partial(raw_touches, kind))


def _socket_path(event: Socket) -> str:
    return file_path(event.name) if event.name else "(unnamed)"


def _lasting(port: int) -> int:
    return port if port < EPHEMERAL_PORT else 0
