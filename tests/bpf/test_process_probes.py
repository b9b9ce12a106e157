"""Processes as the kernel reports them: exact counts, exact fields."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from agent.decode import layout
from agent.events import Exec, Exit, Fork

pytestmark = pytest.mark.bpf

EXECS = 1000


@pytest.mark.container
def test_every_exec_in_a_container_is_one_event(sensor, container):
    """1,000 execs of one program in a container: 1,000 events, its cgroup id, the right parent, nothing lost."""
    assert container.run("/bin/load", "execs", str(EXECS), "/bin/true") == 0
    [parent] = sensor.of(Exec, lambda e: e.argv[:2] == ("/bin/load", "execs"))
    execs = sensor.of(Exec, lambda e: e.argv == ("/bin/true", "one two", "drei"))
    assert len(execs) == EXECS
    assert {e.head.task.cgroup_id for e in execs} == {container.cgroup_id}
    assert {e.head.task.ppid for e in execs} == {parent.head.task.pid}
    assert {e.head.task.parent_start_ns for e in execs} == {parent.head.task.start_ns}
    assert {(e.path, e.filename, e.cwd) for e in execs} == {("/bin/busybox", "/bin/true", "/")}
    pids = {e.head.task.pid for e in execs}
    assert len(sensor.of(Fork, lambda e: e.head.task.pid in pids)) == EXECS
    assert len(sensor.of(Exit, lambda e: e.head.task.pid in pids and e.exit_code == 0)) == EXECS
    assert sensor.lost() == {}


@pytest.mark.container
def test_container_pids_and_namespaces(sensor, container):
    """A process in a container has its pid there and its own namespaces beside the host's view."""
    container.run("/bin/true")
    mine = sensor.of(Exec, lambda e: e.argv == ("/bin/true",))[-1].head.task
    host = Path("/proc/self/ns/pid").stat().st_ino
    assert mine.ns_pid != mine.pid
    assert mine.ns_pid < 100
    assert mine.pid_ns != host
    assert mine.mnt_ns != Path("/proc/self/ns/mnt").stat().st_ino


@pytest.mark.container
def test_binary_of_the_image_and_binary_written_in_the_container(sensor, container):
    """A program copied inside the container is in the upper layer; the image's own is not."""
    container.run("/bin/cp", "/bin/busybox", "/tmp/true")
    container.run("/tmp/true")
    overlay, upper = layout.FILE_F_OVERLAY, layout.FILE_F_OVERLAY | layout.FILE_F_UPPER_LAYER
    [image] = sensor.of(Exec, lambda e: e.argv[:1] == ("/bin/cp",))
    [dropped] = sensor.of(Exec, lambda e: e.argv == ("/tmp/true",))
    assert (image.path, image.exe_flags) == ("/bin/busybox", overlay)
    assert (dropped.path, dropped.exe_flags) == ("/tmp/true", upper)
    assert dropped.exe != image.exe


def test_exec_fields_on_the_host(sensor, public_load):
    """argv as passed, cwd, user, executable's path and identity, capabilities."""
    load, cwd = public_load, public_load.parent
    argv = [str(load), "exit", "3"]
    child = subprocess.Popen(argv, cwd=cwd, user=1234, group=4321, extra_groups=[])
    assert child.wait() == 3
    [event] = sensor.of(Exec, lambda e: e.head.task.pid == child.pid)
    task, status = event.head.task, load.stat()
    assert (event.path, event.filename, event.argv, event.cwd) == (str(load), str(load), tuple(argv), str(cwd))
    assert event.argv_total == sum(len(a) + 1 for a in argv)
    assert (task.uid, task.gid, task.euid, task.egid) == (1234, 4321, 1234, 4321)
    assert (task.ppid, task.comm, task.tid, task.tty) == (os.getpid(), "load", child.pid, 0)
    assert event.exe.ino == status.st_ino
    assert event.exe.dev == os.major(status.st_dev) << 20 | os.minor(status.st_dev)
    assert (event.cap_permitted, event.cap_effective, event.exe_flags) == (0, 0, 0)


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_code(sensor, load, code):
    """The exit code as wait(2) encodes it, once for each process."""
    child = subprocess.Popen([load, "exit", str(code)])
    child.wait()
    [event] = sensor.of(Exit, lambda e: e.head.task.pid == child.pid)
    assert os.waitstatus_to_exitcode(event.exit_code) == code


def test_exit_by_signal(sensor, load):
    """A process ended by a signal shows the signal."""
    child = subprocess.Popen([load, "kill", str(int(signal.SIGKILL))])
    child.wait()
    [event] = sensor.of(Exit, lambda e: e.head.task.pid == child.pid)
    assert os.waitstatus_to_exitcode(event.exit_code) == -signal.SIGKILL


def test_threads_are_no_processes(sensor):
    """A process that starts threads is one fork and one exit, whichever thread ends last."""
    code = "import threading, time; [threading.Thread(target=time.sleep, args=(0.05,)).start() for _ in range(8)]"
    child = subprocess.Popen([os.sys.executable, "-c", code])
    child.wait()
    assert len(sensor.of(Fork, lambda e: e.head.task.pid == child.pid)) == 1
    assert len(sensor.of(Exit, lambda e: e.head.task.pid == child.pid)) == 1


def test_memfd(sensor, run):
    """A program run from memory is marked, has no name left, and shows the name it was given."""
    assert run("memfd") == 7
    [event] = sensor.of(Exec, lambda e: e.argv[:1] == ("memfd-payload",))
    assert event.exe_flags & (layout.FILE_F_MEMFD | layout.FILE_F_UNLINKED) == event.exe_flags & ~layout.FILE_F_TMPFS
    assert event.exe_flags & layout.FILE_F_MEMFD
    assert event.path == "/memfd:vt-payload"


def test_script(sensor, tmp_path: Path):
    """For a script the executable is the interpreter, the file name is the script's."""
    script = tmp_path / "hello"
    script.write_text("#!/bin/sh\nexit 5\n")
    script.chmod(0o755)
    assert subprocess.run([script], check=False).returncode == 5
    [event] = sensor.of(Exec, lambda e: e.filename == str(script))
    assert event.exe_flags & layout.FILE_F_SCRIPT
    assert event.path == str(Path("/bin/sh").resolve())
    assert event.argv == ("/bin/sh", str(script))


def test_long_argv_is_cut_and_says_so(sensor, load):
    """Arguments beyond the bound are cut; the total and the flag tell."""
    argv = [str(load), "exit", "0", *["x" * 100] * 50]
    child = subprocess.Popen(argv)
    child.wait()
    [event] = sensor.of(Exec, lambda e: e.head.task.pid == child.pid)
    assert event.argv_total == sum(len(a) + 1 for a in argv)
    assert event.head.flags == layout.EV_F_TRUNCATED
    assert event.argv[:4] == tuple(argv[:4])
    assert 2000 < sum(len(a) + 1 for a in event.argv) <= 2049


def test_set_user_id_program_is_marked(sensor, public_load):
    """A program that gains privilege by its set-user-id bit is marked."""
    public_load.chmod(0o4755)
    child = subprocess.Popen([public_load, "exit", "0"], user=1234, group=1234, extra_groups=[])
    child.wait()
    [event] = sensor.of(Exec, lambda e: e.head.task.pid == child.pid)
    assert event.exe_flags & layout.FILE_F_SECURE
    assert (event.head.task.uid, event.head.task.euid) == (1234, 0)
