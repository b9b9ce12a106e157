"""What this machine lets the sensor see: each fact with what follows where it is missing. Works without root."""

import os
import platform
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from agent.errors import SourceError
from agent.source.bcc_load import missing_python
from agent.source.bcc_source import SOURCES
from agent.source.headers import check_headers
from agent.source.hooks import Hooks, can_use_lsm, find_security, way_of
from agent.source.libbpf import LIBRARY, KernelTypes, LibBpf
from agent.source.polling_facts import refusal_of_proc
from agent.source.port import ProbeState
from agent.source.programs import PROGRAMS, find_tracefs, missing_for
from agent.source.trials import Answer, can_attach_fentry, has_map_type, has_program_type

_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39
_TRACEPOINT, _RINGBUF, _TASK_STORAGE = 5, 27, 29  # enum bpf_prog_type, enum bpf_map_type
_OLDEST = (5, 8)  # first kernel with a BPF ring buffer
_RUNTIMES = {
    "containerd": ("/run/containerd/containerd.sock",),
    "CRI-O": ("/run/crio/crio.sock",),
    "Docker": ("/run/docker.sock", "/var/run/docker.sock"),
    "Podman": ("/run/podman/podman.sock", "/usr/bin/podman"),
    "runc": ("/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"),
}


# What no program of this version watches, on any machine (docs/adr/0004-hooks.md).
BLIND_SPOTS = (
    "of io_uring and 32-bit calls: datagrams, extended attributes, lengths, privileged calls (but that a process sets"
    " io_uring up); what else goes unseen of them on this machine, the programs above say",
    "reads and writes of files that are open already",
    "what is said on a connection, DNS over UDP apart: no TLS names, no DNS over TCP, TLS or HTTPS",
    "sockets of other families than IPv4, IPv6, unix and packet (netlink, vsock, …)",
)


class Capability(NamedTuple):
    """One fact. `consequence` says what follows from a "no" or "unknown", "" where nothing does."""

    name: str
    answer: Answer
    detail: str
    consequence: str = ""


class Loader(NamedTuple):
    """One way to load the sensor: whether it can be used here, and why (not)."""

    name: str
    usable: bool
    reason: str


class Report(NamedTuple):
    """Everything `vedette probe` says. `loader` is the one this machine gets, "none" without any."""

    capabilities: tuple[Capability, ...]
    programs: tuple[ProbeState, ...]
    loaders: tuple[Loader, ...]
    loader: str
    blind_spots: tuple[str, ...] = BLIND_SPOTS


def examine(directory: Path = LIBRARY) -> Report:
    """Look at this machine. Loads and at once unloads tiny programs where it may; changes nothing else but mounting
    tracefs, which the sensor needs. Never raises for what a machine lacks.
    """
    lib = _library(directory)
    facts = [*_needs(directory, lib), *_tried(lib), _kprobes(), _tracefs(lib), _cgroups(), _runtimes()]
    loaders = tuple(ask(directory) for ask in _ASK.values())
    chosen = next((loader.name for loader in loaders if loader.usable), "none")
    return Report(tuple(facts), _programs(lib), loaders, chosen)


def _needs(directory: Path, lib: LibBpf | str) -> list[Capability]:
    """What the CO-RE sensor cannot do without."""
    return [_kernel(), _privileges(), _btf(), _objects(directory, lib)]


def _library(directory: Path) -> LibBpf | str:
    try:
        return LibBpf(directory)
    except SourceError as error:
        return str(error)


def _co_re(directory: Path) -> Loader:
    lacking = [fact.name for fact in _needs(directory, _library(directory)) if fact.answer != "yes"]
    if lacking:
        return Loader("CO-RE", False, f"lacks: {', '.join(lacking)}")
    return Loader("CO-RE", True, "programs compiled at build time, fitted to this kernel by its BTF")


def _bcc(directory: Path) -> Loader:
    facts = (_kernel(), _privileges(), _objects(directory, _library(directory), SOURCES))
    lacking = [fact.name for fact in facts if fact.answer != "yes"]
    if lacking:
        return Loader("bcc", False, f"lacks: {', '.join(lacking)}")
    try:
        headers = check_headers()
    except SourceError as error:
        return Loader("bcc", False, str(error))
    missing = missing_python()
    return Loader("bcc", not missing, missing or f"the same programs, compiled at start against {headers}")


def _polling(_: Path) -> Loader:
    refusal = refusal_of_proc()
    return Loader("polling", not refusal, refusal or "looks at /proc every second; sees far less (docs/sensors.md)")


_ASK: Mapping[str, Callable[[Path], Loader]] = MappingProxyType({"CO-RE": _co_re, "bcc": _bcc, "polling": _polling})
# In order of preference. Asking costs milliseconds; bcc's, a third of a second.
LOADERS: Mapping[str, Callable[[], Loader]] = MappingProxyType(
    {name: partial(ask, LIBRARY) for name, ask in _ASK.items()}
)


def _kernel() -> Capability:
    release = platform.release()
    numbers = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if numbers >= _OLDEST:
        return Capability("kernel", "yes", f"Linux {release} on {platform.machine()}")
    return Capability("kernel", "no", f"Linux {release}", "eBPF sensors need Linux 5.8 or newer: only polling is left")


