"""What must be true of the events one run of acts.c leaves behind; each check asserts, or is told why not."""

import platform
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import PurePath
from typing import NamedTuple, TypeVar

from agent.decode import layout
from agent.decode.layout import EV_F_UNFILTERED
from agent.events import (
    Call,
    CallKind,
    Cgroup,
    Chmod,
    Connection,
    Dns,
    Event,
    EventType,
    Exec,
    Exit,
    Fork,
    Open,
    PathChange,
    PathOp,
    Socket,
    SocketOp,
)
from agent.source.port import BehaviourKey
from tests.kernels.container import ARGV, CWD, ActsContainer

E = TypeVar("E")
_KNOWN, _KNOWN_TIMES = "/tmp/known", 1000  # acts.c: REPEATS by each of two processes
_PORT, _OTHER_PORT = 4242, 4243
_CHILDREN = 6  # acts.c: a writer, the exec, three clients, a builder
_SKIPPED, _SKIPPED_MAX = "open.lost_recursion", 10
_BUILT = 100  # acts.c: DIRECTORIES by each of two processes
_TREE = (PathOp.RENAME, PathOp.UNLINK, PathOp.MKDIR)
_STRUCT_ARGUMENTS = (6, 1)  # of a hook: kuid_t
_MKDIR_BY_URING = (5, 15)  # renames and unlinks came with 5.11, but Debian's 5.10 has 5.15's io_uring
_LOOPBACK = {ip_address("127.0.0.1"), ip_address("::1")}
_IN_IMAGE = layout.FILE_F_OVERLAY
_WRITTEN = layout.FILE_F_OVERLAY | layout.FILE_F_UPPER_LAYER | layout.FILE_F_CREATED | layout.FILE_F_WRITE


class Scene(NamedTuple):
    """One run: the container's events in order, all events, the init's pid, what the kernel's filter holds and lost,
    and by which way ("BPF LSM", "fentry" or "") security hooks are seen.
    """

    cgroup_id: int
    pid: int
    mine: Sequence[Event]
    everything: Sequence[Event]
    behaviours: Sequence[tuple[BehaviourKey, int]]
    lost: dict[str, int]
    way: str

    @property
    def kernel(self) -> tuple[int, ...]:
        """Major and minor number of the running kernel."""
        return tuple(int(part) for part in platform.release().split(".")[:2])

    def of(self, kind: type[E]) -> list[E]:
        """The container's events of one type."""
        return [event for event in self.mine if isinstance(event, kind)]


def identity(scene: Scene) -> None:
    """Its cgroup's directory was reported with the inode that stat(2) shows, and its events carry that id."""
    made = [e for e in scene.everything if isinstance(e, Cgroup) and e.id == scene.cgroup_id]
    kinds = {EventType.CGROUP_MKDIR: f"/{ActsContainer.name}", EventType.CGROUP_RMDIR: f"/{ActsContainer.name}"}
    assert {e.head.type: e.path for e in made} == kinds, made
    [first] = [e for e in scene.of(Exec) if e.argv == tuple(ARGV)]
    task = first.head.task
    assert (task.pid, task.ns_pid, task.uid) == (scene.pid, 1, 0), task


def execs(scene: Scene) -> None:
    """Both programs: path, file name, arguments, directory, and that the file is the image's own."""
    seen = [(e.path, e.filename, e.argv, e.cwd, e.exe_flags) for e in scene.of(Exec)]
    second = ("acts", "exit", "7", "zwei Wörter")
    assert [row for row in seen if row[2] == tuple(ARGV)] == [
        ("/bin/acts", "/bin/acts", tuple(ARGV), CWD, _IN_IMAGE)
    ], seen
    assert [row for row in seen if row[2] == second] == [("/bin/acts", "/bin/acts", second, "/tmp", _IN_IMAGE)], seen


def processes(scene: Scene) -> None:
    """Every fork and every exit once, with the status wait(2) gives."""
    forked = [e.head.task.pid for e in scene.of(Fork) if e.head.task.ppid == scene.pid]
    watched = {scene.pid, *forked}  # runc's helpers leave through the same cgroup
    ended = {e.head.task.pid: e.exit_code for e in scene.of(Exit) if e.head.task.pid in watched}
    assert len(forked) == _CHILDREN == len(set(forked)), forked
    assert len([e for e in scene.of(Exit) if e.head.task.pid in watched]) == _CHILDREN + 1, scene.of(Exit)
    assert sorted(ended[pid] for pid in forked) == [0, 0, 0, 0, 0, 7 << 8], ended
    assert ended[scene.pid] == 0, f"act {ended[scene.pid] >> 8} failed"


