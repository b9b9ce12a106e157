"""Calls into the kernel's own machinery, made in a real container: granted and refused."""

from pathlib import Path

import pytest

from agent.events import CallKind
from agent.source.programs import PROGRAMS

pytestmark = [pytest.mark.bpf, pytest.mark.container]

MAP_CREATE, PROG_LOAD, ARRAY, SOCKET_FILTER = 0, 5, 2, 1
MAP_LOOKUP = 1
SOFTWARE, TASK_CLOCK = 1, 1
JOIN_SESSION, ADD_KEY, REQUEST_KEY, SESSION_KEYRING = 1, 0x10000, 0x10001, -3
NOT_PERMITTED, NO_ACCESS, INVALID = -1, -13, -22
TRACEPOINTS = Path("/sys/kernel/tracing/events/syscalls")


def test_bpf_granted_and_refused(calls):
    """The command and the type it makes; element look-ups are everyday work."""
    words = ("bpf", MAP_CREATE, f"attr:{ARRAY}", 72, "--", "bpf", MAP_LOOKUP, "zero", 72)
    [made] = calls.make(*words, capabilities=("CAP_BPF",))
    calls.check(made, CallKind.BPF, (MAP_CREATE, ARRAY), result=1)
    [refused] = calls.make("bpf", PROG_LOAD, "attr:6", 72)
    calls.check(refused, CallKind.BPF, (PROG_LOAD, 6), result=NOT_PERMITTED)


def test_performance_events(calls):
    """Type and configuration; attributes that make no sense are a failure like any."""
    words = ("perf_event_open", f"attr:{SOFTWARE},{TASK_CLOCK}", 0, -1, -1, 0)
    [made] = calls.make(*words, "--", *words, capabilities=("CAP_PERFMON",))
    calls.check(made, CallKind.PERF_EVENT_OPEN, (SOFTWARE, TASK_CLOCK), result=1)
    [failed] = calls.make("perf_event_open", "attr:77,5", 0, -1, -1, 0, capabilities=("CAP_PERFMON",))
    assert failed.result < 0
    calls.check(failed, CallKind.PERF_EVENT_OPEN, (77, 5), result=failed.result)


def test_io_uring(calls):
    """Entries and flags; a ring of nothing is refused."""
    made, failed = calls.make("io_uring_setup", 4, "zero", "--", "io_uring_setup", 0, "zero")
    calls.check(made, CallKind.IO_URING_SETUP, (4, 0), result=1)
    calls.check(failed, CallKind.IO_URING_SETUP, (0, 0), result=INVALID)


def test_keys(calls):
    """Operations of keyctl, once each; keys added and asked for, by their description."""
    [joined] = calls.make("keyctl", JOIN_SESSION, 0, "--", "keyctl", JOIN_SESSION, 0)
    calls.check(joined, CallKind.KEYCTL, (JOIN_SESSION,), result=1)
    added, found = calls.make(
        *("add_key", "s:user", "s:vt:secret", "s:xyz", 3, SESSION_KEYRING),
        *("--", "request_key", "s:user", "s:vt:secret", 0, SESSION_KEYRING),
    )
    calls.check(added, CallKind.KEYCTL, (ADD_KEY,), text="vt:secret", result=1)
    calls.check(found, CallKind.KEYCTL, (REQUEST_KEY,), text="vt:secret", result=1)


@pytest.mark.parametrize(
    ("name", "words", "kind", "args", "text"),
    [
        ("init_module", ("zero", 256, "s:debug=1"), CallKind.MODULE_LOAD, (), "debug=1"),
        ("delete_module", ("s:absent", 2048), CallKind.MODULE_DELETE, (2048,), "absent"),
        ("kexec_load", (0, 0, 0, 1), CallKind.KEXEC_LOAD, (1,), ""),
    ],
)
def test_modules_and_kernels_refused(calls, name, words, kind, args, text):
    """A container that may not: reported with the refusal, or, where the kernel has no such call, said to be unseen."""
    made = calls.make(name, *words)
    if (TRACEPOINTS / f"sys_exit_{name}").is_dir():
        [call] = made
        calls.check(call, kind, args, text=text, result=NOT_PERMITTED)
    else:
        [state] = [state for state in calls.sensor.source.probes() if state.name == f"kernel_{name}"]
        assert (made, state.attached) == ([], False)
        assert f"through {name} go unseen" in state.consequence


def test_the_table_says_what_goes_unseen_without_each_call():
    """Every program of a call names the call in what it says."""
    calls = [row for row in PROGRAMS if row.hook.startswith("syscalls:")]
    rows = [row for row in calls if row.name.startswith(("kernel_", "memory_", "namespace_"))]
    assert len(rows) == 20
    assert all(row.hook.removeprefix("syscalls:sys_exit_") in row.unseen for row in rows)
