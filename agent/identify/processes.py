"""The process tree: who started whom, safe against reuse of pids, bounded, with every loss counted."""

import hashlib
import struct
from collections import Counter, deque
from dataclasses import replace

from agent.events import Exec, Task
from agent.identify.budget import Budget
from agent.identify.host import HERE, HostFiles
from agent.identify.keys import NS_PER_TICK, PID_BITS, key_of, key_of_ticks
from agent.identify.paths import Limits
from agent.identify.procfs import Found, read_process, read_stat
from agent.workload import Process


class Node:
    """One process. `value` is made when first asked for: most forks are followed by exec or exit only.
    Until then it is `born_as`: what its parent was when it forked.

    `parent` is the process that forked it and stays so when it is orphaned. `upper` holds the ancestry of a
    node whose own entry was dropped, for descendants that still live.
    """

    __slots__ = (
        "born_as", "cgroup_id", "container_id", "entry_id", "exited_ns", "key", "ns_pid", "parent", "pid", "placed",
        "seen_ns", "start_ns", "tty", "uid", "upper", "value",
    )  # fmt: skip

    def __init__(self, key: int, pid: int, start_ns: int, parent: "Node | None") -> None:
        self.key = key
        self.pid = pid
        self.start_ns = start_ns
        self.parent = parent
        self.upper: tuple[Process, ...] = ()
        self.value: Process | None = None
        self.born_as: Process | None = None
        self.exited_ns = 0
        self.cgroup_id = 0
        self.ns_pid = 0
        self.uid = 0
        self.tty = 0
        self.container_id = ""
        self.entry_id = ""
        self.seen_ns = 0  # when it was born, or first seen
        self.placed = False  # its container and entry were decided


