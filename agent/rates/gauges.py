"""Counters the kernel keeps of a container anyway: CPU and disk of its cgroup, traffic of its network namespace.

Formats: Documentation/admin-guide/cgroup-v2.rst (cpu.stat, io.stat), cgroup-v1/cpuacct.rst and blkio-controller.rst,
net/core/net-procfs.c (dev), net/ipv4/proc.c (snmp).
"""

from collections.abc import Iterator
from typing import NamedTuple

from agent.identify.addresses import namespace
from agent.identify.host import HERE, HostFiles
from agent.identify.paths import Paths

_LIMIT = 256 << 10
_USEC = 1e-6
_NSEC = 1e-9


class Places(NamedTuple):
    """Where a container's cgroups are, looked up once: files, "" where there is none."""

    cpu: str
    io: str
    cpu_v2: bool
    io_v2: bool


class Reading(NamedTuple):
    """Counters since the container's start, None where they cannot be had. CPU in seconds, traffic in bytes.

    `net_ns` 0: there is no network of its own, or it cannot be told.
    """

    net_ns: int
    cpu: float | None
    disk_read: int | None
    disk_written: int | None
    bytes_in: int | None
    bytes_out: int | None
    connect_failures: int | None


class Gauges:
    """Reads them: about five small files a container, some 0.2 ms. Never blocks."""

    def __init__(self, paths: Paths, host_net: int, files: HostFiles = HERE) -> None:
        self._proc, self._cgroup, self._files = paths.proc, paths.cgroup, files
        self._host_net = host_net

    def places(self, pid: int) -> Places:
        """The files of the cgroups a process is in: v2 where the file is there, else v1's controller."""
        by_controller = dict(self._cgroups(pid))
        unified = by_controller.get("")
        roots = [f"{self._cgroup}{suffix}{unified}" for suffix in ("", "/unified")] if unified is not None else []
        cpu = next((f"{root}/cpu.stat" for root in roots if self._read(f"{root}/cpu.stat")), "")
        # io.stat is empty until something is read or written; the controller's list says whether it is counted.
        io = next((f"{root}/io.stat" for root in roots if "io" in self._read(f"{root}/cgroup.controllers").split()), "")
        old_cpu = f"{self._cgroup}/cpuacct{by_controller.get('cpuacct', '')}/cpuacct.usage"
        old_io = f"{self._cgroup}/blkio{by_controller.get('blkio', '')}/blkio.throttle.io_service_bytes_recursive"
        return Places(
            cpu or (old_cpu if "cpuacct" in by_controller else ""),
            io or (old_io if "blkio" in by_controller else ""),
            bool(cpu),
            bool(io),
        )

    def read(self, pid: int, places: Places) -> Reading:
        """All counters of the container whose first process this is."""
        net_ns = namespace(self._proc, pid, "net", self._files)
        own = net_ns not in (0, self._host_net)
        received, sent = self._traffic(pid) if own else (None, None)
        failures = self._connect_failures(pid) if own else None
        return Reading(net_ns if own else 0, self._cpu(places), *self._disk(places), received, sent, failures)

    def _cgroups(self, pid: int) -> Iterator[tuple[str, str]]:
        for line in self._read(f"{self._proc}/{pid}/cgroup").splitlines():
            _, _, rest = line.partition(":")
            names, _, path = rest.partition(":")
            if path.startswith("/") and "/../" not in f"{path}/":
                yield from ((name, path if path != "/" else "") for name in names.split(","))

    def _cpu(self, places: Places) -> float | None:
        text = self._read(places.cpu) if places.cpu else ""
        if not places.cpu_v2:
            return _number(text) * _NSEC if text else None
        return next((_number(line[11:]) * _USEC for line in text.splitlines() if line.startswith("usage_usec ")), None)

    def _disk(self, places: Places) -> tuple[int | None, int | None]:
        """(read, written), summed over devices. What goes through the page cache is written later, by the kernel."""
        if not places.io:
            return None, None
        read = written = 0
        for line in self._read(places.io).splitlines():
            fields = line.split()
            if places.io_v2:
                values = dict(field.split("=", 1) for field in fields[1:] if "=" in field)
                read, written = read + _number(values.get("rbytes", "")), written + _number(values.get("wbytes", ""))
            elif len(fields) == 3:
                read += _number(fields[2]) if fields[1] == "Read" else 0
                written += _number(fields[2]) if fields[1] == "Write" else 0
        return read, written

    def _traffic(self, pid: int) -> tuple[int | None, int | None]:
        """(received, sent) by all interfaces but loopback."""
        text = self._read(f"{self._proc}/{pid}/net/dev")
        if not text:
            return None, None
        received = sent = 0
        for line in text.splitlines()[2:]:
            name, _, rest = line.partition(":")
            fields = rest.split()
            if name.strip() != "lo" and len(fields) >= 9:
                received, sent = received + _number(fields[0]), sent + _number(fields[8])
        return received, sent

    def _connect_failures(self, pid: int) -> int | None:
        """TCP connections that were refused or never answered, in and out."""
        rows = [line.split() for line in self._read(f"{self._proc}/{pid}/net/snmp").splitlines()]
        tcp = [row for row in rows if row and row[0] == "Tcp:"]
        if len(tcp) != 2:
            return None
        return next((_number(n) for name, n in zip(*tcp, strict=False) if name == "AttemptFails"), None)

    def _read(self, path: str) -> str:
        try:
            return self._files.read(path, _LIMIT).decode("ascii", "replace")
        except (OSError, ValueError):
            return ""


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
