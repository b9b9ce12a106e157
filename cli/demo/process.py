"""Child processes the demo starts, and a record of them on disk for the run that finds them left over."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.demo.errors import DemoError

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the demo and the file its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises: DemoError if it has ended, with the last lines it wrote."""
        status = self.process.poll()
        if status is not None:
            raise DemoError(f"{self.name} ended with status {status}; the last it wrote ({self.log}):\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        """The last lines of its output."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


class Processes:
    """Starts children in sessions of their own (Ctrl-C is for the demo only) and writes down who they are."""

    def __init__(self, record: Path, logs: Path) -> None:
        self._record = record
        self._logs = logs

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Start and record. Raises: DemoError if the program is not there."""
        log = self._logs / f"{name}.log"
        try:
            with log.open("ab") as out:
                process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=env
                )
        except FileNotFoundError as e:
            raise DemoError(f"cannot start {name}: {e}; `make build` installs what the demo needs") from e
        with self._record.open("a") as record:
            record.write(f"{process.pid} {start_time(process.pid)}\n")
        return Child(name, process, log)


def stop(child: Child, grace_s: float = 5.0) -> None:
    """Terminate, then kill after `grace_s`."""
    if child.process.poll() is None:
        child.process.terminate()
    try:
        child.process.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait(grace_s)


def wait_until(what: str, ready: Callable[[], bool], deadline_s: float, child: Child | None = None) -> None:
    """Poll `ready` until it holds. Raises: DemoError at the deadline, or when `child` ends before."""
    end = time.monotonic() + deadline_s
    while not ready():
        if child is not None:
            child.check()
        if time.monotonic() > end:
            said = f"; {child.name} wrote ({child.log}):\n{child.tail()}" if child else ""
            raise DemoError(f"{what}: not after {deadline_s:g} s{said}")
        time.sleep(_POLL_S)


def start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot (proc(5), field 22 of stat); 0 if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(stat[stat.rindex(")") + 2 :].split()[19])


def kill_recorded(record: Path) -> int:
    """Kill what an earlier run recorded and left running; how many. Pids used again by others are left alone."""
    killed = 0
    for pid, started in _recorded(record):
        if started and start_time(pid) == started:
            killed += kill(pid)
    return killed


def find_by_argument(program: str, argument: str) -> dict[int, list[str]]:
    """Processes whose program name begins with `program` and that were given `argument`: pid → argument vector."""
    found = {}
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit():
            continue
        argv = _arguments(proc)
        if argv[0].rsplit("/", 1)[-1].startswith(program) and argument in argv[1:]:
            found[int(proc.name)] = argv
    return found


def kill(pid: int) -> int:
    """Kill a process and wait until it is gone, at most two seconds; 0 if it was not there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    end = time.monotonic() + 2
    while start_time(pid) and not _zombie(pid) and time.monotonic() < end:
        time.sleep(_POLL_S)
    return 1


def _arguments(proc: Path) -> list[str]:
    try:
        return (proc / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return [""]


def _recorded(record: Path) -> Iterator[tuple[int, int]]:
    if record.exists():
        for line in record.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) == 2 and all(w.isdigit() for w in words):
                yield int(words[0]), int(words[1])


def _zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return True
