"""A container's own IP addresses, from /proc/PID/net of one of its processes.

Formats: net/ipv4/fib_trie.c (fib_trie_seq_show), net/ipv6/addrconf.c (if6_seq_show).
"""

import re
from ipaddress import IPv6Address

from agent.identify.host import HERE, HostFiles

_LIMIT = 256 << 10
_MOST = 16
_KTHREADD = 2
_LOCAL = re.compile(rb"\|-- (\d{1,3}(?:\.\d{1,3}){3})\n\s+/32 host LOCAL")
_SCOPE_GLOBAL = b"00"


def namespace(proc: str, pid: int, kind: str, files: HostFiles = HERE) -> int:
    """The inode number of one of a process's namespaces, 0 when it cannot be read."""
    try:
        return files.inode(f"{proc}/{pid}/ns/{kind}", follow=True)
    except OSError:
        return 0


def host_namespace(proc: str, kind: str, files: HostFiles = HERE) -> int:
    """The inode number of the host's own namespace, 0 when it cannot be told.

    It is that of the first process; where this may not be read (a hardened init), of the kernel's own threads, which
    all live in the initial namespaces.
    """
    found = namespace(proc, 1, kind, files)
    if found:
        return found
    hidden = _read(f"{proc}/{_KTHREADD}/comm", files) == b"kthreadd\n"
    return namespace(proc, _KTHREADD, kind, files) if hidden else 0


def addresses_of(proc: str, pid: int, files: HostFiles = HERE) -> tuple[str, ...]:
    """IPv4 then IPv6 addresses others can reach this process's network namespace at; () when there are none yet.

    Loopback and link-local addresses are left out. At most 16.
    """
    v4 = [address.decode() for address in _LOCAL.findall(_read(f"{proc}/{pid}/net/fib_trie", files))]
    found = [a for a in dict.fromkeys(v4) if not a.startswith(("127.", "169.254."))]
    for line in _read(f"{proc}/{pid}/net/if_inet6", files).splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[3] == _SCOPE_GLOBAL and (address := _ipv6(fields[0])):
            found.append(address)
    return tuple(found[:_MOST])


def _ipv6(digits: bytes) -> str:
    try:
        return str(IPv6Address(bytes.fromhex(digits.decode("ascii"))))
    except ValueError:
        return ""


def _read(path: str, files: HostFiles) -> bytes:
    try:
        return files.read(path, _LIMIT)
    except OSError:
        return b""
