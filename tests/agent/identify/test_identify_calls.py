"""Whom a call was done to, and whether it was about the host's own namespaces."""

from typing import Any

from agent.events import Call, CallKind, EventType, FileId


def _call(host: Any, task: Any, kind: CallKind, *args: int, target: tuple[int, int, int] = (0, 0, 0)) -> Call:
    """`target` is pid, start in milliseconds and cgroup id."""
    pid, start_ms, cgroup_id = target
    four = (*args, 0, 0, 0, 0)[:4]
    head = host.head(EventType.CALL, task)
    return Call(head, FileId(1, 2, 3), kind, four, 0, pid, start_ms * 1_000_000, cgroup_id, "")


def test_a_known_target_is_the_process_itself(host: Any) -> None:
    root = host.mkdir("/")
    identifier = host.identifier()
    actor, victim = host.task(200, 20_000, root), host.task(300, 30_000, root)
    identifier.identify(host.fork(victim))
    served = identifier.identify(host.exec(victim, "/usr/sbin/nginx"))
    found = identifier.identify(_call(host, actor, CallKind.PTRACE, 16, target=(300, 30_000, root)))
    assert found.target == served.process
    assert found.process.pid == 200


def test_an_unknown_target_keeps_its_id_and_its_container(host: Any) -> None:
    container = "a" * 64
    inside = host.mkdir(f"/docker/{container}")
    identifier = host.identifier()
    found = identifier.identify(
        _call(host, host.task(200, 20_000, host.mkdir("/")), CallKind.KILL, 9, target=(300, 30_000, inside))
    )
    assert found.target is not None
    assert (found.target.pid, found.target.path, found.target.container_id) == (300, "", container)
    later = identifier.identify(host.exec(host.task(300, 30_000, inside), "/bin/x"))
    assert later.process.exec_id == found.target.exec_id


def test_a_call_without_a_target_has_none(host: Any) -> None:
    found = host.identifier().identify(_call(host, host.task(200, 20_000, host.mkdir("/")), CallKind.BPF, 5))
    assert found.target is None
    assert found.host_namespace is False


def test_the_hosts_own_namespace_is_told_from_others(host: Any) -> None:
    identifier = host.identifier()
    task = host.task(200, 20_000, host.mkdir("/"))
    own, other = host.ns("mnt", "host"), host.ns("mnt", "other")
    assert identifier.identify(_call(host, task, CallKind.SETNS, 0x20000, own)).host_namespace
    assert not identifier.identify(_call(host, task, CallKind.SETNS, 0x20000, other)).host_namespace
    assert not identifier.identify(_call(host, task, CallKind.UNSHARE, own, own)).host_namespace
