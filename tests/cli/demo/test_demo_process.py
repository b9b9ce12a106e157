"""Children are recorded, and a later run ends exactly those."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo.errors import DemoError
from cli.demo.process import Processes, find_by_argument, kill, kill_recorded, start_time, stop, wait_until

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path / "processes", tmp_path)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(_SLEEP) as process:
        yield process
        process.kill()


def test_a_recorded_process_is_killed_by_a_later_run(processes: Processes, tmp_path: Path) -> None:
    child = processes.start("sleeper", _SLEEP)
    assert kill_recorded(tmp_path / "processes") == 1
    assert child.process.wait(5) == -9


def test_a_process_that_took_over_the_pid_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (tmp_path / "processes").write_text(f"{sleeper.pid} {start_time(sleeper.pid) - 1}\nnonsense\n")
    assert kill_recorded(tmp_path / "processes") == 0
    assert sleeper.poll() is None


def test_only_the_program_with_the_argument_is_found(tmp_path: Path) -> None:
    mark = str(tmp_path / "socket")
    with subprocess.Popen([*_SLEEP, mark]) as child:
        # The kernel closes the pipe Popen waits for a little before the new arguments can be read.
        wait_until("its arguments show", lambda: mark.encode() in Path(f"/proc/{child.pid}/cmdline").read_bytes(), 5)
        assert find_by_argument("containerd-shim", mark) == {}
        assert list(find_by_argument(Path(sys.executable).name, mark)) == [child.pid]
        assert kill(child.pid) == 1
        assert child.wait(5) == -9


def test_a_child_that_ends_while_waited_for_is_reported_with_what_it_wrote(processes: Processes) -> None:
    child = processes.start("broken", [sys.executable, "-c", "print('no such device'); raise SystemExit(3)"])
    with pytest.raises(DemoError, match=r"(?s)broken ended with status 3.*no such device"):
        wait_until("it is ready", lambda: False, 10, child)


def test_a_program_that_is_not_there_is_named(processes: Processes) -> None:
    with pytest.raises(DemoError, match="cannot start ghost"):
        processes.start("ghost", ["/nonexistent/ghost"])


def test_stop_ends_a_child(processes: Processes) -> None:
    child = processes.start("sleeper", _SLEEP)
    stop(child)
    assert child.process.returncode == -15
