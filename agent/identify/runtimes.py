"""What the container runtimes know, from the state they keep on disk: by container id, or by cgroup path."""

from collections import Counter

from agent.identify.budget import Budget
from agent.identify.cgroups import Layout, Mode
from agent.identify.host import HostFiles, exists
from agent.identify.paths import Limits, Paths, StateRoot
from agent.identify.records import Record, StateReader, valid_id

_NAMED_DEPTH = 6
_BURST = 20  # refreshes at once
_MISSES = 5  # reads of a directory without usable state before it counts as junk


class Runtimes:
    """Finds a container's record. Look-ups by id read one file; look-ups by path use an index.

    The index is renewed when asked for a path it does not have, on average at most once per `rescan_ns`.
    """

    def __init__(self, paths: Paths, layout: Layout, limits: Limits, counts: Counter[str]) -> None:
        self._paths = paths
        controllers = ("",) if layout.mode in (Mode.V2, Mode.HYBRID) else layout.controllers
        self._states = StateReader(controllers, paths.prefix, counts, paths.files)
        self._limits = limits
        self._counts = counts
        self._by_path: dict[str, tuple[str, Record]] = {}  # cgroup → (state directory, record)
        self._by_dir: dict[str, Record] = {}
        self._misses: dict[str, int] = {}
        self._refreshes = Budget(1e9 / limits.rescan_ns, _BURST)

    def by_id(self, container_id: str) -> Record | None:
        """The record of a container whose id the cgroup path gave."""
        for root, runtime in self._roots():
            there = exists(self._paths.files, f"{root}/{container_id}")
            if there and (record := self._states.read(root, container_id, runtime)):
                return record
        return None

    def claiming(self, path: str) -> Record | None:
        """The record of the outermost container whose cgroup is `path` or above it, as far as indexed."""
        end = path.find("/", 1)
        while self._by_path:
            prefix = path if end < 0 else path[:end]
            if found := self._by_path.get(prefix):
                return found[1]
            if end < 0:
                break
            end = path.find("/", end + 1)
        return None

    def look_for(self, path: str, now_ns: int) -> Record | None:
        """The record of the container that claims a path not in the index yet.

        By default runc names a cgroup after the container, so those are asked for by name; only then is the
        whole index renewed, as often as its budget allows.
        """
        for name in path.split("/")[1:_NAMED_DEPTH]:
            record = self.by_id(name) if valid_id(name) else None
            if record is not None and record.cgroup and f"{path}/".startswith(f"{record.cgroup}/"):
                return record
        if not self._refreshes.take(now_ns):
            self._counts["state_refresh_refused"] += 1
            return None
        self.refresh()
        return self.claiming(path)

    def refresh(self) -> None:
        """Bring the index up to date with the state roots."""
        seen = set()
        for root, runtime in self._roots():
            for name in self._names(root):
                directory = f"{root}/{name}"
                seen.add(directory)
                self._visit(directory, root, name, runtime)
        for directory in self._by_dir.keys() - seen:
            self._remove(directory)
        self._misses = {d: n for d, n in self._misses.items() if d in seen}

    def _visit(self, directory: str, root: str, name: str, runtime: str) -> None:
        known = self._by_dir.get(directory)
        if (known is not None and known.init_pid) or self._misses.get(directory, 0) >= _MISSES:
            return
        record = self._states.read(root, name, runtime)
        if record is None or not record.cgroup:
            self._misses[directory] = self._misses.get(directory, 0) + 1
            return
        if known is None and len(self._by_dir) >= self._limits.records:
            self._counts["state_index_full"] += 1
            return
        self._by_dir[directory] = record
        self._by_path[record.cgroup] = (directory, record)

    def _remove(self, directory: str) -> None:
        record = self._by_dir.pop(directory)
        if self._by_path.get(record.cgroup, ("",))[0] == directory:
            del self._by_path[record.cgroup]

    def _names(self, root: str) -> list[str]:
        """Names in a state root that can be containers; what cannot is counted once per look."""
        names: list[str] = []
        try:
            for entry in self._paths.files.entries(root):
                if len(names) >= self._limits.records:
                    self._counts["state_root_crowded"] += 1
                    break
                if entry.is_dir and valid_id(entry.name):
                    names.append(entry.name)
        except OSError:
            pass  # this runtime is not in use here
        return names

    def _roots(self) -> list[tuple[str, str]]:
        return [pair for root in self._paths.state_roots for pair in _expand(root, self._paths.files)]


def _expand(root: StateRoot, files: HostFiles) -> list[tuple[str, str]]:
    """(directory, runtime) of a root; `*` stands for every directory in its place."""
    head, star, tail = root.path.partition("/*")
    if not star:
        return [(root.path, root.runtime)]
    found = []
    try:
        for entry in files.entries(head):
            if entry.is_dir:
                runtime = root.runtime
                if runtime == "containerd" and entry.name == "k8s.io":
                    runtime = "cri-containerd"  # the namespace the CRI plugin works in
                found.append((f"{head}/{entry.name}{tail}", runtime))
    except OSError:
        pass
    return found