def opens(scene: Scene) -> None:
    """A file made and one read, with what they are to the overlay."""
    seen = {(e.path, e.file_flags, e.mode) for e in scene.of(Open)}
    assert ("/tmp/made", _WRITTEN, 0o100640) in seen, seen
    assert ("/etc/hostname", _IN_IMAGE, 0o100644) in seen, seen


def novelty(scene: Scene) -> None:
    """Of a thousand opens by two processes at once, one record, and a count of a thousand, to the last one.

    A program is skipped while a task that was preempted in it waits on that CPU (7.2 on): those opens must be in the
    counter of skipped runs, and be few, as programs there keep the CPU to themselves. Where both insert at the same
    instant an old kernel's map may refuse one: that open is reported all the same, and says that it was not filtered.
    """
    reported = [e for e in scene.of(Open) if e.path == _KNOWN]
    [known] = [e for e in reported if not e.head.flags & EV_F_UNFILTERED]
    refused = len(reported) - 1
    file = b"".join(number.to_bytes(size, "little") for number, size in zip(known.file, (8, 4, 4), strict=True))
    counts = [
        count
        for key, count in scene.behaviours
        if (key.cgroup_id, key.type, key.exe, key.object[:16]) == (scene.cgroup_id, EventType.OPEN, known.exe, file)
    ]
    skipped = scene.lost.get(_SKIPPED, 0)
    assert len(counts) == 1, counts
    assert refused <= 1, reported
    assert _KNOWN_TIMES - skipped - refused <= counts[0] <= _KNOWN_TIMES, (counts, skipped)
    assert skipped <= _SKIPPED_MAX, skipped


def connections(scene: Scene) -> None:
    """Connect and accept, IPv4 and IPv6, with both ends; accepted through io_uring, too, where a hook allows."""
    seen = {
        (e.head.type, e.peer, e.peer_port if e.head.type == EventType.CONNECT else e.local_port)
        for e in scene.of(Connection)
    }
    v4 = ip_address("127.0.0.1")
    by_uring = {(EventType.CONNECT, v4, _OTHER_PORT)} | ({(EventType.ACCEPT, v4, _OTHER_PORT)} if scene.way else set())
    by_call = {(kind, peer, _PORT) for kind in (EventType.CONNECT, EventType.ACCEPT) for peer in _LOOPBACK}
    assert seen == by_call | by_uring, seen


def modes(scene: Scene) -> None:
    """A file made executable."""
    seen = [
        (e.mode & 0o7777, e.path.rpartition("/")[2])
        for e in scene.of(Chmod)
        if e.head.task.comm == "acts" and not e.head.flags
    ]
    assert seen == [(0o755, "made")], seen


def changes(scene: Scene) -> None:
    """Rename, hard link, symbolic link, unlink."""
    seen = {(e.op, e.path.rpartition("/")[2], e.target.rpartition("/")[2] or e.text) for e in scene.of(PathChange)}
    wanted = {
        (PathOp.RENAME, "made", "moved"),
        (PathOp.LINK, "moved", "linked"),
        (PathOp.SYMLINK, "pointer", "moved"),
        (PathOp.UNLINK, "linked", ""),
    }
    assert wanted <= seen, seen


def sockets(scene: Scene) -> None:
    """Bind and listen, IPv4 and IPv6."""
    seen = {(e.op, e.local, e.local_port) for e in scene.of(Socket)}
    wanted = {(op, local, _PORT) for op in (SocketOp.BIND, SocketOp.LISTEN) for local in _LOOPBACK}
    assert wanted <= seen, seen


def names(scene: Scene) -> None:
    """A DNS question, from the process that asked."""
    seen = {(e.question, str(e.server), e.server_port, e.received) for e in scene.of(Dns)}
    assert seen == {("www.example", "127.0.0.1", 53, False)}, seen


def calls(scene: Scene) -> None:
    """Memory writable and executable, a memfd, root given up."""
    seen = {(e.call, e.text) for e in scene.of(Call)}
    wanted = {(CallKind.MMAP_WX, ""), (CallKind.MEMFD_CREATE, "vt-kernels"), (CallKind.SETUID, "")}
    assert wanted <= seen, seen


def losses(scene: Scene) -> None:
    """Nothing was lost; runs a preemptible kernel skipped were counted, and few."""
    skipped = {cause: count for cause, count in scene.lost.items() if cause.endswith(".lost_recursion")}
    assert set(scene.lost) == set(skipped), scene.lost
    assert all(count <= _SKIPPED_MAX for count in skipped.values()), skipped


def kernel_paths(scene: Scene) -> None:
    """Where a security hook tells, paths are the kernel's, links followed; else the caller's. Failures are not told."""
    told = [e for e in scene.of(PathChange) if e.op in (PathOp.MKDIR, PathOp.RMDIR, PathOp.RENAME, PathOp.UNLINK)]
    flags = {e.head.flags for e in told if not e.head.flags & layout.EV_F_ATTEMPT}
    assert flags == {0 if scene.way else layout.EV_F_USER_PATH}, flags
    paths = {(e.op, e.path) for e in told}
    assert (PathOp.MKDIR, "/tmp/found" if scene.way else "/tmp/here/found") in paths, paths
    assert not [e for e in told if e.op is PathOp.RMDIR and e.path == "/tmp/full"], paths


def whole_records(scene: Scene) -> None:
    """Two processes that write records at the same time never write into one another's, whoever is preempted when."""
    sides = ("left", "right")
    wanted = {f"/tmp/{side}-{n}/{side}-{n}" for side in sides for n in range(_BUILT)}
    seen = [
        e.path
        for e in scene.of(PathChange)
        if e.op is PathOp.MKDIR and e.path.startswith(("/tmp/left-", "/tmp/right-"))
    ]
    seen = [path for path in seen if path.count("/") == 3]
    assert sorted(seen) == sorted(wanted), (sorted(wanted - set(seen)), sorted(set(seen) - wanted), len(seen))


def other_ways(scene: Scene) -> None:
    """What io_uring and 32-bit calls open and change is seen where a security hook allows, and nowhere else."""
    opened = {e.path: e.head.flags for e in scene.of(Open)}
    own = [e for e in scene.of(PathChange) if e.path.startswith(("/tmp/uring/", "/tmp/compat/")) and e.op in _TREE]
    changed = {(e.op, PurePath(e.path).name, PurePath(e.target).name): e.head.flags for e in own}
    attempt, compat = layout.EV_F_ATTEMPT, layout.EV_F_ATTEMPT | layout.EV_F_COMPAT
    opens = {"/tmp/uring/uring-made": attempt, "/tmp/uring/uring-async": attempt, "/tmp/compat/compat-made": compat}
    assert {path: flags for path, flags in opened.items() if path in opens} == (opens if scene.way else {}), opened
    wanted = {(PathOp.RENAME, "compat-made", "compat-moved"): compat, (PathOp.UNLINK, "compat-moved", ""): compat}
    wanted |= {(PathOp.RENAME, "uring-made", "uring-moved"): attempt, (PathOp.UNLINK, "uring-async", ""): attempt}
    if scene.kernel >= _MKDIR_BY_URING:
        wanted[PathOp.MKDIR, "uring-dir", ""] = attempt
    assert changed == (wanted if scene.way else {}), (changed, wanted)


def other_calls(scene: Scene) -> None:
    """Likewise what io_uring and 32-bit calls do with sockets, memory, modes, owners and mounts."""
    compat = layout.EV_F_ATTEMPT | layout.EV_F_COMPAT
    sockets = {(e.op, e.name or str(e.peer), e.head.flags) for e in scene.of(Socket)}
    changes = {(e.op, e.path, e.target, e.text, e.args) for e in scene.of(PathChange) if e.head.flags == compat}
    calls = {(e.call, e.args[1:3]) for e in scene.of(Call) if e.head.flags == compat}
    modes = {(e.path, e.mode) for e in scene.of(Chmod) if e.head.flags == compat}
    wanted = {
        (SocketOp.BIND, "compat-socket", compat),
        (SocketOp.LISTEN, "compat-socket", compat),
        (SocketOp.CONNECT, "127.0.0.1", layout.EV_F_ATTEMPT),
    }
    assert sockets & wanted == (wanted if scene.way else set()), sockets
    owned = (PathOp.CHOWN, "/tmp/compat/compat-made", "", "", (0, 0))
    mounted = (PathOp.MOUNT, "/tmp/compat", "compat-none", "vt-none", (0, 0))
    told = {mounted} if scene.kernel < _STRUCT_ARGUMENTS else {mounted, owned}
    assert told <= changes if scene.way else not changes, changes
    assert calls == ({(CallKind.MPROTECT_WX, (4096, 7))} if scene.way else set()), calls
    assert modes == ({("compat-made", 0o755)} if scene.way else set()), modes


CHECKS: tuple[Callable[[Scene], None], ...] = (
    *(identity, execs, processes, opens, novelty, connections, modes),
    *(changes, kernel_paths, whole_records, other_ways, other_calls, sockets, names, calls, losses),
)
