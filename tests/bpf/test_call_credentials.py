"""Changes of ids and capabilities, made in a real container: what they were, what they are."""

import subprocess
import sys

import pytest

from agent.decode.decode import Decoder
from agent.events import Call, CallKind
from agent.source.core_re import CoReSource

pytestmark = [pytest.mark.bpf, pytest.mark.container]

MAY = ("CAP_SETUID", "CAP_SETGID")
SETUID, SETGID = 1 << 7, 1 << 6  # capability bits
CAP_HEADER = "b:2205082000000000"  # version 3, this process
NOT_PERMITTED = 1


def ids(call: Call) -> tuple[int, int, int, int]:
    """After the change: real and effective user, real and effective group."""
    task = call.head.task
    return task.uid, task.euid, task.gid, task.egid


@pytest.mark.parametrize(
    ("words", "args", "after"),
    [
        (("setuid", 1000), (0, 0, 1000, 1000), (1000, 1000)),
        (("setreuid", -1, 1001), (0, 0, 1001, 1001), (0, 1001)),
        (("setresuid", -1, -1, 1002), (0, 0, 1002, 0), (0, 0)),
        (("setfsuid", 1003), (0, 0, 0, 1003), (0, 0)),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_user_ids(calls, words, args, after):
    """Each call of the family says what the ids were, and carries what they are."""
    [call] = calls.make(*words, capabilities=MAY)
    assert calls.status == 0
    calls.check(call, CallKind.SETUID, args)
    assert ids(call) == (*after, 0, 0)
    assert (call.target_pid, call.target_start_ns, call.target_cgroup_id) == (0, 0, 0)


@pytest.mark.parametrize(
    ("words", "args", "after"),
    [
        (("setgid", 1000), (0, 0, 1000, 1000), (1000, 1000)),
        (("setregid", -1, 1001), (0, 0, 1001, 1001), (0, 1001)),
        (("setresgid", -1, -1, 1002), (0, 0, 1002, 0), (0, 0)),
        (("setfsgid", 1003), (0, 0, 0, 1003), (0, 0)),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_group_ids(calls, words, args, after):
    """The same for groups."""
    [call] = calls.make(*words, capabilities=MAY)
    calls.check(call, CallKind.SETGID, args)
    assert ids(call) == (0, 0, *after)


def test_one_change_after_the_other(calls):
    """What the first change left is what the second one found."""
    words = ("setresuid", 1000, 1000, 0, "--", "setresuid", -1, 0, -1)
    first, second = calls.make(*words, capabilities=MAY)
    calls.check(first, CallKind.SETUID, (0, 0, 0, 1000))
    calls.check(second, CallKind.SETUID, (1000, 1000, 0, 0))
    assert ids(second)[:2] == (1000, 0)


def test_a_call_that_changes_nothing_is_not_reported(calls):
    """The same id again, and one that was refused."""
    assert calls.make("setuid", 0, "--", "setgid", 0, capabilities=MAY) == []
    assert calls.make("setuid", 1000, "--", "setgid", 1000, "--", "setfsuid", 1000) == []
    assert calls.status == NOT_PERMITTED


def test_capabilities(calls):
    """Effective before and after, permitted before and after."""
    [call] = calls.make("capset", CAP_HEADER, "zero", capabilities=MAY)
    held = calls.caller.cap_effective
    assert held & (SETUID | SETGID) == SETUID | SETGID
    calls.check(call, CallKind.CAPSET, (held, 0, calls.caller.cap_permitted, 0))


def test_capabilities_lost_with_the_user_id_are_no_capset(calls):
    """setuid takes them; the capset that follows finds nothing to change."""
    [call] = calls.make("setuid", 1000, "--", "capset", CAP_HEADER, "zero", capabilities=MAY)
    calls.check(call, CallKind.SETUID, (0, 0, 1000, 1000))


def test_a_child_starts_with_what_its_parent_had(sensor):
    """A process that never called exec knows its ids before, whatever its parent did since."""
    code = """
import os
os.setresuid(0, 1, 0)
ready, told = os.pipe()
if os.fork() == 0:
    os.read(ready, 1)
    os.setresuid(1, 1, 1)
    os._exit(0)
os.setresuid(1, 0, 1)
os.write(told, b"x")
os.wait()
"""
    child = subprocess.Popen([sys.executable, "-c", code])
    assert child.wait() == 0
    of_both = sensor.of(Call, lambda e: child.pid in (e.head.task.pid, e.head.task.ppid))
    assert [(e.args, e.head.task.uid) for e in of_both if e.head.task.pid == child.pid] == [
        ((0, 0, 0, 1), 0),
        ((0, 1, 1, 0), 1),
    ]
    assert [e.args for e in of_both if e.head.task.ppid == child.pid] == [(0, 1, 1, 1)]


def test_a_process_older_than_the_sensor():
    """Its ids before are those of whoever started its program."""
    code = "import os, sys; print(flush=True); sys.stdin.read(); os.setgid(7); os.setuid(6)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as old:
        old.stdout.readline()
        late = CoReSource()
        late.start()
        old.communicate()
        batches = iter(lambda: late.read(0), None)
        calls = [e for batch in batches for e in Decoder().decode(batch) if isinstance(e, Call)]
        late.stop()
    found = {e.call: (e.args, e.head.task.uid, e.head.task.gid) for e in calls if e.head.task.pid == old.pid}
    assert found[CallKind.SETGID] == ((0, 0, 7, 7), 0, 7)
    assert found[CallKind.SETUID] == ((0, 0, 6, 6), 6, 7)
