"""Who lives in a cgroup: a container, a systemd unit, or the host. Looked up once, corrected when more is known."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace

from agent.events import Cgroup, EventType
from agent.identify.addresses import addresses_of, host_namespace, namespace
from agent.identify.budget import Budget
from agent.identify.cgroup_path import Claim, read_path
from agent.identify.cgroups import CgroupTable
from agent.identify.describer import Describer, Knowledge
from agent.identify.keys import PID_BITS, PID_MASK, key_of_ticks
from agent.identify.paths import Limits, Paths
from agent.identify.procfs import read_stat
from agent.identify.records import Record
from agent.identify.runtimes import Runtimes
from agent.identify.sources import Answer
from agent.identify.units import Units
from agent.identify.workloads import Scope, workload_of, workload_of_unit
from agent.workload import Container, Workload

NEVER = 1 << 63
_REPORT_NS = 5_000_000_000


class Resident:
    """What runs in a cgroup. Mutable: metadata and addresses arrive after the first event.

    `due_ns` is when to look again (NEVER: nothing is missing). `init_key` is the process tree's key of the
    container's first process, 0 while unknown.
    """

    __slots__ = (
        "absent_ns", "claim", "container", "container_id", "due_ns", "gone", "init_key", "known", "mount_ns", "path",
        "tries", "wait_ns", "workload",
    )  # fmt: skip

    def __init__(self, path: str, claim: Claim, workload: Workload, container: Container | None = None) -> None:
        self.path = path  # of the container's own cgroup
        self.claim = claim
        self.container = container
        self.container_id = container.id if container else ""
        self.workload = workload
        self.due_ns = NEVER
        self.tries = 0
        self.wait_ns = 0
        self.init_key = 0
        self.mount_ns = 0
        self.absent_ns = 0  # when its cgroup was first seen to be gone, unannounced
        self.gone = False
        self.known: Knowledge | None = None  # what the sources said, of a container only


class Residents:
    """cgroup id → Resident. Cgroups below a container's own share its Resident."""

    def __init__(
        self,
        paths: Paths,
        limits: Limits,
        *,
        cgroups: CgroupTable,
        runtimes: Runtimes,
        describer: Describer,
        scope: Scope,
        counts: Counter[str],
    ) -> None:
        self._paths = paths
        self._describer = describer
        self._scope = scope
        self._host = workload_of_unit("", "", scope)
        self._units = Units(paths.prefix, paths.files)
        self._limits = limits
        self._cgroups = cgroups
        self._runtimes = runtimes
        self._counts = counts
        self._by_cgroup: dict[int, Resident] = {}
        self._by_path: dict[str, Resident] = {}  # living containers
        self._by_id: dict[str, Resident] = {}  # and those gone within the grace period
        self._leaving: deque[tuple[int, Resident]] = deque()
        self._by_mount_ns: dict[int, Resident] = {}
        self._eager = Budget(limits.proc_reads, limits.proc_reads)
        self._host_net = host_namespace(paths.proc, "net", paths.files)

    def of(self, cgroup_id: int, pid: int, now_ns: int) -> Resident:
        """Who lives in this cgroup, looking again where something was missing and it is time to."""
        resident = self._by_cgroup.get(cgroup_id)
        if resident is None:
            return self._first_look(cgroup_id, pid, now_ns)
        if now_ns >= resident.due_ns:
            return self._look_again(cgroup_id, resident, pid, now_ns)
        return resident

    def of_new_program(self, cgroup_id: int, pid: int, now_ns: int) -> Resident:
        """As `of`, but looks again at once where something is missing: a container's first exec comes
        milliseconds after its runtime wrote its state, its set-up may have been seen before.
        """
        resident = self.of(cgroup_id, pid, now_ns)
        if resident.due_ns != NEVER and self._eager.take(now_ns):
            return self._look_again(cgroup_id, resident, pid, now_ns)
        return resident

    def init_namespace(self, resident: Resident, kind: str) -> int:
        """The inode number of a namespace of the container's living first process, else 0."""
        pid = self._process_of(resident, 0)
        return namespace(self._paths.proc, pid, kind, self._paths.files) if pid else 0

    def read_again(self, resident: Resident) -> None:
        """The container's first process is gone but another comes: it may have been started anew."""
        record = self._runtimes.by_id(resident.container_id)
        if record is not None and record.init_pid and resident.container is not None:
            resident.init_key = key_of_ticks(record.init_pid, record.init_ticks)
            resident.container = replace(resident.container, init_pid=record.init_pid)

    def in_mount_ns(self, mount_ns: int) -> Resident | None:
        """The living container this mount namespace belongs to.

        Numbers of namespaces are used again at once, before the cgroup of the one that had it is gone.
        """
        resident = self._by_mount_ns.get(mount_ns)
        if resident is None or not self._has_left(resident, mount_ns):
            return resident
        self._release_mount_ns(resident)
        resident.mount_ns = 0
        return None

    def _has_left(self, resident: Resident, mount_ns: int) -> bool:
        """Whether a container's first process is known and is no more, or is somewhere else."""
        init = resident.init_key & PID_MASK
        if not init:
            return False
        stat = read_stat(self._paths.proc, init, self._paths.files)
        if stat is None or stat.start_ticks != resident.init_key >> PID_BITS:
            return True
        return namespace(self._paths.proc, init, "mnt", self._paths.files) not in (0, mount_ns)

    def owns_mount_ns(self, resident: Resident, mount_ns: int) -> None:
        """The container's own tree runs in this mount namespace: whoever else does has entered it."""
        if resident.mount_ns != mount_ns and not resident.gone:
            self._release_mount_ns(resident)
            resident.mount_ns = mount_ns
            self._by_mount_ns[mount_ns] = resident

    def containers(self) -> tuple[Container, ...]:
        """Every living container known, as complete as it is by now."""
        return tuple(r.container for r in self._by_path.values() if r.container is not None)

    def living(self) -> tuple[tuple[str, Workload], ...]:
        """Id and workload of every living container."""
        return tuple((r.container_id, r.workload) for r in self._by_path.values() if r.container is not None)

    def inhabited(self) -> Iterator[tuple[Container, Workload, tuple[int, ...]]]:
        """Every living container with its workload and the ids of the cgroups it was seen in, its own first."""
        within: dict[str, list[int]] = {}
        for cgroup_id, resident in self._by_cgroup.items():
            if resident.container_id and not resident.gone:
                within.setdefault(resident.container_id, []).append(cgroup_id)
        for path, resident in self._by_path.items():
            if resident.container is not None:
                own = self._cgroups.id_of(path)
                ids = dict.fromkeys([*([own] if own else []), *within.get(resident.container_id, ())])
                yield resident.container, resident.workload, tuple(ids)

    def of_container(self, container_id: str) -> Resident | None:
        """By the runtime's id: a container that lives, or left within the grace period."""
        return self._by_id.get(container_id)

    def hear(self, now_ns: int) -> None:
        """Take what the runtimes answered since the last time."""
        for answer in self._describer.answers():
            resident = self._by_id.get(answer.id)
            if resident is None:
                self._describer.keep(answer)
            else:
                self._heard(resident, answer, now_ns)

    def _heard(self, resident: Resident, answer: Answer, now_ns: int) -> None:
        if resident.known is not None and resident.container is not None:
            self._describer.heard(resident.known, answer)
            self._describe(resident, 0, now_ns)

    def look_at(self, container_id: str, now_ns: int) -> None:
        """Look again at a container events wait for, if it is time to."""
        resident = self._by_id.get(container_id)
        if resident is not None and now_ns >= resident.due_ns and not resident.gone:
            self._look_again(0, resident, 0, now_ns)

    def _first_look(self, cgroup_id: int, pid: int, now_ns: int) -> Resident:
        path = self._cgroups.path(cgroup_id)
        if path is None:
            path = self._cgroups.find(cgroup_id, pid, now_ns)
        resident = self._unknown(now_ns) if path is None else self._in_path(path, pid, now_ns)
        if len(self._by_cgroup) >= self._limits.cgroups:
            self._counts["residents_evicted"] += 1
            self._by_cgroup.pop(next(iter(self._by_cgroup)))
        self._by_cgroup[cgroup_id] = resident
        return resident

    def _unknown(self, now_ns: int) -> Resident:
        resident = Resident("", Claim(), self._host)
        self._again(resident, now_ns)
        return resident

    def _in_path(self, path: str, pid: int, now_ns: int) -> Resident:
        """Outermost first: a cgroup a runtime claims, or a path that names its container."""
        claim = read_path(path)
        record = self._runtimes.claiming(path)
        if record is None and not claim.container_id and not claim.unit and path != "/":
            record = self._runtimes.look_for(path, now_ns)
        if record is not None and (not claim.root or len(record.cgroup) <= len(claim.root)):
            own = claim._replace(container_id=record.id, root=record.cgroup)
            return self._by_path.get(own.root) or self._settle(own, record, pid, now_ns)
        if claim.container_id:
            known = self._by_path.get(claim.root)
            return known or self._settle(claim, self._runtimes.by_id(claim.container_id), pid, now_ns)
        executable = self._units.executable(claim.unit) if claim.unit else ""
        resident = Resident(path, claim, workload_of_unit(claim.unit, executable, self._scope))
        if not claim.unit and path != "/":
            self._again(resident, now_ns)  # perhaps a container whose runtime has not written its state yet
        return resident

    def _settle(self, claim: Claim, record: Record | None, pid: int, now_ns: int) -> Resident:
        """A new container, with its metadata if somebody already has it."""
        container = self._claimed(claim)
        resident = Resident(claim.root, claim, workload_of(container, self._scope), container)
        resident.known = self._describer.begin(claim, record)
        self._by_path[claim.root] = self._by_id[claim.container_id] = resident
        if not self._describe(resident, pid, now_ns):
            self._counts["container_incomplete"] += 1
            self._again(resident, now_ns)
        return resident

    def _claimed(self, claim: Claim) -> Container:
        """What its cgroup's path says."""
        return Container(
            claim.container_id,
            claim.container_id[:12],
            claim.runtime,
            pod_uid=claim.pod_uid,
            complete=False,
            node=self._scope.node,
        )

    def _describe(self, resident: Resident, pid: int, now_ns: int) -> bool:
        """Put together what the sources have said by now; False while it is not enough to say whose it is."""
        known, container = resident.known, resident.container
        if known is None or container is None:
            return False
        self._take_record(resident, known.record)
        if not container.complete and not known.enough:
            return False
        if not container.complete and resident.tries:
            self._counts["container_corrected"] += 1
        described = self._describer.described(known, container, self._scope.node)
        resident.workload = workload_of(described, self._scope)
        self._address(resident, described, pid)
        if not described.init_pid or self._wants_addresses(resident, described, pid):
            self._again(resident, now_ns)
        else:
            resident.due_ns = NEVER
        return True

    def _take_record(self, resident: Resident, record: Record | None) -> None:
        if record is not None and record.init_pid:
            resident.init_key = key_of_ticks(record.init_pid, record.init_ticks)

    def _address(self, resident: Resident, container: Container, pid: int) -> None:
        resident.container = container
        if container.addresses or not self._wants_addresses(resident, container, pid):
            return
        found = addresses_of(self._paths.proc, self._process_of(resident, pid), self._paths.files)
        if found:
            resident.container = replace(container, addresses=found)

    def _wants_addresses(self, resident: Resident, container: Container, pid: int) -> bool:
        """Whether it has a network of its own whose addresses are not known yet."""
        if resident.container is not None and resident.container.addresses:
            return False
        net = namespace(self._paths.proc, self._process_of(resident, pid), "net", self._paths.files)
        return net not in (0, self._host_net)

    def _process_of(self, resident: Resident, pid: int) -> int:
        """A living process of the container: its first, unless that pid has a new owner by now."""
        init = resident.init_key & PID_MASK
        stat = read_stat(self._paths.proc, init, self._paths.files) if init else None
        return init if stat and stat.start_ticks == resident.init_key >> PID_BITS else pid

    def _again(self, resident: Resident, now_ns: int) -> None:
        """Plan the next look; after the last, it stays as it is."""
        if resident.tries >= self._limits.retries:
            resident.due_ns = NEVER
            if resident.container is not None and not resident.container.complete:
                self._counts["container_never_complete"] += 1
            return
        resident.wait_ns = resident.wait_ns * 2 or self._limits.retry_ns
        resident.tries += 1
        resident.due_ns = now_ns + resident.wait_ns

    def _look_again(self, cgroup_id: int, resident: Resident, pid: int, now_ns: int) -> Resident:
        if resident.container is None:
            return self._reconsider(cgroup_id, resident, pid, now_ns)
        container = resident.container
        if container.complete and container.init_pid:
            self._address(resident, container, pid)
            if resident.container.addresses:
                resident.due_ns = NEVER
            else:
                self._again(resident, now_ns)
            return resident
        known = resident.known
        record = self._runtimes.by_id(container.id)
        if record is not None and known is not None:
            self._describer.recorded(known, record)
        if record is None or not self._describe(resident, pid, now_ns):
            self._again(resident, now_ns)
        return resident

    def _reconsider(self, cgroup_id: int, resident: Resident, pid: int, now_ns: int) -> Resident:
        """A cgroup taken for the host's: has a runtime claimed it since?"""
        path = resident.path or self._cgroups.find(cgroup_id, pid, now_ns)
        found = self._in_path(path, pid, now_ns) if path else resident
        if found.container is None:
            found.tries, found.wait_ns = resident.tries, resident.wait_ns
            self._again(found, now_ns)
        self._by_cgroup[cgroup_id] = found
        return found

    def cgroup_changed(self, event: Cgroup) -> None:
        """Take the kernel's report of a cgroup made or removed."""
        gone = self._cgroups.changed(event)
        if gone is not None:
            self._left(event.path, event.head.time_ns)
        elif event.head.type is EventType.CGROUP_MKDIR:
            if self._cgroups.path(event.id) == event.path:
                self._by_cgroup.pop(event.id, None)  # an inode number used again
            self._describer.foresee(read_path(event.path), event.path)

    def _left(self, path: str, now_ns: int) -> None:
        resident = self._by_path.pop(path, None)
        if resident is not None:
            resident.gone = True
            resident.due_ns = NEVER
            self._release_mount_ns(resident)
            self._leaving.append((now_ns + self._limits.grace_ns, resident))

    def _release_mount_ns(self, resident: Resident) -> None:
        if self._by_mount_ns.get(resident.mount_ns) is resident:
            del self._by_mount_ns[resident.mount_ns]

    def tick(self, now_ns: int) -> None:
        """Look again where it is due although no event comes, notice removals nobody announced, and forget."""
        self._ask_again()
        for resident in list(self._by_path.values()):
            cgroup_id = self._cgroups.id_of(resident.path)
            if cgroup_id is None or not self._cgroups.alive(cgroup_id):
                self._absent(resident, cgroup_id, now_ns)
            elif now_ns >= resident.due_ns:
                self._look_again(cgroup_id, resident, 0, now_ns)
        for cgroup_id in self._cgroups.expire(now_ns):
            self._by_cgroup.pop(cgroup_id, None)
        while self._leaving and self._leaving[0][0] <= now_ns:
            gone = self._leaving.popleft()[1]
            if self._by_id.get(gone.container_id) is gone:
                del self._by_id[gone.container_id]

    def _ask_again(self) -> None:
        """A runtime that was down may be back: it is asked for what it has not told, of a few containers at a time."""
        if not self._describer.changed():
            return
        for resident in self._by_path.values():
            if resident.known is not None:
                self._describer.ask_again(resident.known)

    def _absent(self, resident: Resident, cgroup_id: int | None, now_ns: int) -> None:
        """Its cgroup is not there any more; the report is usually on its way, behind other events."""
        if not resident.absent_ns:
            resident.absent_ns = now_ns
        elif now_ns - resident.absent_ns >= _REPORT_NS:
            self._counts["cgroup_removal_missed"] += 1
            self._left(resident.path, now_ns)
            if cgroup_id is not None:
                self._cgroups.forget_later(cgroup_id, now_ns)
