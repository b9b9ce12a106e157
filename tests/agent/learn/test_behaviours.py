"""From events to members: each class, how its members read, and what they touch."""

from ipaddress import ip_address
from typing import Any

import pytest

from agent.decode.layout import EV_F_USER_PATH
from agent.events import (
    Call,
    CallKind,
    Chmod,
    EventType,
    Exec,
    FileFlag,
    FileId,
    Open,
    PathChange,
    PathOp,
    Socket,
    SocketOp,
)
from agent.learn.behaviour import behaviours_of, is_behaviour
from agent.learn.links import novelty_key
from agent.learn.techniques import techniques_of

EXE = FileId(5, 1, 0)
USUAL = 0xA80425FB


def call(world: Any, kind: CallKind, *args: int, result: int = 0, text: str = "", **task: int) -> Any:
    process = world.process()
    head = world.head(EventType.CALL, process)
    head = head._replace(task=head.task._replace(**task))
    full = (*args, 0, 0, 0, 0)[:4]
    return world.identified(Call(head, EXE, kind, full, result, 0, 0, 0, text), process)


def change(
    world: Any, op: PathOp, path: str, target: str = "", text: str = "", flags: int = 0, args: Any = (0, 0)
) -> Any:
    process = world.process()
    head = world.head(EventType.PATH, process)._replace(flags=flags)
    return world.identified(PathChange(head, EXE, EXE, op, 0, args, path, target, text), process)


def sock(world: Any, op: SocketOp, family: int = 2, protocol: int = 6, **more: Any) -> Any:
    fields = {
        "type": 1,
        "local": ip_address("0.0.0.0"),
        "local_port": 0,
        "peer": None,
        "peer_port": 0,
        "result": 0,
        "name": "",
        **more,
    }
    process = world.process()
    head = world.head(EventType.SOCKET, process)
    event = Socket(
        head, EXE, op, family, fields["type"], protocol, fields["local"], fields["local_port"], fields["peer"],
        fields["peer_port"], fields["result"], fields["name"],
    )  # fmt: skip
    return world.identified(event, process)


def shown(identified: Any) -> list[tuple[str, str]]:
    assert is_behaviour(identified.event)
    found = behaviours_of(identified, {"10.0.0.9": "k8s/shop/deployment/api/api"})
    for behaviour in found:
        assert "never" in behaviour.sentence or "ever" in behaviour.sentence
        assert techniques_of(behaviour)
    return [(b.kind, b.member) for b in found]


@pytest.mark.parametrize(
    ("kind", "args", "task", "member"),
    [
        (CallKind.SETUID, (0, 0), {"uid": 33, "euid": 33}, ("credential", "/bin/httpd → uid root → 33")),
        (CallKind.SETUID, (4711, 4711), {"uid": 4711, "euid": 0}, ("credential", "/bin/httpd → uid user → user/root")),
        (CallKind.SETGID, (0, 0), {"gid": 100, "egid": 100}, ("credential", "/bin/httpd → gid root → 100")),
        (CallKind.CAPSET, (0, 1 << 21), {}, ("capability", "/bin/httpd → gains cap_sys_admin")),
        (CallKind.CAPSET, (3, 1), {}, ("capability", "/bin/httpd → gives up capabilities")),
        (CallKind.UNSHARE, (0x10020000,), {}, ("call", "/bin/httpd → unshare mnt,user")),
        (CallKind.PTRACE, (16,), {}, ("call", "/bin/httpd → ptrace attach (unknown)")),
        (CallKind.BPF, (5, 1), {}, ("call", "/bin/httpd → bpf prog_load 1")),
        (CallKind.MMAP_WX, (0, 4096, 7, 34), {}, ("call", "/bin/httpd → mmap writable and executable")),
        (CallKind.IO_URING_SETUP, (8, 0), {}, ("call", "/bin/httpd → io_uring_setup")),
    ],
)
def test_calls_are_told_by_what_they_do(world: Any, kind: CallKind, args: Any, task: Any, member: Any) -> None:
    assert shown(call(world, kind, *args, **task)) == [member]


def test_a_call_that_failed_is_another_behaviour(world: Any) -> None:
    assert shown(call(world, CallKind.MODULE_LOAD, text="evil", result=-1)) == [
        ("call", "/bin/httpd → init_module evil (refused)")
    ]


