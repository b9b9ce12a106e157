"""The sensor for places that refuse eBPF: looks at /proc at an interval, and says what that cannot see."""

# ruff: noqa: PTH116  (thousands of these a look; Path costs as much as the call)
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import psutil

from agent.decode import layout
from agent.errors import ConfigError, SourceError
from agent.events import EventType, RawBatch
from agent.source import polling_records as records
from agent.source.polling_facts import (
    Facts,
    Seen,
    SocketRow,
    cgroup_root,
    facts_of,
    look,
    net_namespace,
    refusal_of_proc,
    socket_inodes,
    tcp_rows,
)
from agent.source.port import BehaviourKey, ProbeState
from agent.source.ring import boot_to_unix_ns

_BATCH_BYTES = 256 << 10
_QUEUED_BYTES = 4 << 20  # records nobody read yet; more are dropped and counted
_PROCESSES_MAX = 65536
_SOCKETS_MAX = 65536
_LOOKS_FOR_HOLDER = 3
_LISTEN, _ESTABLISHED, _SYN_SENT = 10, 1, 2
_CAUSES = tuple(
    (name.removeprefix("CTR_").lower(), value)
    for name, value in vars(layout).items()
    if name.startswith("CTR_") and name != "CTR_MAX"
)
# name → what nobody sees with it
_UNSEEN = {
    "short_lived": "processes and connections that begin and end between two looks go unseen, and what a process ran"
    " before its present program",
    "exit_codes": "how a process ended is not known: exit codes and signals are empty",
    "failures": "connections that failed, and calls that were refused, go unseen",
    "files": "files opened, written, renamed, linked or deleted, and permission changes, go unseen",
    "calls": "privileged system calls (ptrace, mount, setns, kernel modules, bpf, memfd …) go unseen",
    "datagrams": "UDP, DNS, unix, raw and packet sockets go unseen",
    "identity": "the container's layer of a file, file generations and scripts' own names are not known",
}


