"""A live sensor that remembers what it saw, a load program, and real containers made from nothing."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from agent.decode.decode import Decoder
from agent.events import Call, CallKind, Event, Exec, PathChange
from agent.source.core_re import CoReSource
from agent.source.throttle import UNLIMITED

E = TypeVar("E")
_DRAIN_S, _SETTLED_S = 5.0, 0.001


class Recorder:
    """A started sensor. `events` are all since start, drained at every look."""

    def __init__(self, source: CoReSource) -> None:
        self.source = source
        self.decoder = Decoder()
        self._events: list[Event] = []
        self._lost_before = self._losses()

    def drain(self) -> list[Event]:
        """Everything the kernel wrote so far: records are in the ring before their system call returns.

        The newest are handed out a moment after they were written (SETTLE_NS in bpf/ring/ring.c).
        """
        begun = time.monotonic()
        while (batch := self.source.read(0)) or time.monotonic() < begun + _SETTLED_S:
            self._events += self.decoder.decode(batch) if batch else ()
            if time.monotonic() > begun + _DRAIN_S:
                break
        assert not self.decoder.rejected
        return self._events

    def of(self, kind: type[E], where: Callable[[E], bool] = lambda _: True) -> list[E]:
        """The events of one type that fulfil a condition, in order."""
        return [event for event in self.drain() if isinstance(event, kind) and where(event)]

    def lost(self) -> dict[str, int]:
        """Every loss since this recorder began, by class and cause; {} when there was none.

        Nobody drains the sensor between two tests that use it: what the ring could not hold then is not counted.
        """
        return dict(self._losses() - self._lost_before)

    def _losses(self) -> Counter[str]:
        return Counter(
            {
                f"{kind}.{cause}": count
                for kind, causes in self.source.counters().items()
                for cause, count in causes.items()
                if cause.startswith("lost_")
            }
        )


@pytest.fixture(scope="session")
def source() -> Iterator[CoReSource]:
    """One started sensor for the whole run: attaching and detaching take seconds together.

    Without budgets: what else works on this machine is in the tests' own cgroup, and would use them up.
    """
    started = CoReSource(limits=UNLIMITED)
    started.start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def sensor(source: CoReSource) -> Recorder:
    """The sensor on this kernel, with what happened before the test behind it. Watches all but the test's process."""
    source.sweep()  # makes room where earlier tests filled the filter
    Recorder(source).drain()
    return Recorder(source)


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled load program (tests/bpf/load.c), static."""
    target = tmp_path_factory.mktemp("load") / "load"
    source = Path(__file__).with_name("load.c")
    subprocess.run(["clang", "-O2", "-static", "-o", target, source], check=True)
    return target


@pytest.fixture
def public_load(load: Path) -> Iterator[Path]:
    """A copy of the load program that any user may reach and run."""
    with tempfile.TemporaryDirectory(prefix="vt-public-") as directory:
        Path(directory).chmod(0o755)
        copy = Path(directory, "load")
        shutil.copy(load, copy)
        copy.chmod(0o755)
        yield copy


def cgroup2_root() -> Path:
    """Where the v2 hierarchy is mounted, alone or beside v1."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(target)
    pytest.skip("needs a cgroup v2 hierarchy")


@pytest.fixture
def cgroup_root() -> Path:
    """The v2 hierarchy's mount point."""
    return cgroup2_root()


class Container:
    """A runc container on an overlay of a busybox image; its init sleeps. `upper` is what it wrote."""

    def __init__(self, directory: Path, load: Path) -> None:
        self.name = f"vt-test-{uuid.uuid4().hex[:12]}"
        self._directory, self.state = directory, directory / "state"
        self.image, self.upper, self.root = (directory / name for name in ("image", "upper", "rootfs"))
        self._make_image(load)
        self._mount()
        self._configure()

    def _make_image(self, load: Path) -> None:
        for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
            (self.image / name).mkdir(parents=True)
        shutil.copy("/usr/bin/busybox", self.image / "bin/busybox")
        shutil.copy(load, self.image / "bin/load")
        for name in ("sh", "sleep", "true", "cp", "cat", "chmod", "touch"):
            (self.image / "bin" / name).symlink_to("busybox")

    def _mount(self) -> None:
        work = self._directory / "work"
        for directory in (self.upper, work, self.root):
            directory.mkdir()
        layers = f"lowerdir={self.image},upperdir={self.upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)

    def _configure(self) -> None:
        subprocess.run(["runc", "spec"], cwd=self._directory, check=True)
        path = self._directory / "config.json"
        config = json.loads(path.read_text())
        config["process"] |= {"terminal": False, "args": ["/bin/sleep", "1000"]}
        config["process"].pop("rlimits", None)
        config["root"] = {"path": str(self.root), "readonly": False}
        config["linux"]["cgroupsPath"] = f"/{self.name}"
        path.write_text(json.dumps(config))

    def runc(self, *arguments: str) -> int:
        """Run a command of runc's; its status."""
        command = ["runc", "--root", str(self.state), *arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        return subprocess.run(command, cwd=self._directory, check=False, **streams).returncode

    def start(self) -> None:
        """Run the init; the container exists when this returns."""
        assert self.runc("run", "--detach", self.name) == 0

    @property
    def cgroup_id(self) -> int:
        """The inode of the container's directory in the v2 hierarchy, found without the sensor."""
        return (cgroup2_root() / self.name).stat().st_ino

    @property
    def init_pid(self) -> int:
        """The container's first process, as the host numbers it."""
        command = ["runc", "--root", str(self.state), "state", self.name]
        return int(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)["pid"])

    def run(self, *argv: str) -> int:
        """Run a program in the container, as `kubectl exec` would; its exit status."""
        return self.runc("exec", self.name, *argv)

    def remove(self) -> None:
        """Kill and unmount."""
        self.runc("delete", "--force", self.name)
        subprocess.run(["umount", self.root], check=True)


