"""What addresses are called: the names a network namespace's processes asked for before they connected.

Names are the key of egress baselines, as addresses behind them change. A name counts only where it comes from a
server the namespace is configured to ask (resolv.conf, read once, when it first asks): else a process could have a
server of its own call any address by a name its workload is known for. Where that file cannot be read, the first
servers asked are trusted.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address

from agent.events import Address, Dns
from agent.identify.host import HERE, HostFiles

NAMESPACES, ADDRESSES = 512, 1024
_SERVERS = 3  # as many as a resolver reads of resolv.conf
_LIMIT = 8192

Configured = Callable[[int], frozenset[str]]


class _Namespace:
    """The servers one namespace trusts, and the names of addresses, most recent last."""

    __slots__ = ("names", "open", "servers")

    def __init__(self, configured: frozenset[str]) -> None:
        self.servers = set(configured)
        self.open = not configured
        self.names: OrderedDict[str, str] = OrderedDict()

    def trusts(self, server: str) -> bool:
        if self.open and len(self.servers) < _SERVERS:
            self.servers.add(server)
        return server in self.servers


class Names:
    """Bounded: what was not used for longest goes. `configured` gives the servers a process's files name."""

    def __init__(self, configured: Configured) -> None:
        self._configured = configured
        self._namespaces: OrderedDict[int, _Namespace] = OrderedDict()
        self.untrusted = 0

    def learn(self, event: Dns) -> None:
        """Take the addresses of an answer; every one is called what was asked for, aliases or not."""
        task = event.head.task
        if not event.received or event.response_code or not event.question:
            return
        known = self._namespaces.get(task.net_ns) or self._make(task.net_ns, task.pid)
        if not known.trusts(str(event.server)):
            self.untrusted += 1
            return
        for _, value in event.answers:
            if _is_address(value):
                known.names[value] = event.question
                known.names.move_to_end(value)
        while len(known.names) > ADDRESSES:
            known.names.popitem(last=False)

    def of(self, net_ns: int, address: Address | None) -> str:
        """What the address was last asked for as, "" where nobody asked."""
        known = self._namespaces.get(net_ns)
        if known is None or address is None:
            return ""
        self._namespaces.move_to_end(net_ns)
        return known.names.get(str(address), "")

    def _make(self, net_ns: int, pid: int) -> _Namespace:
        made = self._namespaces[net_ns] = _Namespace(self._configured(pid))
        if len(self._namespaces) > NAMESPACES:
            self._namespaces.popitem(last=False)
        return made


def configured_servers(proc: str, pid: int, files: HostFiles = HERE) -> frozenset[str]:
    """The name servers of a process's resolv.conf; none where it is a link, no plain file, or cannot be read."""
    try:
        content = files.read(f"{proc}/{pid}/root/etc/resolv.conf", _LIMIT, regular=True)
    except (OSError, ValueError):
        return frozenset()
    lines = (line.split() for line in content.decode("ascii", "replace").splitlines())
    servers = [fields[1] for fields in lines if len(fields) > 1 and fields[0] == "nameserver"]
    return frozenset(server for server in servers[:_SERVERS] if _is_address(server))


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