def test_what_is_new_is_weighed_and_the_ordinary_is_not(world: Any) -> None:
    weights = {
        "root": behaviours_of(call(world, CallKind.SETUID, 1000, 1000, uid=0, euid=0))[0].touches[0].weight,
        "admin": behaviours_of(call(world, CallKind.CAPSET, 0, 1 << 21))[0].touches[0].weight,
        "bind": behaviours_of(call(world, CallKind.CAPSET, 0, 1 << 10))[0].touches[0].weight,
    }
    assert weights["root"] > 1.0 < weights["admin"]
    assert weights["bind"] < 1.0


def test_an_exec_also_shows_which_capabilities_a_container_holds(world: Any) -> None:
    plain, more = (world.exec("/bin/cgi", "cgi") for _ in range(2))
    usual = world.identified(plain.event._replace(cap_effective=USUAL), plain.process, *plain.ancestors)
    admin = world.identified(more.event._replace(cap_effective=USUAL | 1 << 21), more.process, *more.ancestors)
    assert isinstance(plain.event, Exec)
    assert shown(plain) == [("exec", "/bin/httpd → /bin/cgi")]
    assert shown(usual)[1] == ("capability", "own → starts with a container's usual capabilities")
    assert shown(admin)[1] == ("capability", "own → starts with the usual capabilities and cap_sys_admin")
    assert behaviours_of(usual)[1].touches == ()
    assert behaviours_of(admin)[1].touches[0].weight >= 1.0


def test_reads_are_told_where_they_say_something(world: Any) -> None:
    def read(path: str, flags: int = 0) -> list[tuple[str, str]]:
        return shown(world.write(path, flags=flags))

    assert read("/etc/shadow") == [("read", "/bin/httpd → /etc/shadow")]
    assert read("/srv/page-1234.html") == [("read", "/bin/httpd → /srv/page-<n>.html")]
    for path in (
        "/usr/lib/x.so",
        "/usr/share/zoneinfo/UTC",
        "/srv/venv/lib/python3.11/site-packages/a/b.py",
        "/etc/ld.so.cache",
    ):
        assert read(path) == [], "came with the software"
    assert read("/usr/lib/x.so", FileFlag.UPPER_LAYER) == [("read", "/bin/httpd → /usr/lib/x.so")]
    assert read("/usr/share/x/tls.key") == [("read", "/bin/httpd → /usr/share/x/tls.key")]
    assert behaviours_of(world.write("/etc/shadow", flags=0))[0].touches[0].weight >= 1.5


def test_changes_of_the_tree_are_writes_by_deed(world: Any) -> None:
    assert shown(change(world, PathOp.RENAME, "/srv/a.tmp", "/srv/a")) == [("write", "/bin/httpd → /srv/a")]
    assert shown(change(world, PathOp.UNLINK, "/var/log/auth.log")) == [
        ("write", "/bin/httpd → delete /var/log/auth.log")
    ]
    assert shown(change(world, PathOp.SYMLINK, "/srv/l", text="/etc/shadow")) == [("write", "/bin/httpd → link /srv/l")]
    assert shown(change(world, PathOp.UNLINK, "x/../y", flags=EV_F_USER_PATH)) == [("write", "/bin/httpd → delete /y")]
    process = world.process()
    chmod = Chmod(world.head(EventType.CHMOD, process), 0o4755, "/tmp/x")
    assert shown(world.identified(chmod, process)) == [("write", "/bin/httpd → chmod +s /tmp/x")]


def test_mounts_and_devices_are_calls(world: Any) -> None:
    assert shown(change(world, PathOp.MOUNT, "/mnt", text="proc")) == [("call", "/bin/httpd → mount proc /mnt")]
    assert shown(change(world, PathOp.MKNOD, "/dev/x", args=(0o20666, 1))) == [("call", "/bin/httpd → mknod /dev/x")]
    assert shown(change(world, PathOp.MKNOD, "/run/fifo", args=(0o10666, 0))) == [("write", "/bin/httpd → /run/fifo")]


