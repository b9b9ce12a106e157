"""cgroup id → path: one scan at start, then the kernel's own reports, for the v1, v2 and hybrid layouts.

The id is the inode of the cgroup's directory (kernfs id) in the hierarchy the sensor takes identity from:
the unified one where it exists, else v1's `pids`.
"""

from collections import Counter, deque
from enum import Enum
from typing import NamedTuple

from agent.events import Cgroup, EventType
from agent.identify.files import text
from agent.identify.host import HERE, HostFiles, exists
from agent.identify.paths import Limits

_DEPTH = 32
_CGROUP_BYTES = 65_536
_V1_CONTROLLERS = ("pids", "systemd", "memory")


class Mode(Enum):
    """How the cgroup hierarchies are laid out."""

    V1 = "v1"
    V2 = "v2"
    HYBRID = "hybrid"
    NONE = "none"


class Layout(NamedTuple):
    """The hierarchy identity comes from.

    `controllers` is how its line in /proc/PID/cgroup names it, "" being the unified one.
    """

    mode: Mode
    root: str
    controllers: tuple[str, ...] = ("",)


def find_layout(base: str, files: HostFiles = HERE) -> Layout:
    """The layout below `base` (usually /sys/fs/cgroup), told by the files each kind of root has."""
    if exists(files, f"{base}/cgroup.controllers"):
        return Layout(Mode.V2, base)
    if exists(files, f"{base}/unified/cgroup.procs"):
        return Layout(Mode.HYBRID, f"{base}/unified")
    for name in _V1_CONTROLLERS:
        if exists(files, f"{base}/{name}/cgroup.procs"):
            return Layout(Mode.V1, f"{base}/{name}", (name, f"name={name}"))
    return Layout(Mode.NONE, base)


class CgroupTable:
    """Which path each cgroup id has. Paths begin at the hierarchy's root: "/" or "/a/b"."""

    def __init__(
        self, layout: Layout, proc: str, limits: Limits, counts: Counter[str], files: HostFiles = HERE
    ) -> None:
        self.layout = layout
        self._files = files
        self._proc = proc
        self._limits = limits
        self._counts = counts
        self._paths: dict[int, str] = {}
        self._ids: dict[str, int] = {}  # living cgroups only
        self._gone: deque[tuple[int, int]] = deque()  # (when to forget, id)
        self._next_scan = 0

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, cgroup_id: int) -> str | None:
        """The path of a cgroup that lives, or died within the grace period."""
        return self._paths.get(cgroup_id)

    def id_of(self, path: str) -> int | None:
        """The id of the living cgroup at this path."""
        return self._ids.get(path)

    def scan(self) -> None:
        """Read the whole hierarchy. Unreadable parts are left out; they come with their first event."""
        stack = [("/", 0)]
        try:
            self._add(self._files.inode(self.layout.root, follow=True), "/")
        except OSError:
            self._counts["cgroup_root_unreadable"] += 1
            return
        while stack:
            path, depth = stack.pop()
            stack.extend((child, depth + 1) for child in self._children(path) if depth < _DEPTH)

    def _children(self, path: str) -> list[str]:
        children = []
        try:
            for entry in self._files.entries(self.layout.root + path):
                if entry.is_dir:
                    child = f"{'' if path == '/' else path}/{entry.name}"
                    self._add(entry.inode, child)
                    children.append(child)
        except OSError:
            pass  # removed while we looked
        return children

    def changed(self, event: Cgroup) -> int | None:
        """Take the kernel's report; the id when this cgroup of ours is gone, else None."""
        if event.head.type is EventType.CGROUP_MKDIR:
            self._made(event.id, event.path)
            return None
        if self._paths.get(event.id) != event.path or self._ids.get(event.path) != event.id:
            return None  # of another hierarchy, or never known
        self.forget_later(event.id, event.head.time_ns)
        return event.id

    def _made(self, cgroup_id: int, path: str) -> None:
        # Hierarchies number their directories independently, and the report does not say whose this is.
        inode = self._inode(path)
        if inode == cgroup_id:
            self._add(cgroup_id, path)
        elif inode is None and cgroup_id not in self._paths and len(path) > 1:
            self._add(cgroup_id, path)  # removed again already; its events may still come
        else:
            self._counts["cgroup_other_hierarchy"] += 1

    def forget_later(self, cgroup_id: int, now_ns: int) -> None:
        """The cgroup is gone: its path is free for another, its id stays known for the grace period."""
        path = self._paths.get(cgroup_id)
        if path is not None and self._ids.get(path) == cgroup_id:
            del self._ids[path]
        self._gone.append((now_ns + self._limits.grace_ns, cgroup_id))

    def find(self, cgroup_id: int, pid: int, now_ns: int) -> str | None:
        """The path of an id nobody announced: asked of its process first, then by a scan, limited in rate."""
        path = self._of_process(cgroup_id, pid)
        if path is None and now_ns >= self._next_scan:
            self._next_scan = now_ns + self._limits.rescan_ns
            self._counts["cgroup_rescans"] += 1
            self.scan()
            path = self._paths.get(cgroup_id)
        if path is None:
            self._counts["cgroup_unknown"] += 1
        return path

    def _of_process(self, cgroup_id: int, pid: int) -> str | None:
        path = self.path_of_pid(pid)
        if path is None or self._inode(path) != cgroup_id:
            return None
        self._add(cgroup_id, path)
        return path

    def path_of_pid(self, pid: int) -> str | None:
        """Where /proc says a process is in this hierarchy."""
        try:
            lines = self._files.read(f"{self._proc}/{pid}/cgroup", _CGROUP_BYTES).split(b"\n")
        except OSError:
            return None
        for line in lines:
            _, _, rest = line.partition(b":")
            names, _, path = rest.partition(b":")
            if any(name in self.layout.controllers for name in names.decode("ascii", "replace").split(",")):
                # A cgroup made while its directory is being removed reads "/a/b (deleted)".
                return text(path).removesuffix(" (deleted)")
        return None

    def alive(self, cgroup_id: int) -> bool:
        """Whether the directory is still there (one stat)."""
        path = self._paths.get(cgroup_id)
        return path is not None and self._inode(path) == cgroup_id

    def _inode(self, path: str) -> int | None:
        if not path.startswith("/") or "/../" in f"{path}/":
            return None
        try:
            return self._files.inode(self.layout.root + path)
        except (OSError, ValueError):
            return None

    def _add(self, cgroup_id: int, path: str) -> None:
        if cgroup_id not in self._paths and len(self._paths) >= self._limits.cgroups:
            self._counts["cgroup_table_full"] += 1
            self._drop(next(iter(self._paths)))
        old = self._paths.get(cgroup_id)
        if old is not None and old != path and self._ids.get(old) == cgroup_id:
            del self._ids[old]  # renamed (v1 allows it), or the inode number is used again
        self._paths[cgroup_id] = path
        self._ids[path] = cgroup_id

    def expire(self, now_ns: int) -> list[int]:
        """Forget what has been gone for the grace period; the ids forgotten."""
        forgotten = []
        while self._gone and self._gone[0][0] <= now_ns:
            _, cgroup_id = self._gone.popleft()
            path = self._paths.get(cgroup_id)
            if path is not None and self._ids.get(path) != cgroup_id:
                self._drop(cgroup_id)
                forgotten.append(cgroup_id)
        return forgotten

    def _drop(self, cgroup_id: int) -> None:
        path = self._paths.pop(cgroup_id, None)
        if path is not None and self._ids.get(path) == cgroup_id:
            del self._ids[path]