def _privileges() -> Capability:
    line = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    held = int(line[1], 16) if line else 0
    if held >> _CAP_SYS_ADMIN & 1 or (held >> _CAP_BPF & 1 and held >> _CAP_PERFMON & 1):
        return Capability("privileges", "yes", f"user {os.geteuid()}, may load programs")
    text = "eBPF sensors cannot load; run as root, or with CAP_SYS_ADMIN, or with CAP_BPF and CAP_PERFMON"
    return Capability("privileges", "no", f"user {os.geteuid()}, may not load programs", text)


def _btf() -> Capability:
    path = Path("/sys/kernel/btf/vmlinux")
    if path.exists():
        return Capability("BTF", "yes", str(path))
    text = (
        "programs cannot be fitted to this kernel (it was built without CONFIG_DEBUG_INFO_BTF):"
        " the bcc sensor is needed, or polling"
    )
    return Capability("BTF", "no", "not exported by the kernel", text)


def _objects(directory: Path, lib: LibBpf | str, *more: str) -> Capability:
    if isinstance(lib, str):
        return Capability("sensor files", "no", lib, "the sensor cannot load")
    absent = [name for name in ("vedette.bpf.o", "vedette-helpers.bpf.o", *more) if not _exists(str(directory / name))]
    if absent:
        return Capability(
            "sensor files",
            "no",
            f"{', '.join(absent)} not built, or not readable by this user",
            "the sensor cannot load: `make build`",
        )
    return Capability("sensor files", "yes", str(directory))


def _tried(lib: LibBpf | str) -> list[Capability]:
    """What only an attempt can tell."""
    trials: tuple[tuple[str, Callable[[LibBpf], tuple[Answer, str]], str], ...] = (
        ("ring buffer", lambda b: has_map_type(b, _RINGBUF), "records cannot leave the kernel: only polling is left"),
        (
            "tracepoints",
            lambda b: has_program_type(b, _TRACEPOINT),
            "files, accepted connections and privileged calls go unseen",
        ),
        ("BPF LSM", can_use_lsm, "fentry does its work where it is allowed, and cannot deny"),
        ("fentry", can_attach_fentry, "without BPF LSM, too: see the programs below that need a security hook"),
        ("task storage", lambda b: has_map_type(b, _TASK_STORAGE), "nothing in this version"),
    )
    if isinstance(lib, str):
        return [Capability(name, "unknown", "libraries are missing", text) for name, _, text in trials]
    facts = []
    for name, trial, text in trials:
        answer, detail = trial(lib)
        facts.append(Capability(name, answer, detail, "" if answer == "yes" else text))
    return facts


def _kprobes() -> Capability:
    if Path("/sys/bus/event_source/devices/kprobe").exists():
        return Capability("kprobes", "yes", "compiled in")
    return Capability("kprobes", "no", "not compiled into this kernel", "nothing in this version: no probe needs them")


def _tracefs(lib: LibBpf | str) -> Capability:
    found = None if isinstance(lib, str) else find_tracefs(lib)
    if found:
        return Capability("tracefs", "yes", str(found))
    answer: Literal["no", "unknown"] = "no" if os.geteuid() == 0 else "unknown"
    return Capability(
        "tracefs", answer, "not mounted, or not readable", "files, accepted connections and privileged calls go unseen"
    )


def _cgroups() -> Capability:
    kinds = {line.split()[2] for line in Path("/proc/mounts").read_text().splitlines()} & {"cgroup", "cgroup2"}
    layout = {
        frozenset({"cgroup", "cgroup2"}): "hybrid: v1 controllers beside a v2 hierarchy",
        frozenset({"cgroup2"}): "v2",
        frozenset({"cgroup"}): "v1; containers are told apart by the pids controller",
    }.get(frozenset(kinds))
    if layout:
        return Capability("cgroups", "yes", layout)
    return Capability("cgroups", "no", "no hierarchy is mounted", "containers cannot be told from the host")


def _runtimes() -> Capability:
    found = [name for name, paths in _RUNTIMES.items() if any(_exists(path) for path in paths)]
    if found:
        return Capability("container runtimes", "yes", ", ".join(found))
    return Capability("container runtimes", "no", "none found", "only host processes and systemd units have names")


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except PermissionError:
        return False


def _programs(lib: LibBpf | str) -> tuple[ProbeState, ...]:
    """Which programs would be attached."""
    if isinstance(lib, str):
        return tuple(ProbeState(program.name, False, f"{lib}: {program.unseen}") for program in PROGRAMS)
    tracefs, states = find_tracefs(lib), []
    try:
        types, security = KernelTypes(lib), find_security(lib)
    except SourceError as error:
        return tuple(ProbeState(program.name, False, f"{error}: {program.unseen}") for program in PROGRAMS)
    with closing(types):
        hooks = Hooks(types, security)
        for program in PROGRAMS:
            missing = missing_for(program, hooks, tracefs)
            if missing != "":
                why = f"{missing}: {program.unseen}" if missing else ""
                states.append(
                    ProbeState(program.name, not missing, why, "" if missing else way_of(program, security.way))
                )
    return tuple(states)