def test_who_comes_is_told_by_workload_or_network(world: Any) -> None:
    def came(peer: str) -> tuple[str, str]:
        event = world.connect(peer, 40000, kind=EventType.ACCEPT)
        return shown(world.identified(event.event._replace(local_port=8080), event.process))[0]

    assert came("10.0.0.9") == ("ingress", "/bin/httpd → tcp :8080 from k8s/shop/deployment/api/api")
    assert came("10.3.4.5") == came("10.3.9.9") == ("ingress", "/bin/httpd → tcp :8080 from 10.3.0.0/16")
    assert came("8.8.8.8") == came("1.1.1.1") == ("ingress", "/bin/httpd → tcp :8080 from public")
    assert came("127.0.0.1") == ("ingress", "/bin/httpd → tcp :8080 from loopback")


def test_listeners_and_unix_sockets(world: Any) -> None:
    assert shown(sock(world, SocketOp.LISTEN, local_port=4444)) == [("listen", "/bin/httpd → tcp 0.0.0.0:4444")]
    assert shown(sock(world, SocketOp.LISTEN, local_port=51000)) == [("listen", "/bin/httpd → tcp 0.0.0.0:*")]
    assert not is_behaviour(sock(world, SocketOp.BIND, local_port=80).event), "a listener follows"
    control = sock(world, SocketOp.CONNECT, 1, 0, name="/var/run/docker.sock")
    assert shown(control) == [("egress", "/bin/httpd → unix /var/run/docker.sock")]
    assert behaviours_of(control)[0].touches[0].weight == 2.0
    assert shown(sock(world, SocketOp.CREATE, 17, 3, type=3)) == [("call", "/bin/httpd → packet socket 0x0003")]
    assert shown(sock(world, SocketOp.CREATE, 2, 1, type=3, result=-1)) == [
        ("call", "/bin/httpd → raw socket icmp (refused)")
    ]


def test_keys_of_calls_are_the_kernels(world: Any) -> None:
    """bpf/include/call.h: struct call_object."""
    unshare = novelty_key(call(world, CallKind.UNSHARE, 0x10020000).event)
    memfd = novelty_key(call(world, CallKind.MEMFD_CREATE, 1, text="payload-2").event)
    failed = novelty_key(call(world, CallKind.BPF, 5, 1, result=-1).event)
    assert unshare is not None
    assert memfd is not None
    assert failed is not None
    assert unshare.object == bytes.fromhex("0000021000000000" + "00" * 8 + "05000000" + "00000000")
    assert memfd.object == bytes.fromhex("0100000000000000") + b"payload\0" + bytes.fromhex("0e00000000000000")
    assert failed.object[-8:] == bytes.fromhex("0c00000001000000")
    assert novelty_key(call(world, CallKind.PTRACE, 16).event) is None, "always reported"


def test_hostile_events_give_a_bounded_member_or_none(world: Any) -> None:
    for text in ("\x1b]0;x\x07", "→ → →", "*" * 4000, "\ud800", "/" * 500, ""):
        for identified in (
            call(world, CallKind.MEMFD_CREATE, 1 << 63, text=text), change(world, PathOp.SETXATTR, text, text=text),
            change(world, PathOp.RENAME, text, text), sock(world, SocketOp.CONNECT, 1, 0, name=text),
            world.write(text or "/"),
            world.exec("/" + text, text),
        ):  # fmt: skip
            assert all(len(member) <= 320 for _, member in shown(identified))
            novelty_key(identified.event)


def test_a_memory_file_is_one_whatever_its_name(world: Any) -> None:
    process = world.process()
    flags = FileFlag.MEMFD | FileFlag.WRITE
    opens = [
        Open(world.head(EventType.OPEN, process), EXE, FileId(n, 1, 0), flags, 1, 0o644, 1, f"/memfd:{n}x")
        for n in range(2)
    ]  # fmt: skip
    assert {shown(world.identified(event, process))[0] for event in opens} == {("write", "/bin/httpd → memfd:")}


def test_a_process_whose_start_was_not_seen_has_a_name_for_that(world: Any) -> None:
    nobody = world.process("", "")
    (found,) = behaviours_of(world.write("/srv/a", nobody))
    assert (found.member, found.sentence) == (
        "(unknown program) → /srv/a", "/srv/a was never written by (unknown program)",
    )  # fmt: skip