class PollingSource:
    """A `Source` that needs no privileges but to read /proc. interval_s: seconds between two looks, 0.05 to 60.

    Processes already there at start make no records; sockets already there do.
    """

    def __init__(self, *, interval_s: float = 1.0, agent_pid: int | None = None, entries: int = 65536) -> None:
        if not 0.05 <= interval_s <= 60:
            raise ConfigError(f"polling every {interval_s:g} s: give 0.05 to 60 seconds")
        self._interval_s = interval_s
        self._agent_pid = os.getpid() if agent_pid is None else agent_pid
        self._entries = entries
        self._stopped = threading.Event()
        self._stopped.set()
        self._lock = threading.Lock()
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._processes: dict[int, tuple[Seen, Facts | None]] = {}
        self._sockets: dict[int, int] = {}  # inode → looks left to find its holder
        self._known: OrderedDict[BehaviourKey, int] = OrderedDict()
        self._counts = {kind: dict.fromkeys(dict(_CAUSES), 0) for kind in EventType}
        self._cgroups: Path | None = None
        self._next = 0.0

    def start(self) -> None:
        """Take the first look. Raises: SourceError where /proc hides processes."""
        if refusal := refusal_of_proc():
            raise SourceError(f"the polling sensor cannot start: {refusal}")
        self._cgroups = cgroup_root()
        self._stopped.clear()
        self._processes = {pid: (seen, facts_of(seen)) for pid, seen in self._look().items()}
        self._poll_sockets(records.boot_ns())
        self._next = time.monotonic() + self._interval_s

    def read(self, timeout_s: float) -> RawBatch | None:
        """The next records; waits for the next look, at most timeout_s."""
        if not self._queue:
            wait = max(0.0, self._next - time.monotonic())
            if self._stopped.wait(min(wait, timeout_s)) or wait > timeout_s:
                return None
            self._next = time.monotonic() + self._interval_s
            self._poll()
        return self._batch()

    def probes(self) -> Sequence[ProbeState]:
        """What is looked at, then everything that goes unseen."""
        watched = [ProbeState(f"poll_{name}", attached=True) for name in ("processes", "connections", "listeners")]
        text = f"looked at every {self._interval_s:g} s: "
        return [*watched, *(ProbeState(f"poll_{name}", False, text + what) for name, what in _UNSEEN.items())]

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """As the port says; `lost_ring` are records over the bound of what waits to be read."""
        return {kind.name.lower(): dict(causes) for kind, causes in self._counts.items()}

    def behaviours(self) -> Iterator[tuple[BehaviourKey, int]]:
        """Every connection and listener kept, the least recently seen forgotten first."""
        with self._lock:
            return iter(list(self._known.items()))

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        """As the port says."""
        with self._lock:
            return sum(self._known.pop(key, None) is not None for key in keys)

    def stop(self) -> None:
        """No look is begun from now on."""
        self._stopped.set()
        self._queue.clear()

    def _batch(self) -> RawBatch | None:
        parts, size = [], 0
        while self._queue and size + len(self._queue[0]) <= _BATCH_BYTES:
            parts.append(self._queue.popleft())
            size += len(parts[-1])
        self._queued -= size
        return RawBatch(b"".join(parts), len(parts), boot_to_unix_ns()) if parts else None

    def _emit(self, kind: EventType, record: bytes) -> None:
        room = self._queued + len(record) <= _QUEUED_BYTES
        self._counts[kind]["emitted" if room else "lost_ring"] += 1
        if room:
            self._queue.append(record)
            self._queued += len(record)

    def _look(self) -> dict[int, Seen]:
        pids = [pid for pid in psutil.pids() if pid != self._agent_pid]
        seen = (look(pid) for pid in pids[:_PROCESSES_MAX])
        return {one.pid: one for one in seen if one is not None}

    def _poll(self) -> None:
        now, found = records.boot_ns(), self._look()
        for pid, (seen, facts) in list(self._processes.items()):
            if pid not in found or found[pid].start_ns != seen.start_ns:
                del self._processes[pid]
                if facts is not None:
                    self._emit(EventType.EXIT, records.exit_(facts, self._origin(facts), now))
        # By start, so that a parent's record comes before its children's.
        for seen in sorted(found.values(), key=lambda one: one.start_ns):
            self._note(seen, now)
        self._poll_sockets(now)

    def _note(self, seen: Seen, now: int) -> None:
        """A process that is new, or runs another program than at the last look."""
        before = self._processes.get(seen.pid)
        if before and before[0].comm == seen.comm:
            self._processes[seen.pid] = (seen, before[1])
            return
        facts = facts_of(seen)
        self._processes[seen.pid] = (seen, facts)
        if facts is None:
            self._counts[EventType.EXEC]["read_failed"] += 1
            return
        origin = self._origin(facts)
        if before is None:
            self._emit(EventType.FORK, records.fork(facts, origin))
            self._emit(EventType.EXEC, records.exec_(facts, origin, seen.start_ns))
        elif before[1] is None or (before[1].exe, before[1].argv) != (facts.exe, facts.argv):
            self._emit(EventType.EXEC, records.exec_(facts, origin, now))

    def _origin(self, facts: Facts) -> tuple[int, int]:
        parent = self._processes.get(facts.seen.ppid)
        try:
            cgroup_id = os.stat(f"{self._cgroups}{facts.cgroup}").st_ino if self._cgroups else 0
        except OSError:
            cgroup_id = 0  # removed with its last process
        return cgroup_id, parent[0].start_ns if parent else 0

    def _poll_sockets(self, now: int) -> None:
        """New rows of every network namespace's table, told by inode, and who holds them.

        A holder younger than this look is found at one of the next.
        """
        rows = self._tables()
        self._sockets = {inode: self._sockets.get(inode, _LOOKS_FOR_HOLDER) for inode in islice(rows, _SOCKETS_MAX)}
        fresh = {inode: rows[inode] for inode, looks in self._sockets.items() if looks}
        for inode in fresh:
            self._sockets[inode] -= 1
        if not fresh:
            return
        serving = {(space, row.local_port) for space, row in rows.values() if row.state == _LISTEN}
        for pid, (_, facts) in self._processes.items():
            for inode in socket_inodes(pid) if facts else ():
                if facts and inode in fresh:
                    space, row = fresh.pop(inode)
                    self._sockets[inode] = 0
                    self._emit_socket(facts, row, (space, row.local_port) in serving, now)

    def _tables(self) -> dict[int, tuple[int, SocketRow]]:
        """Inode → (network namespace, row), of listeners and of connections made or being made."""
        namespaces = {net_namespace(pid): pid for pid in self._processes}
        return {
            row.inode: (space, row)
            for space, pid in namespaces.items()
            for row in tcp_rows(pid)
            if row.inode and row.state in (_LISTEN, _ESTABLISHED, _SYN_SENT)
        }

    def _emit_socket(self, facts: Facts, row: SocketRow, served: bool, now: int) -> None:
        kind = EventType.SOCKET if row.state == _LISTEN else EventType.ACCEPT if served else EventType.CONNECT
        origin = self._origin(facts)
        port = row.peer_port if kind == EventType.CONNECT else row.local_port
        place = row.local if kind == EventType.SOCKET else row.peer
        thing = place + port.to_bytes(4, "little") + row.family.to_bytes(4, "little")
        if not self._first(BehaviourKey(origin[0], kind, facts.exe, thing)):
            self._counts[kind]["filtered"] += 1
        elif kind == EventType.SOCKET:
            self._emit(kind, records.listener(facts, origin, row, now))
        else:
            self._emit(kind, records.connection(kind, facts, origin, row, now))

    def _first(self, key: BehaviourKey) -> bool:
        with self._lock:
            self._known[key] = self._known.get(key, 0) + 1
            self._known.move_to_end(key)
            if len(self._known) > self._entries:
                self._known.popitem(last=False)
            return self._known[key] == 1
