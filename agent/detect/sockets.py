"""Connections and sockets as rules see them."""

from ipaddress import IPv6Address
from typing import Any, cast

from agent.detect.field import DNS, NETWORK, SOCKET, Extract, Field, Source
from agent.events import Address, Connection, Dns, EventType, Socket, SocketOp

_AF_UNIX, _AF_INET, _AF_INET6, _AF_PACKET = 1, 2, 10, 17
_FAMILIES = {_AF_UNIX: "unix", _AF_INET: "inet", _AF_INET6: "inet6", _AF_PACKET: "packet", 16: "netlink", 40: "vsock"}
_TYPES = {1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket", 10: "packet"}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
_ETH_P_ALL = 3
_TCP = 6
# Response codes and record types, RFC 1035 and its successors, as Sysmon and zone files write them.
_CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_RECORDS = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 64: "SVCB",
    65: "HTTPS", 255: "ANY",
}  # fmt: skip
_TALKS = (SocketOp.CONNECT, SocketOp.SEND)
_BOTH = (NETWORK, SOCKET)


def categories_of_socket(event: Socket) -> tuple[str, ...]:
    """The kind of event it is: who is talked to over IP is a connection, all else a socket event."""
    refused = event.protocol == _TCP  # its attempt is an event by itself, and was a connection
    return (NETWORK,) if event.op in _TALKS and event.peer is not None and not refused else (SOCKET,)


def plain(address: Address) -> str:
    """An address as text; an IPv4 address mapped into IPv6 as IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def peer_of(event: object) -> str:
    """The address of the other end as text, "" without one."""
    peer = event.peer if isinstance(event, Connection | Socket) else None
    return "" if peer is None else plain(peer)


def _net(source: Source) -> Connection | Socket:
    return cast(Connection | Socket, source.identified.event)


def _initiated(source: Source) -> bool:
    return _net(source).head.type != EventType.ACCEPT


def _ip(destination: bool) -> Extract:
    def extract(source: Source) -> str | None:
        net = _net(source)
        address = net.peer if _initiated(source) is destination else net.local
        return None if address is None else plain(address)

    return extract


def _port(destination: bool) -> Extract:
    def extract(source: Source) -> int | None:
        net = _net(source)
        if isinstance(net, Socket) and net.family not in (_AF_INET, _AF_INET6):
            return None
        return net.peer_port if _initiated(source) is destination else net.local_port

    return extract


def _protocol(source: Source) -> str:
    net = _net(source)
    if isinstance(net, Socket) and net.family == _AF_PACKET:
        return "all" if net.protocol == _ETH_P_ALL else f"0x{net.protocol:04x}"
    return _PROTOCOLS.get(net.protocol, str(net.protocol))


def _of_socket(source: Source) -> Socket:
    return cast(Socket, source.identified.event)


def _family(source: Source) -> str:
    family = _of_socket(source).family
    return _FAMILIES.get(family, str(family))


def _type(source: Source) -> str:
    kind = _of_socket(source).type & 0xF  # SOCK_CLOEXEC and SOCK_NONBLOCK stand above
    return _TYPES.get(kind, str(kind))


def _dns(source: Source) -> Dns:
    return cast(Dns, source.identified.event)


def _status(source: Source) -> str | None:
    dns = _dns(source)
    return _CODES.get(dns.response_code, str(dns.response_code)) if dns.received else None


def _shown(value: Any) -> Any:
    return value or None


SOCKET_FIELDS = (
    Field("Initiated", (NETWORK,), "boolean", "true: connect or first send, false: accept", _initiated),
    Field("Protocol", _BOTH, "text", "tcp, udp, icmp, …; of a packet socket: all, or the Ethernet type", _protocol),
    Field("SourceIp", _BOTH, "address", "the client's address; of a socket its own", _ip(destination=False)),
    Field("SourcePort", _BOTH, "integer", "the client's port; 0 not chosen yet", _port(destination=False)),
    Field("DestinationIp", (NETWORK,), "address", "the server's address", _ip(destination=True)),
    Field("DestinationPort", (NETWORK,), "integer", "the server's port", _port(destination=True)),
    Field(
        "socket.action",
        (SOCKET,),
        "text",
        "create, bind, listen, connect or send",
        lambda s: _of_socket(s).op.name.lower(),
    ),
    Field("socket.family", (SOCKET,), "text", "unix, inet, inet6, packet, …", _family),
    Field("socket.type", (SOCKET,), "text", "stream, dgram, raw, seqpacket", _type),
    Field(
        "socket.name",
        (SOCKET,),
        "path",
        "a unix socket's path; an abstract one's begins with @",
        lambda s: _shown(_of_socket(s).name),
    ),
    Field(
        "DestinationHostname",
        (NETWORK,),
        "text",
        "what the server's address was asked for as, in the same network namespace",
        lambda s: _shown(s.identified.peer_name),
    ),
    Field("QueryName", (DNS,), "text", "the name asked for, in lower case", lambda s: _dns(s).question),
    Field(
        "QueryType",
        (DNS,),
        "text",
        "A, AAAA, TXT, …",
        lambda s: _RECORDS.get(_dns(s).question_type, str(_dns(s).question_type)),
    ),
    Field("QueryStatus", (DNS,), "text", "NOERROR, NXDOMAIN, …; absent for a question", _status),
    Field(
        "QueryResults",
        (DNS,),
        "list",
        "addresses and names of the answer",
        lambda s: tuple(value for _, value in _dns(s).answers) or None,
    ),
    Field("dns.server", (DNS,), "address", "the name server asked", lambda s: plain(_dns(s).server)),
    Field("socket.succeeded", (SOCKET,), "boolean", "the call did what was asked", lambda s: _of_socket(s).result >= 0),
)
