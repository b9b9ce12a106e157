"""Namespaces, roots and host names changed in a real container."""

from pathlib import Path

import pytest

from agent.events import CallKind
from agent.learn.links import novelty_key

pytestmark = [pytest.mark.bpf, pytest.mark.container]

ADMIN = ("CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE")
NEWNS, NEWUTS, NEWUSER, NEWNET, FILES = 0x20000, 0x4000000, 0x10000000, 0x40000000, 0x400
NOT_PERMITTED, NO_SUCH_FILE, BAD_DESCRIPTOR = -1, -2, -9


@pytest.mark.parametrize(("name", "kind"), [("net", NEWNET), ("uts", NEWUTS), ("mnt", NEWNS)])
def test_entering_a_namespace(calls, name, kind):
    """Which kind and which one: read from the descriptor, not from what the caller claims."""
    [call] = calls.make("setns", f"fd:/proc/1/ns/{name}", 0, capabilities=ADMIN)
    number = Path(f"/proc/{calls.container.init_pid}/ns/{name}").stat().st_ino
    calls.check(call, CallKind.SETNS, (kind, number))


def test_entering_namespaces_by_pidfd(calls):
    """A pidfd names a process: the kinds asked for, no number."""
    [call] = calls.make("setns", "pidfd:1", NEWNET | NEWUTS, capabilities=ADMIN)
    calls.check(call, CallKind.SETNS, (NEWNET | NEWUTS, 0))


def test_failed_attempts_to_enter_a_namespace(calls):
    """Without the capability, and without a descriptor."""
    refused, bad = calls.make("setns", "fd:/proc/1/ns/net", NEWNET, "--", "setns", 77, NEWUTS)
    calls.check(refused, CallKind.SETNS, (NEWNET, refused.args[1]), result=NOT_PERMITTED)
    calls.check(bad, CallKind.SETNS, (NEWUTS, 0), result=BAD_DESCRIPTOR)
    assert refused.args[1] == Path(f"/proc/{calls.container.init_pid}/ns/net").stat().st_ino


def test_new_namespaces(calls):
    """Flags as given; a refusal too; unsharing what is no namespace is nothing."""
    [made] = calls.make("unshare", NEWNS | NEWUTS, capabilities=ADMIN)
    calls.check(made, CallKind.UNSHARE, (NEWNS | NEWUTS,))
    [refused] = calls.make("unshare", NEWNET)
    calls.check(refused, CallKind.UNSHARE, (NEWNET,), result=NOT_PERMITTED)
    assert calls.make("unshare", FILES, capabilities=ADMIN) == []


def test_a_repeated_behaviour_is_reported_once(calls):
    """The same program, the same namespace, again; another outcome is another behaviour."""
    words = ("unshare", NEWUTS, "--", "unshare", NEWUTS)
    assert len(calls.make(*words, capabilities=ADMIN)) == 1
    assert calls.make(*words, capabilities=ADMIN) == []
    [refused] = calls.make(*words)
    assert refused.result == NOT_PERMITTED


@pytest.mark.parametrize(
    "words", [("unshare", NEWUTS), ("setns", "fd:/proc/1/ns/uts", 0), ("memfd_create", "s:payload-of-many-bytes", 1)]
)
def test_what_is_not_reported_again_is_counted_under_the_learners_key(calls, words):
    """The learner makes the key from the event: it must be the one the kernel counts under."""
    [made] = calls.make(*words, "--", *words, capabilities=ADMIN)
    assert calls.make(*words, capabilities=ADMIN) == []
    assert dict(calls.sensor.source.behaviours())[novelty_key(made)] == 3


def test_a_change_of_root(calls):
    """The path as given; refusals too."""
    [made] = calls.make("chroot", "s:/tmp", capabilities=ADMIN)
    calls.check(made, CallKind.CHROOT, (), text="/tmp")
    [absent] = calls.make("chroot", "s:./absent\x1b", capabilities=ADMIN)
    calls.check(absent, CallKind.CHROOT, (), text="./absent\x1b", result=NO_SUCH_FILE)
    [refused] = calls.make("chroot", "s:/tmp")
    calls.check(refused, CallKind.CHROOT, (), text="/tmp", result=NOT_PERMITTED)


def test_a_new_host_name(calls):
    """The name the kernel took, of the length the caller gave; none where it refused."""
    [made] = calls.make("sethostname", "s:vedette-test-and-more", 12, capabilities=ADMIN)
    calls.check(made, CallKind.SETHOSTNAME, (), text="vedette-test")
    [refused] = calls.make("sethostname", "s:other", 5)
    calls.check(refused, CallKind.SETHOSTNAME, (), result=NOT_PERMITTED)
