"""The other end of a connection as a behaviour: names without what varies, networks where nobody has a name."""

from ipaddress import IPv4Address, IPv6Address, ip_network

from detection.baseline.templates import bounded, component

_MAX_HOST = 255


def egress_member(name: str, protocol: int, peer: IPv4Address | IPv6Address, port: int, peer_name: str = "") -> str:
    """Member of the class egress: which program connects where, by name where it is known. Local ports never appear.

    Port 0 stands for all that clients choose at random.
    """
    kind = protocol_name(protocol)
    host = host_template(peer_name) if peer_name else address_text(peer)
    return bounded(f"{name} → {kind} {host}:{port or '*'}")


def protocol_name(protocol: int) -> str:
    """tcp, udp, else the number after "ip"."""
    return {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6", 132: "sctp"}.get(protocol, f"ip{protocol}")


def address_text(address: IPv4Address | IPv6Address) -> str:
    """An address as it stands before a port; an IPv4 address mapped into IPv6 as IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    plain = mapped or address
    return f"[{plain}]" if isinstance(plain, IPv6Address) else str(plain)


def address_key(text: str) -> str:
    """An address given as text, as `address_text` gives it."""
    return f"[{text}]" if ":" in text else text


def host_template(host: str) -> str:
    """A DNS name whose labels below the registered domain lost what varies: hashes, ids, addresses, dates.

    The last two labels stay: what a name belongs to is never made up.
    """
    labels = host[:_MAX_HOST].split(".")
    kept = labels[-2:]
    return ".".join([component(label) for label in labels[:-2]] + kept)


_NETWORKS = tuple(
    (ip_network(text), name)
    for text, name in (
        ("127.0.0.0/8", "loopback"), ("::1/128", "loopback"),
        ("169.254.0.0/16", "link-local"), ("fe80::/10", "link-local"),
    )
)  # fmt: skip


def network_of(peer: IPv4Address | IPv6Address) -> str:
    """Whom an address stands for where nobody knows the workload: loopback, a private network (/16), or public."""
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    address = mapped or peer
    for network, name in _NETWORKS:
        if address.version == network.version and address in network:
            return name
    if not address.is_private:
        return "public"
    return str(ip_network((address, 16 if address.version == 4 else 48), strict=False))


def ingress_member(name: str, protocol: int, port: int, peer: str) -> str:
    """Member of the class ingress: who came to which port. `peer` is a workload's key or what `network_of` gives."""
    return bounded(f"{name} → {protocol_name(protocol)} :{port or '*'} from {peer}")


def listen_member(name: str, protocol: str, address: str, port: int) -> str:
    """Member of the class listen: which program waits where. Port 0 stands for all that the kernel chooses."""
    return bounded(f"{name} → {protocol} {address}:{port or '*'}")
