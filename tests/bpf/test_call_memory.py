"""Memory that can be written and run, and files without names, made in a real container."""

import pytest

from agent.events import CallKind

pytestmark = [pytest.mark.bpf, pytest.mark.container]

PAGE, READ, WRITE, EXECUTE = 4096, 1, 2, 4
PRIVATE_ANONYMOUS, SHARED_ANONYMOUS = 0x22, 0x21
ALL = READ | WRITE | EXECUTE
NOT_PERMITTED = -1


def test_writable_and_executable_mappings(calls):
    """Once for each kind of mapping; one that is not both is nothing."""
    words = ("mmap", 0, PAGE, ALL, PRIVATE_ANONYMOUS, -1, 0)
    shared = ("mmap", 0, 2 * PAGE, ALL, SHARED_ANONYMOUS, -1, 0)
    harmless = ("mmap", 0, PAGE, READ | EXECUTE, PRIVATE_ANONYMOUS, -1, 0)
    first, second = calls.make(*words, "--", *words, "--", *shared, "--", *harmless)
    calls.check(first, CallKind.MMAP_WX, (0, PAGE, ALL, PRIVATE_ANONYMOUS), result=1)
    calls.check(second, CallKind.MMAP_WX, (0, 2 * PAGE, ALL, SHARED_ANONYMOUS), result=1)
    assert second.result % PAGE == 0
    assert first.result != second.result
    assert calls.make(*words) == []


@pytest.mark.parametrize(("name", "key"), [("mprotect", ()), ("pkey_mprotect", (-1,))])
def test_memory_made_writable_and_executable(calls, name, key):
    """Address, length and protection; without both rights it is nothing."""
    made = calls.make(name, "page", PAGE, READ | EXECUTE, *key, "--", name, "page", PAGE, ALL, *key)
    assert calls.status == 0
    [call] = made
    calls.check(call, CallKind.MPROTECT_WX, (call.args[0], PAGE, ALL))
    assert call.args[0] % PAGE == 0 != call.args[0]


def test_files_without_a_name(calls):
    """The name given and the flags; another name is another behaviour."""
    words = ("memfd_create", "s:payload", 1, "--", "memfd_create", "s:payload", 1, "--", "memfd_create", "s:other", 3)
    first, second = calls.make(*words)
    calls.check(first, CallKind.MEMFD_CREATE, (1,), text="payload", result=1)
    calls.check(second, CallKind.MEMFD_CREATE, (3,), text="other", result=1)


def test_page_faults_taken_in_user_space(calls):
    """For user mode only it is granted to all, else refused or granted by the machine's policy."""
    user_only, whole = calls.make("userfaultfd", 1, "--", "userfaultfd", 0)
    calls.check(user_only, CallKind.USERFAULTFD, (1,), result=1)
    calls.check(whole, CallKind.USERFAULTFD, (0,), result=NOT_PERMITTED)
