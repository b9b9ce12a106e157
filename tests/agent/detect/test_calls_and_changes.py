"""Calls, changes of the file tree and sockets under the names rules know them by."""

from typing import Any

import pytest

from agent.decode.layout import EV_F_USER_PATH
from agent.detect.calls import name_of, operation_of
from agent.detect.changes import action_of
from agent.detect.document import RuntimeDocument
from agent.detect.entities import entities_of
from agent.detect.fields import categories_of
from agent.events import CallKind, PathOp, SocketOp
from detection.finding import EntityKind, Role


def _values(identified: Any, category: str, *fields: str) -> list[Any]:
    document = RuntimeDocument(identified, category, "n")
    return [document.get(field) for field in fields]


@pytest.mark.parametrize("kind", CallKind)
def test_every_call_is_of_one_category_and_has_a_name(world: Any, kind: CallKind) -> None:
    identified = world.calls(world.process("/bin/x"), kind, 99, 0, 0, 0)
    (category,) = categories_of(identified)
    document = RuntimeDocument(identified, category, "n")
    assert document.get("call") == name_of(identified.event) == name_of(identified.event).lower()
    for field in document.keys():  # noqa: SIM118
        document.get(field)
    assert operation_of(identified.event) in (None, "99")


@pytest.mark.parametrize("op", PathOp)
def test_every_change_has_a_category_and_an_action(world: Any, op: PathOp) -> None:
    identified = world.changes(world.process("/bin/x"), op, "/a", "/b", "t")
    assert action_of(identified.event)
    for category in categories_of(identified):
        document = RuntimeDocument(identified, category, "n")
        assert document.get("TargetFilename") in ("/a", "/b")
        for field in document.keys():  # noqa: SIM118
            document.get(field)


def test_a_rename_is_also_a_file_appearing_under_its_new_name(world: Any) -> None:
    identified = world.changes(world.process("/bin/mv"), PathOp.RENAME, "/tmp/x", "/etc/cron.d/x")
    assert categories_of(identified) == ("file_rename", "file_event")
    assert _values(identified, "file_event", "TargetFilename", "SourceFilename", "file.action") == [
        "/etc/cron.d/x",
        "/tmp/x",
        "rename",
    ]


def test_a_path_the_caller_gave_is_taken_from_where_it_stood(world: Any) -> None:
    process = world.process("/bin/rm", cwd="/var/log")
    identified = world.changes(process, PathOp.UNLINK, "../log/./auth.log", flags=EV_F_USER_PATH)
    assert _values(identified, "file_delete", "TargetFilename", "file.action") == ["/var/log/auth.log", "delete"]


def test_a_changed_owner_is_told_and_an_unchanged_one_is_not(world: Any) -> None:
    identified = world.changes(world.process("/bin/chown"), PathOp.CHOWN, "/x", args=(0, (1 << 64) - 1))
    assert _values(identified, "file_event", "file.owner", "file.group") == [0, None]


def test_ptrace_names_its_request_and_its_target(world: Any) -> None:
    target = world.process("/usr/sbin/nginx", "nginx", "-g", "daemon off;")
    identified = world.calls(world.process("/usr/bin/gdb"), CallKind.PTRACE, 16, target=target)
    fields = ("call", "call.operation", "call.succeeded", "TargetImage", "TargetProcessId", "target.same_container")
    assert _values(identified, "process_access", *fields) == [
        "ptrace", "attach", True, "/usr/sbin/nginx", target.pid, True,
    ]  # fmt: skip
    assert any(
        e.kind is EntityKind.PROCESS and e.role is Role.TARGET and e.id == target.exec_id
        for e in entities_of(identified, "n")
    )


def test_a_failed_call_says_why(world: Any) -> None:
    identified = world.calls(world.process("/bin/x"), CallKind.MODULE_LOAD, text="evil", result=-1)
    assert _values(identified, "kernel_call", "call", "call.succeeded", "call.error", "call.text") == [
        "init_module", False, "EPERM", "evil",
    ]  # fmt: skip


def test_user_ids_before_and_after(world: Any) -> None:
    identified = world.calls(world.process("/bin/x"), CallKind.SETUID, 1000, 1000)
    fields = ("privilege.uid_before", "privilege.uid", "privilege.to_root")
    assert _values(identified, "privilege_change", *fields) == [1000, 0, True]
    from_root = world.calls(world.process("/bin/x"), CallKind.SETUID, 0, 33)
    assert _values(from_root, "privilege_change", "privilege.to_root") == [False]


def test_capabilities_gained_and_lost(world: Any) -> None:
    identified = world.calls(world.process("/bin/x"), CallKind.CAPSET, 0b11, 1 << 21 | 0b10)
    assert _values(identified, "privilege_change", "capabilities.gained", "capabilities.lost") == [
        ("cap_sys_admin",),
        ("cap_chown",),
    ]


def test_namespaces_by_name(world: Any) -> None:
    identified = world.calls(world.process("/bin/x"), CallKind.UNSHARE, 0x10020000)
    assert _values(identified, "namespace_change", "namespace.kinds", "namespace.host") == [("mnt", "user"), False]


def test_a_mount_names_source_type_and_flags(world: Any) -> None:
    identified = world.changes(world.process("/bin/mount"), PathOp.MOUNT, "/mnt", "/dev/vda1", "ext4", args=(0x1001, 0))
    fields = ("call", "TargetFilename", "mount.source", "mount.type", "call.flags", "call.succeeded")
    assert _values(identified, "namespace_change", *fields) == [
        "mount", "/mnt", "/dev/vda1", "ext4", ("ro", "bind"), True,
    ]  # fmt: skip


def test_udp_is_a_connection_and_a_unix_socket_is_not(world: Any) -> None:
    udp = world.sockets(world.process("/bin/x"), SocketOp.SEND, 2, 2, 17, peer="10.0.0.1", peer_port=514)
    assert categories_of(udp) == ("network_connection",)
    fields = ("Initiated", "Protocol", "DestinationIp", "DestinationPort", "SourceIp")
    assert _values(udp, "network_connection", *fields) == [True, "udp", "10.0.0.1", 514, "0.0.0.0"]
    unix = world.sockets(world.process("/bin/x"), SocketOp.CONNECT, 1, 1, name="/run/docker.sock")
    assert categories_of(unix) == ("socket_event",)
    fields = ("socket.action", "socket.family", "socket.type", "socket.name", "SourceIp", "SourcePort")
    assert _values(unix, "socket_event", *fields) == ["connect", "unix", "stream", "/run/docker.sock", None, None]
    assert ("/run/docker.sock", Role.TARGET) in [(e.id, e.role) for e in entities_of(unix, "n")]


def test_a_packet_socket_says_what_it_listens_to(world: Any) -> None:
    every = world.sockets(world.process("/bin/x"), SocketOp.CREATE, 17, 3, 3)
    assert _values(every, "socket_event", "socket.family", "Protocol") == ["packet", "all"]
    some = world.sockets(world.process("/bin/x"), SocketOp.CREATE, 17, 3 | 0o2000000, 0x0806)
    assert _values(some, "socket_event", "socket.type", "Protocol") == ["raw", "0x0806"]
