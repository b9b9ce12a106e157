"""A bridge of the demo's own: pods are on it, the host is its gateway, nothing leaves it."""

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.demo.errors import DemoError

BRIDGE = "vedette-demo"
_CANDIDATES = tuple(ipaddress.IPv4Network(f"10.{n}.77.0/24") for n in (213, 217, 221, 229, 233))
# The intruder's server has an address of the ranges reserved for documentation (RFC 5737).
_OUTSIDE = tuple(
    ipaddress.IPv4Network(f"{net}.{a}/32") for net in ("198.51.100", "203.0.113", "192.0.2") for a in (66, 67, 68)
)


@dataclass(frozen=True, slots=True)
class Network:
    """The bridge's subnet, the host's address on it, and the address that plays the outside world."""

    subnet: str
    gateway: str
    outside: str


def create() -> Network:
    """Make the bridge on a subnet no route of this machine touches.

    Raises: DemoError if there is none, or `ip` refuses.
    """
    subnet, outside = _free(_CANDIDATES), _free(_OUTSIDE)
    gateway = str(subnet[1])
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{gateway}/{subnet.prefixlen}", "dev", BRIDGE)
    _ip("addr", "add", str(outside), "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    return Network(str(subnet), gateway, str(outside[0]))


def remove() -> None:
    """Remove the bridge; nothing happens if it is not there."""
    if Path("/sys/class/net", BRIDGE).exists():
        _ip("link", "del", BRIDGE)


def write_cni(directory: Path, network: Network, state: Path) -> None:
    """Write the network configuration containerd gives to the CNI plugins.

    The bridge is ready made and `isGateway` off, so no plugin turns on forwarding for the whole machine: pods reach
    each other and this host, nothing beyond.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ranges = [[{"subnet": network.subnet, "gateway": network.gateway}]]
    ipam = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}], "dataDir": str(state)}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": False, "ipMasq": False, "ipam": ipam}
    conflist = {"cniVersion": "0.4.0", "name": BRIDGE, "plugins": [bridge]}
    (directory / "10-demo.conflist").write_text(json.dumps(conflist))


def _free(candidates: tuple[ipaddress.IPv4Network, ...]) -> ipaddress.IPv4Network:
    routes = [_network(r["dst"]) for r in json.loads(_ip("-j", "-4", "route", "show", "table", "all") or "[]")]
    for candidate in candidates:
        if not any(candidate.overlaps(route) for route in routes if route is not None):
            return candidate
    raise DemoError(f"no free subnet: routes of this machine cover {', '.join(map(str, candidates))}")


def _network(destination: str) -> ipaddress.IPv4Network | None:
    """A route's destination; None for the default route."""
    return None if destination == "default" else ipaddress.IPv4Network(destination, strict=False)


def _ip(*arguments: str) -> str:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise DemoError("the program ip is not on this machine: install the package iproute2") from e
    if done.returncode:
        raise DemoError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout
