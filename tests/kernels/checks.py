"""What must be true of the events one run of acts.c leaves behind; each check asserts, or is told why not."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import NamedTuple, TypeVar

from agent.decode import layout
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
_PORT = 4242
_CHILDREN = 4  # acts.c: a writer, the exec, two clients
_SKIPPED = "open.lost_recursion"
_LOOPBACK = {ip_address("127.0.0.1"), ip_address("::1")}
_IN_IMAGE = layout.FILE_F_OVERLAY
_WRITTEN = layout.FILE_F_OVERLAY | layout.FILE_F_UPPER_LAYER | layout.FILE_F_CREATED | layout.FILE_F_WRITE


class Scene(NamedTuple):
    """One run: the container's events in order, all events, the init's pid, what the kernel's filter holds and lost."""

    cgroup_id: int
    pid: int
    mine: Sequence[Event]
    everything: Sequence[Event]
    behaviours: Sequence[tuple[BehaviourKey, int]]
    lost: dict[str, int]

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
    assert sorted(ended[pid] for pid in forked) == [0, 0, 0, 7 << 8], ended
    assert ended[scene.pid] == 0, f"act {ended[scene.pid] >> 8} failed"


def opens(scene: Scene) -> None:
    """A file made and one read, with what they are to the overlay."""
    seen = {(e.path, e.file_flags, e.mode) for e in scene.of(Open)}
    assert ("/tmp/made", _WRITTEN, 0o100640) in seen, seen
    assert ("/etc/hostname", _IN_IMAGE, 0o100644) in seen, seen


def novelty(scene: Scene) -> None:
    """Of a thousand opens by two processes at once, one record, and a count of a thousand, to the last one.

    Preemptible kernels skip a classic tracepoint's program while another's was interrupted on that CPU: those opens
    must be in the counter of skipped runs.
    """
    [known] = [e for e in scene.of(Open) if e.path == _KNOWN]
    file = b"".join(number.to_bytes(size, "little") for number, size in zip(known.file, (8, 4, 4), strict=True))
    counts = [
        count
        for key, count in scene.behaviours
        if (key.cgroup_id, key.type, key.exe, key.object[:16]) == (scene.cgroup_id, EventType.OPEN, known.exe, file)
    ]
    skipped = scene.lost.get(_SKIPPED, 0)
    assert len(counts) == 1, counts
    assert _KNOWN_TIMES - skipped <= counts[0] <= _KNOWN_TIMES, (counts, skipped)


def connections(scene: Scene) -> None:
    """Connect and accept, IPv4 and IPv6, with both ends."""
    seen = {
        (e.head.type, e.peer, e.peer_port if e.head.type == EventType.CONNECT else e.local_port)
        for e in scene.of(Connection)
    }
    assert seen == {(kind, peer, _PORT) for kind in (EventType.CONNECT, EventType.ACCEPT) for peer in _LOOPBACK}, seen


def modes(scene: Scene) -> None:
    """A file made executable."""
    seen = [(e.mode & 0o7777, e.path.rpartition("/")[2]) for e in scene.of(Chmod) if e.head.task.comm == "acts"]
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
    """Nothing was lost; what a preemptible kernel skipped was counted, and was the known file's."""
    assert set(scene.lost) <= {_SKIPPED}, scene.lost


CHECKS: tuple[Callable[[Scene], None], ...] = (
    *(identity, execs, processes, opens, novelty, connections, modes),
    *(changes, sockets, names, calls, losses),
)
