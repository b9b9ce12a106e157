"""The containers' network: a bridge the host is on, an address that plays the world, and names for the services."""

import ipaddress
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

_CANDIDATES = tuple(ipaddress.IPv4Network(f"10.{n}.78.0/24") for n in (213, 217, 221, 229, 233))
# Of the ranges reserved for documentation, RFC 5737.
_WORLD = tuple(f"{net}.{host}" for host in range(66, 74) for net in ("198.51.100", "203.0.113", "192.0.2"))
_NETNS = Path("/run/netns")
_A, _IN = 1, 1


class Network:
    """A bridge named `name`, instead of one an earlier run left, on a subnet and with an intruder's address (`world`)
    no route of this machine touches. `gateway` is the host's address on it. Raises: StopIteration without room.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.remove()
        taken = _routes()
        self.world = next(a for a in _WORLD if not any(ipaddress.IPv4Address(a) in route for route in taken))
        self._subnet = next(c for c in _CANDIDATES if not any(c.overlaps(route) for route in taken))
        self.gateway = str(self._subnet[1])
        self._links = 0

    def address(self, number: int) -> str:
        """The container's with this number."""
        return str(self._subnet[number])

    def create(self) -> None:
        """Make the bridge."""
        ip("link", "add", self.name, "type", "bridge")
        ip("addr", "add", f"{self.gateway}/{self._subnet.prefixlen}", "dev", self.name)
        ip("addr", "add", f"{self.world}/32", "dev", self.name)
        ip("link", "set", self.name, "up")

    def remove(self) -> None:
        """Remove the bridge, if it is there."""
        if Path("/sys/class/net", self.name).exists():
            ip("link", "del", self.name)

    def connect(self, name: str, address: str) -> Path:
        """Make a network namespace with this address, the host its way out; the file that names it."""
        self._links += 1
        link = f"{self.name[:8]}-{self._links}"
        self.disconnect(name)
        ip("netns", "add", name)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", link, "master", self.name, "up")
        commands = (
            "link set lo up",
            # The same for every container with this address: nobody's table of neighbours grows stale.
            f"link set eth0 address 02:00:{':'.join(f'{int(part):02x}' for part in address.split('.'))}",
            f"addr add {address}/{self._subnet.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {self.gateway}",
        )
        subprocess.run(["ip", "-n", name, "-b", "-"], input="\n".join(commands), text=True, check=True)
        return _NETNS / name

    def disconnect(self, name: str) -> None:
        """Remove a network namespace, if it is there; its half of the cable goes with it."""
        if (_NETNS / name).exists():
            ip("netns", "del", name)


def ip(*arguments: str) -> str:
    """Run `ip`. Raises: RuntimeError with what it says."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def _routes() -> list[ipaddress.IPv4Network]:
    rows = json.loads(ip("-j", "-4", "route", "show", "table", "all") or "[]")
    return [ipaddress.IPv4Network(row["dst"], strict=False) for row in rows if row["dst"] != "default"]


class Names:
    """A name server on the gateway: A records of `look_up`, "no such name" for all else. A thread of its own."""

    def __init__(self, address: str, look_up: Callable[[str], str | None], port: int = 53) -> None:
        self._look_up = look_up
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._thread = threading.Thread(target=self._serve, name="names", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, peer = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(query), peer)
            except (OSError, ValueError, IndexError, struct.error):
                if self._socket.fileno() < 0:
                    return

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode("ascii", "replace"))
            at += 1 + size
        question = query[12 : at + 5]
        (kind,) = struct.unpack_from("!H", query, at + 1)
        address = self._look_up(".".join(labels).lower())
        record = b""
        if address and kind == _A:
            record = b"\xc0\x0c" + struct.pack("!HHIH", _A, _IN, 5, 4) + socket.inet_aton(address)
        flags = 0x8180 if address else 0x8183
        return query[:2] + struct.pack("!HHHHH", flags, 1, bool(record), 0, 0) + question + record
