"""Identify: attaches process, ancestry, container and workload to every event."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from agent.events import (
    Call,
    CallKind,
    Cgroup,
    Connection,
    Dns,
    Event,
    EventType,
    Exec,
    Exit,
    Fork,
    Head,
    Socket,
    SocketOp,
    Task,
)
from agent.identify.addresses import host_namespace
from agent.identify.cgroup_path import NOTHING
from agent.identify.cgroups import CgroupTable, find_layout
from agent.identify.describer import Describer
from agent.identify.keys import key_of
from agent.identify.names import Names, configured_servers
from agent.identify.paths import Limits, Paths
from agent.identify.processes import Node, ProcessTree
from agent.identify.procfs import Found, pids, read_process
from agent.identify.residents import Resident, Residents
from agent.identify.runtimes import Runtimes
from agent.identify.sources import Engines, NoEngines
from agent.identify.workloads import HERE, Scope, workload_of_unit
from agent.workload import Container, Identified, Process, Workload

_PREFIX = "identify_"
_SET_UP_NS = 5_000_000_000
_TALKS = (SocketOp.CONNECT, SocketOp.SEND)
_OTHER_NAMESPACES = ("net", "ipc", "uts", "user", "cgroup")


class Identifier:
    """Who did it. Not thread-safe; its clock is the events' (`tick` takes the same, Unix time in nanoseconds).

    Start the sensor, then `seed`, then hand over events in order. What was missing is counted in `dropped`.
    """

    def __init__(
        self,
        boot_id: str,
        paths: Paths = Paths(),  # noqa: B008
        limits: Limits = Limits(),  # noqa: B008
        engines: Engines | None = None,
        scope: Scope = HERE,
    ) -> None:
        self._paths = paths
        self._counts: Counter[str] = Counter()
        layout = find_layout(paths.cgroup, paths.files)
        self._cgroups = CgroupTable(layout, paths.proc, limits, self._counts, paths.files)
        runtimes = Runtimes(paths, layout, limits, self._counts)
        self._runtimes = runtimes
        describer = Describer(paths, engines or NoEngines(), self._counts)
        self._residents = Residents(
            paths,
            limits,
            cgroups=self._cgroups,
            runtimes=runtimes,
            describer=describer,
            scope=scope,
            counts=self._counts,
        )
        self._tree = ProcessTree(boot_id, paths.proc, limits, self._counts, paths.files)
        self._host_mnt = host_namespace(paths.proc, "mnt", paths.files)
        self._host = Resident("/", NOTHING, workload_of_unit("", "", scope))
        self._host_pid_ns = host_namespace(paths.proc, "pid", paths.files)
        others = (host_namespace(paths.proc, kind, paths.files) for kind in _OTHER_NAMESPACES)
        self._host_namespaces = frozenset((self._host_mnt, self._host_pid_ns, *others)) - {0}
        self._names = Names(lambda pid: configured_servers(paths.proc, pid, paths.files))
        self._handlers: dict[type, Callable[..., Identified | None]] = {
            Fork: self._fork,
            Exec: self._exec,
            Exit: self._exit,
            Cgroup: self._cgroup,
            Call: self._call,
            Connection: self._connection,
            Socket: self._socket,
            Dns: self._dns,
        }

    def identify(self, event: Event) -> Identified | None:
        """The event with everything known about it; None for fork and cgroup events, which only move the state on."""
        return self._handlers.get(type(event), self._other)(event)

    def _fork(self, event: Fork) -> None:
        self._tree.forked(event.head.task, event.head.time_ns)

    def _exec(self, event: Exec) -> Identified:
        head = event.head
        task, now_ns = head.task, head.time_ns
        node = self._tree.executed(event, now_ns)
        resident = self._resident(self._residents.of_new_program(task.cgroup_id, task.pid, now_ns), task)
        if not node.placed or node.container_id != resident.container_id:
            if self._is_set_up(node, resident, task, now_ns):
                resident = self._outside(node, now_ns)
            self._place(node, resident, task.ns_pid, now_ns)
        elif node.key == resident.init_key and node.entry_id:
            self._tree.moved(node, node.container_id, "")  # the runtime's word came after another's event
        if not resident.mount_ns and resident.container is not None:
            self._learn_mount_ns(node, resident, task.mnt_ns)
        process = self._tree.describe(node, event)
        return Identified(event, process, self._tree.ancestors(node), resident.container, resident.workload)

    def _other(self, event: Event) -> Identified:
        head = event.head
        return self._identified(event, head, self._tree.of(head.task, head.time_ns))

    def _connection(self, event: Connection) -> Identified:
        return self._named(event) if event.head.type is EventType.CONNECT else self._other(event)

    def _socket(self, event: Socket) -> Identified:
        return self._named(event) if event.op in _TALKS else self._other(event)

    def _named(self, event: Connection | Socket) -> Identified:
        """Also what the other end is called."""
        found = self._other(event)
        name = self._names.of(event.head.task.net_ns, event.peer)
        return replace(found, peer_name=name) if name else found

    def _dns(self, event: Dns) -> Identified:
        self._names.learn(event)
        return self._other(event)

    def _call(self, event: Call) -> Identified:
        """Also whom it was done to, and whether it was about the host's namespaces."""
        found = self._other(event)
        target = self._target(event) if event.target_pid else None
        entered = event.call is CallKind.SETNS and event.args[1] in self._host_namespaces
        return Identified(
            event, found.process, found.ancestors, found.container, found.workload, target, host_namespace=entered
        )

    def _target(self, event: Call) -> Process:
        key, now_ns = key_of(event.target_pid, event.target_start_ns), event.head.time_ns
        home = self._residents.of(event.target_cgroup_id, event.target_pid, now_ns).container_id
        node = self._tree.of_key(key)
        if node is not None:
            value = self._tree.value(node)
            return value if node.placed else replace(value, container_id=home)
        return Process(
            self._tree.exec_id(key),
            event.target_pid,
            "",
            "",
            (),
            "",
            0,
            0,
            event.target_start_ns,
            event.target_cgroup_id,
            home,
        )

    def _exit(self, event: Exit) -> Identified:
        head = event.head
        node = self._tree.of(head.task, head.time_ns)
        identified = self._identified(event, head, node)
        self._tree.exited(node, head.time_ns)
        return identified

    def _identified(self, event: Event, head: Head, node: Node) -> Identified:
        task, now_ns = head.task, head.time_ns
        node.cgroup_id = task.cgroup_id
        resident = self._resident(self._residents.of(task.cgroup_id, task.pid, now_ns), task)
        if not node.placed:
            self._place(node, resident, task.ns_pid, now_ns)
        elif node.container_id != resident.container_id:
            if resident.container is not None and now_ns - node.seen_ns < _SET_UP_NS:
                resident = self._outside(node, now_ns)
            else:
                self._place(node, resident, task.ns_pid, now_ns)
        process = node.value or self._tree.value(node)
        return Identified(event, process, self._tree.ancestors(node), resident.container, resident.workload)

    def _is_set_up(self, node: Node, resident: Resident, task: Task, now_ns: int) -> bool:
        """Whether a program in a container's cgroup is its runtime at work: started from outside, in the host's files.

        runc runs itself again as "runc init", now before, now after it is moved to the container's cgroup. A
        program that *left* the container's mount namespace has its parent inside and is not meant.
        """
        if resident.container is None or task.mnt_ns != self._host_mnt or resident.mount_ns == self._host_mnt:
            return False
        if node.key == resident.init_key:
            return False
        home = self._container_of(node.parent, now_ns) if node.parent is not None else None
        return home is not None and home != resident.container_id

    def _outside(self, node: Node, now_ns: int) -> Resident:
        """Where a process is at home that is in a container's cgroup or namespaces but not of the container.

        A process is of a container from its first exec there (or by birth): until then it runs the program of
        the runtime that sets the container up. An exec that was lost is made up for after a few seconds.
        """
        parent = node.parent
        if parent is None or not parent.cgroup_id or parent.container_id != node.container_id:
            return self._host
        home = self._residents.of(parent.cgroup_id, parent.pid, now_ns)
        return home if home.container_id == node.container_id else self._host

    def _cgroup(self, event: Cgroup) -> None:
        self._residents.cgroup_changed(event)

    def _resident(self, resident: Resident, task: Task) -> Resident:
        """Whoever's files it works on: nsenter moves a process into a container's namespaces, not its cgroup."""
        if task.mnt_ns in (resident.mount_ns, self._host_mnt):
            return resident
        if resident.container is not None and not resident.mount_ns:
            return resident  # a container that only begins: its namespace may have a dead one's number
        return self._residents.in_mount_ns(task.mnt_ns) or resident

    def _learn_mount_ns(self, node: Node, resident: Resident, mount_ns: int) -> None:
        """A container's mount namespace is its first process's; others may be anywhere."""
        if not self._host_mnt:
            return  # the host's is unknown: nothing can be told from it
        if node.key == resident.init_key and mount_ns == self._host_mnt:
            resident.mount_ns = mount_ns  # a container without one of its own
            return
        if node.key != resident.init_key:
            mount_ns = self._residents.init_namespace(resident, "mnt")
        if mount_ns not in (0, self._host_mnt) and self._residents.in_mount_ns(mount_ns) is None:
            self._residents.owns_mount_ns(resident, mount_ns)

    def _place(self, node: Node, resident: Resident, ns_pid: int, now_ns: int) -> None:
        """The process is in another container than it was, or is seen for the first time."""
        entry_id, parent = "", node.parent
        if resident.container is not None and parent is not None:
            home = self._container_of(parent, now_ns)
            if home == resident.container_id:
                entry_id = parent.entry_id
            # A parent of which nothing is known proves no entry.
            elif not self._is_init(node, resident, ns_pid) and home is not None:
                entry_id = self._tree.exec_id(node.key)
        self._tree.moved(node, resident.container_id, entry_id)

    def _container_of(self, node: Node, now_ns: int) -> str | None:
        """The id of the container a process is of, "" for none; None when that cannot be told any more."""
        if node.placed:
            return node.container_id
        path = self._cgroups.path_of_pid(node.pid) if not node.exited_ns else None
        cgroup_id = self._cgroups.id_of(path) if path else node.cgroup_id
        return self._residents.of(cgroup_id, node.pid, now_ns).container_id if cgroup_id else None

    def _is_init(self, node: Node, resident: Resident, ns_pid: int) -> bool:
        """Whether this is the container's first process: by its runtime's word, else the first one seen."""
        if not resident.init_key:
            resident.init_key = node.key
        if resident.init_key == node.key:
            return True
        first = self._tree.of_key(resident.init_key)
        if ns_pid == 1 and (first is None or first.exited_ns):
            self._residents.read_again(resident)
            return resident.init_key == node.key
        return False

    def seed(self, now_ns: int = 0) -> None:
        """Take in what was there before us: cgroups, containers, processes.

        Blocks for about a tenth of a millisecond per process. `now_ns` as for `tick`.
        """
        self._cgroups.scan()
        self._runtimes.refresh()
        proc, files = self._paths.proc, self._paths.files
        found = {f.pid: f for pid in pids(proc, files) if (f := read_process(proc, pid, files=files))}
        seeded: set[int] = set()
        for one in sorted(found.values(), key=lambda f: (f.stat.start_ticks, f.pid)):
            self._seed(one, found, seeded, now_ns)

    def _seed(self, one: Found, found: Mapping[int, Found], seeded: set[int], now_ns: int) -> None:
        if one.pid in seeded:
            return
        seeded.add(one.pid)
        parent = found.get(one.stat.ppid)
        if parent is not None and parent.stat.start_ticks == one.stat.start_ticks:
            self._seed(parent, found, seeded, now_ns)  # same tick: the order of pids says nothing
        node = self._tree.seed(one, now_ns)
        path = None if one.stat.kernel_thread else self._cgroups.path_of_pid(one.pid)
        node.cgroup_id = (path and self._cgroups.id_of(path)) or 0
        if not node.cgroup_id:
            return
        resident = self._residents.of(node.cgroup_id, one.pid, now_ns)
        if one.mnt_ns not in (0, self._host_mnt, resident.mount_ns):
            resident = self._residents.in_mount_ns(one.mnt_ns) or resident
        self._place_seeded(node, one, resident, now_ns)

    def _place_seeded(self, node: Node, one: Found, resident: Resident, now_ns: int) -> None:
        self._place(node, resident, one.ns_pid, now_ns)
        if node.entry_id == node_id(node) and one.pid_ns == self._host_pid_ns:
            # Orphans of a container without a pid namespace get a parent outside: that proves no entry.
            self._tree.moved(node, node.container_id, "")
        if resident.container is not None and not resident.mount_ns:
            self._learn_mount_ns(node, resident, one.mnt_ns)

    def tick(self, now_ns: int) -> None:
        """Regular work, about once a second: corrections, expiry. Never blocks."""
        self._residents.tick(now_ns)
        self._tree.expire(now_ns)

    def containers(self) -> tuple[Container, ...]:
        """The living containers, as complete as they are known now."""
        return self._residents.containers()

    def living(self) -> tuple[tuple[str, Workload], ...]:
        """Id and workload of every living container."""
        return self._residents.living()

    def hear(self, now_ns: int, waiting: Iterable[str] = ()) -> None:
        """Take in what the runtimes answered; look again at the containers somebody waits for. Never blocks."""
        self._residents.hear(now_ns)
        for container_id in waiting:
            self._residents.look_at(container_id, now_ns)

    def container(self, container_id: str) -> Container | None:
        """A container as it is known now, while it lives and for the grace period after."""
        resident = self._residents.of_container(container_id)
        return resident.container if resident is not None else None

    def renewed(self, identified: Identified) -> Identified:
        """The same event with its container and workload as they are known now."""
        container = identified.container
        resident = self._residents.of_container(container.id) if container is not None else None
        if resident is None or resident.container is None:
            return identified
        return replace(identified, container=resident.container, workload=resident.workload)

    def inhabited(self) -> Iterator[tuple[Container, Workload, tuple[int, ...]]]:
        """The living containers, their workloads, and the ids of the cgroups they were seen in."""
        return self._residents.inhabited()

    def dropped(self) -> Mapping[str, int]:
        """What was missing, refused or forgotten, by cause, since start."""
        untrusted = {f"{_PREFIX}untrusted_names": self._names.untrusted} if self._names.untrusted else {}
        return {f"{_PREFIX}{cause}": count for cause, count in self._counts.items()} | untrusted

    def process(self, exec_id: str) -> Process | None:
        """The process with this id while it is known: it lives, or died within the grace period."""
        node = self._tree.get(exec_id)
        return node.value if node is not None else None


def node_id(node: Node) -> str:
    """The exec id of a node whose value exists."""
    return node.value.exec_id if node.value is not None else ""
