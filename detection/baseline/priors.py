"""What a behaviour touches, and how much that alone says: fixed weights in decades of probability.

A weight of 1 means: among behaviours a workload has never shown, ones that touch this are ten times more likely to
come from an intruder than others are. The weights are judgement, not measurement; they are few, in one place, and
every use of one is printed as a reason.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from detection.baseline.templates import SHELLS, basename

OUTSIDE = "outside"  # parent marker: the process, or its tree, entered the container from outside


class Touch(NamedTuple):
    """One thing a behaviour touches: its weight in decades, and a sentence fragment ("/bin/sh is a shell")."""

    weight: float
    reason: str


_PROGRAMS: tuple[tuple[float, str, frozenset[str]], ...] = (
    (1.5, "a shell", SHELLS),
    (1.5, "a package manager", frozenset(
        {"apt", "apt-get", "dpkg", "apk", "yum", "dnf", "rpm", "zypper", "pip", "pip3", "npm", "gem", "snap"})),
    (1.0, "a network tool", frozenset(
        {"nc", "ncat", "netcat", "socat", "curl", "wget", "ssh", "scp", "sftp", "ftp", "tftp", "telnet", "nmap", "dig",
         "nslookup", "tcpdump", "masscan", "rsync"})),
    (1.2, "an administration tool", frozenset(
        {"kubectl", "crictl", "ctr", "docker", "podman", "nsenter", "unshare", "chroot", "mount", "insmod", "modprobe",
         "iptables", "nft", "capsh", "setcap", "crontab", "useradd", "usermod", "passwd", "su", "sudo", "chattr"})),
    (0.6, "a tool for looking around", frozenset(
        {"id", "whoami", "uname", "hostname", "ps", "netstat", "ss", "ip", "ifconfig", "arp", "env", "printenv", "find",
         "getent", "w", "who", "last", "lsof", "route"})),
    (0.8, "a compiler or debugger", frozenset({"gcc", "cc", "g++", "make", "ld", "gdb", "strace", "go", "rustc"})),
)  # fmt: skip
_PROGRAM_TOUCH = {name: (weight, what) for weight, what, names in _PROGRAMS for name in names}
_INTERPRETER = re.compile(r"^(python|perl|ruby|node|php|lua|tclsh|awk|gawk)[0-9.]*$")
_VOLATILE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/var/run/", "/proc/")  # noqa: S108 - names, not used

_WRITES: tuple[tuple[float, str, tuple[str, ...]], ...] = (
    (2.0, "decides what every program loads", ("/etc/ld.so.preload", "/etc/ld.so.conf")),
    (2.0, "holds accounts or their rights", (
        "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/pam.d/")),
    (2.0, "runs things on a schedule or at start", (
        "/etc/cron", "/var/spool/cron/", "/etc/systemd/", "/etc/init.d/", "/etc/rc", "/etc/profile",
        "/usr/lib/systemd/")),
    (2.0, "reaches the kernel or the host", ("/proc/sys/", "/sys/", "/lib/modules/", "/boot/")),
    (1.5, "is a directory of programs or libraries", (
        "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/lib", "/usr/lib")),
    (1.0, "is system configuration", ("/etc/",)),
)  # fmt: skip
_WRITE_PARTS = (
    (2.0, "lets someone log in", ("/.ssh/",)),
    (1.5, "holds credentials", ("/.aws/", "/.kube/", "/.docker/", "/secrets/kubernetes.io/", "/.git-credentials")),
    (1.5, "is read by every new shell", ("/.bashrc", "/.profile", "/.bash_profile", "/.zshrc")),
)
_READS: tuple[tuple[float, str, tuple[str, ...]], ...] = (
    (2.0, "holds password hashes", ("/etc/shadow", "/etc/gshadow", "/etc/security/opasswd")),
    (1.8, "holds keys of the host or the cluster", (
        "/etc/ssh/ssh_host_", "/etc/kubernetes/", "/var/lib/kubelet/pki/", "/etc/krb5.keytab", "/etc/ssl/private/")),
    (1.5, "is memory of the kernel or of a process", ("/proc/kcore", "/dev/mem", "/dev/kmem", "/proc/kallsyms")),
    (0.5, "tells who may do what here", ("/etc/sudoers", "/etc/pam.d/", "/etc/security/")),
)  # fmt: skip
_READ_PARTS = (
    (1.8, "holds private keys", ("/.ssh/id_", "/.gnupg/private", "/.ssh/identity")),
    (1.5, "holds credentials", (
        "/.aws/credentials", "/.kube/config", "/.docker/config.json", "/.config/gcloud/", "/.azure/", "/.netrc",
        "/.git-credentials", "/.pgpass", "/.my.cnf", "/.npmrc", "/.pypirc", "/.vault-token",
        "/kubernetes.io/serviceaccount/token", "/secrets/eks.amazonaws.com/", "/var/lib/kubelet/pods/")),
    (1.0, "lies among another one's keys", ("/.ssh/", "/.gnupg/")),
    (1.0, "tells what a person typed", ("/.bash_history", "/.psql_history", "/.mysql_history", "/.zsh_history")),
)  # fmt: skip
_PROCESS_READ = re.compile(r"^/proc/(?:<pid>|\d+)/(environ|mem|maps|cmdline)$")
_PROCESS_READS = {"mem": 1.8, "environ": 1.3, "maps": 0.8, "cmdline": 0.3}
_BACKDOOR_PORTS = frozenset({1337, 4444, 5555, 6666, 6667, 9001, 12345, 31337})
_METADATA = frozenset(
    {ip_address(a) for a in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254")}
)
# RFC 5737 and RFC 3849: who uses one of these means some public address.
_EXAMPLES = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))
_MANAGEMENT_PORTS = {
    22: "SSH", 23: "Telnet", 445: "SMB", 2375: "the Docker API", 2376: "the Docker API", 2379: "etcd", 3389: "RDP",
    5985: "WinRM", 6443: "the Kubernetes API", 8443: "an API server", 10250: "the kubelet",
}  # fmt: skip


def program_touches(name: str) -> tuple[Touch, ...]:
    """What kind of program this is. `name` as `templates.program` gives it."""
    if name == "memfd:*":
        return (Touch(2.0, "the program has never been a file"),)
    touches = []
    if name.startswith(_VOLATILE):
        touches.append(Touch(1.5, f"{name} lies where programs do not belong"))
    bare = basename(name)
    weight, what = _PROGRAM_TOUCH.get(bare, (0.6, "an interpreter") if _INTERPRETER.match(bare) else (0.0, ""))
    if weight:
        touches.append(Touch(weight, f"{name} is {what}"))
    return tuple(touches)


def path_touches(path: str) -> tuple[Touch, ...]:
    """What writing to this path reaches."""
    return _of_path(path, _WRITES, _WRITE_PARTS)


def read_touches(path: str) -> tuple[Touch, ...]:
    """What reading this file tells. `path` may be a template; public halves of keys tell nothing."""
    if path.endswith(".pub"):
        return ()
    process = _PROCESS_READ.match(path)
    if process:
        return (Touch(_PROCESS_READS[process[1]], f"{path} shows another process's {process[1]}"),)
    return _of_path(path, _READS, _READ_PARTS)


_Weights = tuple[tuple[float, str, tuple[str, ...]], ...]


def _of_path(path: str, starts: _Weights, parts: _Weights) -> tuple[Touch, ...]:
    for weight, what, prefixes in starts:
        if path.startswith(prefixes):
            return (Touch(weight, f"{path} {what}"),)
    for weight, what, inside in parts:
        if any(part in path for part in inside):
            return (Touch(weight, f"{path} {what}"),)
    return ()


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global or any(address in network for network in _EXAMPLES)


def peer_touches(peer: IPv4Address | IPv6Address, port: int) -> tuple[Touch, ...]:
    """What connecting there reaches."""
    touches = []
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    address = mapped or peer
    if address in _METADATA:
        touches.append(Touch(2.0, f"{address} serves the cloud's instance credentials"))
    elif _is_public(address):
        touches.append(Touch(1.0, f"{address} is a public address"))
    elif not address.is_loopback:
        touches.append(Touch(0.3, f"{address} is another machine or container"))
    if port in _MANAGEMENT_PORTS:
        touches.append(Touch(0.7, f"port {port} is {_MANAGEMENT_PORTS[port]}"))
    return tuple(touches)


def listen_touches(address: IPv4Address | IPv6Address | None, port: int) -> tuple[Touch, ...]:
    """What listening there opens. `address` None: a socket of this machine only; port 0: one the kernel chose."""
    if address is None or address.is_loopback:
        return ()
    touches = [Touch(0.8, "a new way into this workload is open")]
    if port in _BACKDOOR_PORTS:
        touches.append(Touch(1.0, f"port {port} is used by many backdoors"))
    elif port in _MANAGEMENT_PORTS:
        touches.append(Touch(0.7, f"port {port} is {_MANAGEMENT_PORTS[port]}"))
    return tuple(touches)


def ingress_touches(peer: IPv4Address | IPv6Address, port: int) -> tuple[Touch, ...]:
    """What being reached from there, on this port, means."""
    touches = []
    address = (peer.ipv4_mapped if isinstance(peer, IPv6Address) else None) or peer
    if _is_public(address):
        touches.append(Touch(0.7, f"{address} is a public address"))
    if port in _MANAGEMENT_PORTS:
        touches.append(Touch(0.7, f"port {port} is {_MANAGEMENT_PORTS[port]}"))
    return tuple(touches)