class ProcessTree:
    """Processes by (pid, start). Not thread-safe."""

    def __init__(self, boot_id: str, proc: str, limits: Limits, counts: Counter[str], files: HostFiles = HERE) -> None:
        self._files = files
        self._boot = hashlib.blake2b(boot_id.encode(), digest_size=8)
        self._proc = proc
        self._limits = limits
        self._counts = counts
        self._nodes: dict[int, Node] = {}
        self._by_pid: dict[int, Node] = {}
        self._by_exec_id: dict[str, Node] = {}
        self._exited: deque[Node] = deque()
        self._reads = Budget(limits.proc_reads, limits.proc_reads)
        self._sweep: list[Node] = []

    def __len__(self) -> int:
        return len(self._nodes)

    def exec_id(self, key: int) -> str:
        """16 hex digits: a hash of boot id, pid and start ticks."""
        digest = self._boot.copy()
        digest.update(struct.pack("<IQ", key & 0xFFFFFFFF, key >> PID_BITS))
        return digest.hexdigest()

    def get(self, exec_id: str) -> Node | None:
        """A process that lives or died within the grace period, if an event has named it."""
        return self._by_exec_id.get(exec_id)

    def of_key(self, key: int) -> Node | None:
        """The node with this key."""
        return self._nodes.get(key)

    def forked(self, task: Task, now_ns: int) -> Node:
        """A child was born; its parent as the kernel says, or as well as can be told."""
        key = key_of(task.pid, task.start_ns)
        node = self._nodes.get(key)
        if node is not None and not node.exited_ns:
            return node  # seeded a moment ago; what /proc said is newer
        parent = self._parent(task, now_ns)
        node = self._new(key, task.pid, task.start_ns, parent, now_ns)
        _take(node, task)
        if parent is not None:
            node.born_as = parent.value or self.value(parent)
            node.container_id, node.entry_id, node.placed = parent.container_id, parent.entry_id, parent.placed
        return node

    def of(self, task: Task, now_ns: int) -> Node:
        """The process behind an event; from /proc or as a placeholder when its fork was lost."""
        key = task.start_ns // NS_PER_TICK << PID_BITS | task.pid
        node = self._nodes.get(key)
        if node is not None:
            return node
        self._counts["process_fork_missed"] += 1
        node = self._new(key, task.pid, task.start_ns, self._parent(task, now_ns), now_ns)
        _take(node, task)
        found = self._read(task.pid, key >> PID_BITS, now_ns)
        if found is not None:
            node.value = self._from_proc(node, found)
        return node

    def executed(self, event: Exec, now_ns: int) -> Node:
        """A process has a new program (its value is set by `describe`)."""
        task = event.head.task
        key = task.start_ns // NS_PER_TICK << PID_BITS | task.pid
        node = self._nodes.get(key)
        if node is None:
            self._counts["process_fork_missed"] += 1
            node = self._new(key, task.pid, task.start_ns, self._parent(task, now_ns), now_ns)
        _take(node, task)
        return node

    def describe(self, node: Node, event: Exec) -> Process:
        """The program of this exec, in the place already decided for the node."""
        value, parent = node.value, node.parent
        process = Process(
            self.exec_id(node.key) if value is None else value.exec_id,
            node.pid,
            "" if parent is None else (parent.value or self.value(parent)).exec_id,
            event.path,
            event.argv,
            event.cwd,
            node.uid,
            node.tty,
            node.start_ns,
            node.cgroup_id,
            node.container_id,
            node.entry_id,
            event.exe_flags,
        )
        if value is None:
            self._set(node, process)
        else:
            node.value = process
        return process

    def value(self, node: Node) -> Process:
        """The process as a value: after a fork it runs its parent's program."""
        if node.value is not None:
            return node.value
        born_as = node.born_as
        process = Process(
            self.exec_id(node.key),
            node.pid,
            "" if node.parent is None else self.value(node.parent).exec_id,
            born_as.path if born_as else "",
            born_as.argv if born_as else (),
            born_as.cwd if born_as else "",
            node.uid,
            node.tty,
            node.start_ns,
            node.cgroup_id,
            node.container_id,
            node.entry_id,
            born_as.exe_flags if born_as else 0,
        )
        self._set(node, process)
        return process

    def moved(self, node: Node, container_id: str, entry_id: str) -> None:
        """The node runs in this container from now on, having entered through `entry_id`."""
        node.placed = True
        if node.container_id == container_id and node.entry_id == entry_id:
            return
        node.container_id, node.entry_id = container_id, entry_id
        if node.value is not None:
            node.value = replace(node.value, cgroup_id=node.cgroup_id, container_id=container_id, entry_id=entry_id)

    def _set(self, node: Node, process: Process) -> None:
        node.value = process
        if node.key in self._nodes:
            self._by_exec_id[process.exec_id] = node

    def ancestors(self, node: Node) -> tuple[Process, ...]:
        """From the parent upwards, at most `limits.ancestors`."""
        found: list[Process] = []
        room = self._limits.ancestors
        parent = node.parent
        while parent is not None and room:
            value = parent.value
            found.append(self.value(parent) if value is None else value)
            room -= 1
            node, parent = parent, parent.parent
        return (*found, *node.upper[:room]) if node.upper and room else tuple(found)

    def exited(self, node: Node, now_ns: int) -> None:
        """The process is gone; it stays for its children's ancestry until the grace period ends."""
        if not node.exited_ns:
            node.exited_ns = now_ns
            self._exited.append(node)
            if len(self._exited) > self._limits.exited:
                self._counts["process_forgotten_early"] += 1
                self._drop(self._exited.popleft())

    def _parent(self, task: Task, now_ns: int) -> Node | None:
        if not task.ppid:
            return None
        key = key_of(task.ppid, task.parent_start_ns)
        node = self._nodes.get(key)
        if node is not None:
            return node
        self._counts["process_parent_missed"] += 1
        return self._adopt(task.ppid, key, task.parent_start_ns, now_ns, self._limits.ancestors)

    def _adopt(self, pid: int, key: int, start_ns: int, now_ns: int, depth: int) -> Node:
        """A process whose fork we missed, with its own ancestors, from /proc if it still lives."""
        found = self._read(pid, key >> PID_BITS, now_ns)
        if found is None:
            self._counts["process_placeholder"] += 1
            return self._new(key, pid, start_ns, None, now_ns)
        node = self._new(key, pid, start_ns, self._parent_of_found(found, now_ns, depth - 1), now_ns)
        self._take_found(node, found)
        return node

    def _parent_of_found(self, found: Found, now_ns: int, depth: int) -> Node | None:
        ppid = found.stat.ppid
        known = self._by_pid.get(ppid)
        if known is not None and not known.exited_ns:
            return known
        stat = read_stat(self._proc, ppid, self._files) if ppid and depth else None
        if stat is None:
            return None
        key = key_of_ticks(ppid, stat.start_ticks)
        return self._nodes.get(key) or self._adopt(ppid, key, stat.start_ticks * NS_PER_TICK, now_ns, depth)

    def _read(self, pid: int, start_ticks: int, now_ns: int) -> Found | None:
        if not self._reads.take(now_ns):
            self._counts["process_reads_refused"] += 1
            return None
        return read_process(self._proc, pid, start_ticks, self._files)

    def seed(self, found: Found, now_ns: int) -> Node:
        """A process that was there before us; parents must be seeded first."""
        key = key_of_ticks(found.pid, found.stat.start_ticks)
        parent = self._by_pid.get(found.stat.ppid) if found.stat.ppid else None
        node = self._new(key, found.pid, found.stat.start_ticks * NS_PER_TICK, parent, now_ns)
        self._take_found(node, found)
        return node

    def _take_found(self, node: Node, found: Found) -> None:
        node.uid, node.tty, node.ns_pid = found.uid, found.stat.tty, found.ns_pid
        self._set(node, self._from_proc(node, found))

    def _from_proc(self, node: Node, found: Found) -> Process:
        return Process(
            self.exec_id(node.key),
            node.pid,
            self.value(node.parent).exec_id if node.parent else "",
            found.path,
            found.argv,
            found.cwd,
            found.uid,
            found.stat.tty,
            node.start_ns,
            node.cgroup_id,
            node.container_id,
            node.entry_id,
            seeded=True,
        )

    def _new(self, key: int, pid: int, start_ns: int, parent: Node | None, now_ns: int) -> Node:
        before = self._by_pid.get(pid)
        if before is not None and not before.exited_ns:
            self._counts["process_exit_missed"] += 1  # its pid has a new owner
            self.exited(before, now_ns)
        if len(self._nodes) >= self._limits.processes:
            self._make_room()
        node = self._nodes[key] = self._by_pid[pid] = Node(key, pid, start_ns, parent)
        node.seen_ns = now_ns
        return node

    def _make_room(self) -> None:
        if self._exited:
            self._counts["process_dropped_exited"] += 1
            self._drop(self._exited.popleft())
        else:
            self._counts["process_dropped_living"] += 1
            self._drop(next(iter(self._nodes.values())))

    def _drop(self, node: Node) -> None:
        if self._nodes.get(node.key) is node:
            del self._nodes[node.key]
        if self._by_pid.get(node.pid) is node:
            del self._by_pid[node.pid]
        if node.value is not None and self._by_exec_id.get(node.value.exec_id) is node:
            del self._by_exec_id[node.value.exec_id]
        # Living descendants still point here. Cut the chain above, or it would grow for ever under a
        # program that forks and exits again and again.
        node.upper = self.ancestors(node)
        node.parent = None

    def expire(self, now_ns: int) -> None:
        """Drop what has been gone for the grace period, and look for exits nobody announced."""
        horizon = now_ns - self._limits.grace_ns
        while self._exited and self._exited[0].exited_ns <= horizon:
            self._drop(self._exited.popleft())
        if not self._sweep:
            self._sweep = list(self._nodes.values())
        for _ in range(min(self._limits.sweep, len(self._sweep))):
            self._check(self._sweep.pop(), now_ns)

    def _check(self, node: Node, now_ns: int) -> None:
        if node.exited_ns or self._nodes.get(node.key) is not node:
            return
        stat = read_stat(self._proc, node.pid, self._files)
        if stat is None or stat.start_ticks != node.key >> PID_BITS:
            self.exited(node, now_ns)


def _take(node: Node, task: Task) -> None:
    node.cgroup_id = task.cgroup_id
    node.ns_pid = task.ns_pid
    node.uid = task.uid
    node.tty = task.tty
