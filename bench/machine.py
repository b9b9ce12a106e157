"""The machine under measurement: processor time by group of processes, quiet moments, facts for a report."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_V1 = Path("/sys/fs/cgroup/cpuacct")
_V2 = Path("/sys/fs/cgroup")
_HZ = os.sysconf("SC_CLK_TCK")
_QUIET_SHARE = 0.08  # of one core, over one look
_LOOK_S = 0.4


class Group:
    """A cgroup whose processor time can be read: exact, and complete for children that have ended."""

    def __init__(self, name: str) -> None:
        self._v1 = (_V1 / "cgroup.procs").exists()
        self.path = (_V1 if self._v1 else _V2) / f"vedette-bench-{name}"
        self.path.mkdir(exist_ok=True)

    def cpu_s(self) -> float:
        """Processor time used in it so far."""
        if self._v1:
            return int((self.path / "cpuacct.usage").read_text()) / 1e9
        usage = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return int(usage["usage_usec"]) / 1e6

    def enter(self) -> None:
        """Move the calling process in (for `preexec_fn`)."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def entry(self, niceness: int = 0) -> Callable[[], None]:
        """A `preexec_fn` that enters."""

        def enter() -> None:
            self.enter()
            os.nice(niceness)

        return enter

    def close(self) -> None:
        """Remove it; stays when something still runs in it."""
        try:
            self.path.rmdir()
        except OSError:
            pass


def busy_s() -> float:
    """Processor time all of the machine has spent working."""
    user, nice, system, _, _, irq, softirq = (int(v) for v in _first_stat_line()[:7])
    return (user + nice + system + irq + softirq) / _HZ


def _first_stat_line() -> list[str]:
    with Path("/proc/stat").open() as f:
        return f.readline().split()[1:]


def wait_until_quiet(patience_s: float) -> bool:
    """Wait until nothing else works on this machine; False when patience ran out."""
    end = time.monotonic() + patience_s
    while True:
        before = busy_s()
        time.sleep(_LOOK_S)
        if (busy_s() - before) / _LOOK_S < _QUIET_SHARE:
            return True
        if time.monotonic() > end:
            return False


class Facts(NamedTuple):
    """What a reader needs to place figures; no names."""

    kernel: str
    cores: int
    model: str
    memory_gb: int
    python: str


def facts() -> Facts:
    """Of this machine."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Facts(
        platform.release(), os.cpu_count() or 1, _model(), round(pages * page / 2**30), platform.python_version()
    )


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
