"""One process reaching into another in a real container: who was reached, and how it ended."""

import subprocess

import pytest

from agent.events import Call, CallKind, Fork

pytestmark = [pytest.mark.bpf, pytest.mark.container]

ATTACH, SEIZE, POKEDATA, DETACH, TRACEME = 16, 0x4206, 5, 17, 0
STOPPED = 0x40000000  # __WALL
NO_SUCH_PROCESS, BUSY_OR_REFUSED = -3, -1
CONTINUE = 18


def child(calls) -> tuple[int, int, int]:
    """The child that the last run made: pid, start, cgroup, as its own fork told them."""
    caller = calls.caller.head.task
    [fork] = calls.sensor.of(Fork, lambda e: e.head.task.ppid == caller.pid and e.head.task.comm == "calls")
    return fork.head.task.pid, fork.head.task.start_ns, fork.head.task.cgroup_id


def target(call: Call) -> tuple[int, int, int]:
    """Whom a call acted upon."""
    return call.target_pid, call.target_start_ns, call.target_cgroup_id


def test_attaching_and_writing(calls):
    """The request and the process, by its number on the host; requests that only look are not reported."""
    words = ("ptrace", ATTACH, "child", "--", "wait4", "child", 0, STOPPED)
    writes = ("ptrace", POKEDATA, "child", "page", 0, "--", "ptrace", DETACH, "child", 0, 0)
    attached, written = calls.make(*words, "--", *writes)
    calls.check(attached, CallKind.PTRACE, (ATTACH,))
    calls.check(written, CallKind.PTRACE, (POKEDATA,), result=written.result)
    assert target(attached) == target(written) == child(calls)
    assert attached.target_cgroup_id == calls.container.cgroup_id


def test_seizing(calls):
    """The modern way to attach."""
    [call] = calls.make("ptrace", SEIZE, "child", 0, 0)
    calls.check(call, CallKind.PTRACE, (SEIZE,))
    assert target(call) == child(calls)


def test_failed_attempts_to_attach(calls):
    """A process that does not exist has no target; one that may not be touched has."""
    nobody, itself = calls.make("ptrace", ATTACH, 30000, "--", "ptrace", ATTACH, 1, "--", "ptrace", TRACEME)
    calls.check(nobody, CallKind.PTRACE, (ATTACH,), result=NO_SUCH_PROCESS)
    assert target(nobody) == (0, 0, 0)
    assert itself.target_pid == calls.container.init_pid


@pytest.mark.parametrize(
    ("name", "kind"),
    [("process_vm_readv", CallKind.PROCESS_VM_READ), ("process_vm_writev", CallKind.PROCESS_VM_WRITE)],
)
def test_memory_of_another_process(calls, name, kind):
    """The bytes moved and whose they were; the same again is known; a failure is another behaviour."""
    words = (name, "child", "iov", 1, "iov", 1, 0)
    [call] = calls.make(*words, "--", *words)
    calls.check(call, kind, (), result=64)
    assert (call.result, target(call)) == (64, child(calls))
    [failed] = calls.make(name, 30000, "iov", 1, "iov", 1, 0)
    calls.check(failed, kind, (), result=NO_SUCH_PROCESS)
    assert target(failed) == (0, 0, 0)


@pytest.mark.parametrize("name", ["kill", "tgkill", "pidfd_send_signal"])
def test_a_signal_from_another_container(sensor, container, calls_program, name):
    """From the host into the container: the sender's record, the target's cgroup."""
    pid = container.init_pid
    words = {
        "kill": (pid, CONTINUE),
        "tgkill": (pid, pid, CONTINUE),
        "pidfd_send_signal": (f"pidfd:{pid}", CONTINUE, 0, 0),
    }
    sender = subprocess.Popen([calls_program, name, *map(str, words[name])])
    assert sender.wait() == 0
    [call] = sensor.of(Call, lambda e: e.call == CallKind.KILL and e.head.task.pid == sender.pid)
    assert (call.args, call.result, call.text) == ((CONTINUE, 0, 0, 0), 0, "")
    assert (call.target_pid, call.target_cgroup_id) == (pid, container.cgroup_id)
    assert 0 < call.target_start_ns < call.head.task.start_ns
    assert call.head.task.cgroup_id != container.cgroup_id


def test_signals_within_a_container_are_its_own_affair(calls):
    """To a child, to itself; and probing with signal 0 sends nothing."""
    assert calls.make("kill", "child", CONTINUE, "--", "kill", 1, 0) == []