@pytest.fixture
def container(tmp_path: Path, load: Path) -> Iterator[Container]:
    """A running container of its own for each test."""
    made = Container(tmp_path, load)
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def run(load: Path) -> Callable[..., int]:
    """Run the load program on the host with some arguments, optionally in a directory; its status."""

    def run_load(*arguments: object, cwd: Path | None = None) -> int:
        command: Sequence[str] = [str(load), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd or os.sep, check=False).returncode

    return run_load


@pytest.fixture(scope="session")
def calls_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program that makes calls by name (tests/bpf/calls.c), static."""
    target = tmp_path_factory.mktemp("calls") / "calls"
    subprocess.run(["clang", "-O2", "-static", "-o", target, Path(__file__).with_name("calls.c")], check=True)
    return target


class Calls:
    """Makes system calls in a container and gives the records of them."""

    def __init__(self, sensor: Recorder, container: Container, program: Path) -> None:
        self.sensor, self.container, self.status = sensor, container, 0
        shutil.copy(program, container.root / "bin/calls")

    def make(self, *words: object, capabilities: Sequence[str] = ()) -> list[Call]:
        """Run `calls WORDS` with these capabilities; the records of that process. `status` is then its status."""
        extra = [word for name in capabilities for word in ("--cap", name)]
        argv = ["exec", *extra, self.container.name, "/bin/calls", *map(str, words)]
        before = len(self.sensor.drain())
        self.status = self.container.runc(*argv)
        self.caller = self.sensor.of(Exec, lambda e: e.path == "/bin/calls")[-1]
        pid = self.caller.head.task.pid
        made = [e for e in self.sensor.drain()[before:] if isinstance(e, Call) and e.head.task.pid == pid]
        return [e for e in made if e.head.time_ns > self.caller.head.time_ns]

    def check(self, call: Call, kind: CallKind, args: tuple[int, ...], text: str = "", result: int = 0) -> None:
        """Every field of a record without a target: who, from which file, what, and how it ended."""
        task, caller = call.head.task, self.caller.head.task
        assert (task.pid, task.start_ns, task.comm) == (caller.pid, caller.start_ns, "calls")
        assert task.cgroup_id == self.container.cgroup_id
        assert call.exe == self.caller.exe
        assert (call.call, call.args, call.text) == (kind, (*args, 0, 0, 0, 0)[:4], text)
        assert call.result == result if result <= 0 else call.result > 0


@pytest.fixture
def calls(sensor: Recorder, container: Container, calls_program: Path) -> Calls:
    """A container to make calls in."""
    return Calls(sensor, container, calls_program)


@pytest.fixture(scope="session")
def path_calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program that makes calls by name (tests/bpf/path_calls.c), static."""
    target = tmp_path_factory.mktemp("paths") / "path_calls"
    subprocess.run(["clang", "-O2", "-static", "-o", target, Path(__file__).with_name("path_calls.c")], check=True)
    return target


class Changes:
    """Changes the file tree of a container and gives the records of it."""

    def __init__(self, sensor: Recorder, container: Container, program: Path) -> None:
        self._sensor, self.container = sensor, container
        shutil.copy(program, container.root / "bin/path_calls")

    def __call__(self, *words: object, works: bool = True, capabilities: Sequence[str] = ()) -> list[PathChange]:
        """Run `path_calls WORDS`, each of which must succeed if `works`; the changes seen of that process."""
        given = [word for name in capabilities for word in ("--cap", name)]
        script = "/bin/path_calls " + " ".join(f"'{word}'" for word in words) + " > /tmp/results"
        self.container.runc("exec", *given, self.container.name, "/bin/sh", "-c", script)
        results = (self.container.root / "tmp/results").read_text().split()
        assert results, script
        assert not works or not any(result.startswith("-") for result in results), (script, results)
        caller = self._sensor.of(Exec, lambda e: e.path == "/bin/path_calls")[-1]
        made = self._sensor.of(PathChange, lambda e: e.head.task.pid == caller.head.task.pid)
        assert all((e.exe, e.head.task.cgroup_id) == (caller.exe, self.container.cgroup_id) for e in made)
        return made


@pytest.fixture
def change(sensor: Recorder, container: Container, path_calls: Path) -> Changes:
    """A container whose files are changed."""
    return Changes(sensor, container, path_calls)
