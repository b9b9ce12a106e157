"""Which profile member a behaviour in the kernel's novelty filter belongs to.

The kernel reports a behaviour once and then only counts it. To know that it happened again, the learner keeps, for
each key of the filter, the member the first event was learned as.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from struct import Struct

from agent.decode.layout import EV_F_UNFILTERED
from agent.events import Call, CallKind, Connection, Event, EventType, FileFlag, Open, PathChange, Socket
from agent.learn.tracked import Tracked
from agent.source.port import BehaviourKey
from detection.baseline.keys import ClassKey

_OBJECT_SIZE = 24
_FILE = Struct("<QIIII")  # struct opened: ev_file_id, access, name
_WRITES, _UNLINKED, _TRUNCATES = 1, 2, 4  # enum access
_O_TRUNC = 0o1000
_PEER = Struct("<16sHHHH")  # struct peer: address, port, family, protocol, deed
_CALL = Struct("<QQII")  # struct call_object: same, kind, failed
_OP = Struct("<I")  # the end of struct changed
_SOCKET = Struct("<HHH")  # the end of struct peer: family, protocol, deed
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_EPHEMERAL_PORT = 32768  # from here on the kernel takes all UDP ports for one
_WAITING, _WAITING_PER_KIN = 1024, 64
_MAP_KIND = 0x23  # of mmap's flags
_WORD = (1 << 64) - 1


def novelty_key(event: Event) -> BehaviourKey | None:
    """The key under which the kernel's filter holds this event's behaviour (bpf: ev_novelty_key); None without one.

    The object of an open is the file's identity, the access and the name it was opened by, that of a connection
    the peer, the port of the side that serves, the family and the protocol, that of a call what tells it from others.
    """
    if isinstance(event, Open):
        opened = _FILE.pack(*event.file, _access(event), event.name)
        return BehaviourKey(event.head.task.cgroup_id, EventType.OPEN, event.exe, opened)
    if isinstance(event, Connection):
        family = _AF_INET if event.peer.version == 4 else _AF_INET6
        port = event.local_port if event.head.type == EventType.ACCEPT else event.peer_port
        peer = _PEER.pack(event.peer.packed, port, family, event.protocol, 0)
        return BehaviourKey(event.head.task.cgroup_id, event.head.type, event.exe, peer)
    if isinstance(event, Socket) and event.peer is not None:
        port = event.peer_port if event.peer_port < _EPHEMERAL_PORT else 0
        deed = event.op | -event.result << 8 & 0xFF00
        peer = _PEER.pack(event.peer.packed, port, event.family, event.protocol, deed)
        return BehaviourKey(event.head.task.cgroup_id, EventType.SOCKET, event.exe, peer)
    return _of_call(event) if isinstance(event, Call) else None


def _access(event: Open) -> int:
    writes = _WRITES if event.file_flags & (FileFlag.WRITE | FileFlag.CREATED) else 0
    truncates = _TRUNCATES if event.open_flags & _O_TRUNC else 0
    return writes | truncates | (_UNLINKED if event.file_flags & FileFlag.UNLINKED else 0)


def _of_call(event: Call) -> BehaviourKey | None:
    same = _same(event)
    if same is None:
        return None
    failed = event.result < 0 and event.call is not CallKind.MMAP_WX
    called = _CALL.pack(same[0] & _WORD, same[1] & _WORD, event.call, failed)
    return BehaviourKey(event.head.task.cgroup_id, EventType.CALL, event.exe, called)


def _same(event: Call) -> tuple[int, int] | None:  # noqa: PLR0911 - one case for each call
    """What makes two calls the same behaviour (bpf: struct call, `same`); None for those that are always reported."""
    args = event.args
    match event.call:
        case CallKind.SETNS | CallKind.BPF | CallKind.PERF_EVENT_OPEN:
            return args[0], args[1]
        case CallKind.UNSHARE | CallKind.USERFAULTFD | CallKind.KEYCTL:
            return args[0], 0
        case CallKind.PROCESS_VM_READ | CallKind.PROCESS_VM_WRITE:
            return event.target_start_ns, event.target_pid
        case CallKind.MMAP_WX:
            return args[3] & _MAP_KIND, 0
        case CallKind.MPROTECT_WX:
            return 0, 0
        case CallKind.IO_URING_SETUP:
            return args[1], 0
        case CallKind.MEMFD_CREATE:
            return args[0], int.from_bytes(event.text.encode("utf-8", "replace")[:7], "little")
        case _:
            return None


def kin_of(event: Event) -> BehaviourKey | None:
    """For an event whose key holds a hash only the kernel can make: the key without that hash; None for any other.

    Its object is what can be known: of a change of the tree the operation, of a unix socket what was done with it.
    """
    if event.head.flags & EV_F_UNFILTERED:
        return None
    if isinstance(event, PathChange):
        return BehaviourKey(event.head.task.cgroup_id, EventType.PATH, event.exe, _OP.pack(event.op))
    if isinstance(event, Socket) and event.family == _AF_UNIX:
        deed = event.op | -event.result << 8 & 0xFF00
        return BehaviourKey(event.head.task.cgroup_id, EventType.SOCKET, event.exe, _SOCKET.pack(_AF_UNIX, 0, deed))
    return None


def kin_of_key(key: BehaviourKey) -> BehaviourKey | None:
    """A key of the kernel's as `kin_of` gives it for the event; None where the whole key can be made from the event."""
    if key.type == EventType.PATH:
        return BehaviourKey(key.cgroup_id, EventType.PATH, key.exe, key.object[-_OP.size :])
    if key.type == EventType.SOCKET:
        return BehaviourKey(key.cgroup_id, EventType.SOCKET, key.exe, key.object[-_SOCKET.size :])
    return None


class Link:
    """Where a key leads: the member in `row` of the class `key` of a profile, and the count at the last reading.

    `entered`: shown by a process tree that came from outside, which has no phases.
    """

    __slots__ = ("count", "entered", "instance", "key", "row", "tracked")

    def __init__(self, tracked: Tracked, key: ClassKey, row: int, instance: str, entered: bool) -> None:
        self.tracked, self.key, self.row, self.instance, self.entered = tracked, key, row, instance, entered
        self.count = 1


class Links:
    """A bounded map of keys to links; when it is full the one that grew longest ago goes, counted in `evicted`.

    Only a hash of each key is kept: the keys of two behaviours meet once in 2⁶⁴, and would then be counted as one.

    Where part of a key is the kernel's secret (`kin_of`), the next keys of that kin that nobody knows are taken for
    those of the events that wait, in their order: one program's deletions in two directories may change places.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Not a dict: taking the first of one that is full looks at all that were taken before (20 µs instead of 0.7).
        self._links: OrderedDict[int, Link] = OrderedDict()
        self._waiting: dict[BehaviourKey, list[Link]] = {}
        self._waited: dict[BehaviourKey, list[Link]] = {}
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._links)

    def put(self, key: BehaviourKey, link: Link) -> None:
        """Remember where the key leads. An event under a known key (re-armed, say) starts counting anew."""
        self._put(hash(key), link)

    def _put(self, short: int, link: Link) -> None:
        if short not in self._links and len(self._links) >= self._limit:
            self._links.popitem(last=False)
            self.evicted += 1
        self._links[short] = link

    def wait(self, kin: BehaviourKey, link: Link) -> None:
        """Remember an event whose key the kernel alone knows, until the slot after this one is over."""
        if len(self._waiting) < _WAITING or kin in self._waiting:
            waiting = self._waiting.setdefault(kin, [])
            if len(waiting) < _WAITING_PER_KIN:
                waiting.append(link)

    def slot_over(self) -> None:
        """What has waited for two slots' ends waits no longer."""
        self._waited, self._waiting = self._waiting, {}

    def _claimed(self, key: BehaviourKey) -> Link | None:
        """The oldest link that waits for a key of this kin."""
        kin = kin_of_key(key)
        if kin is not None:
            for waiting in (self._waited, self._waiting):
                links = waiting.get(kin)
                if links:
                    link = links.pop(0)
                    self._put(hash(key), link)
                    return link
        return None

    def grown(self, behaviours: Iterable[tuple[BehaviourKey, int]]) -> Iterator[tuple[BehaviourKey, Link, int]]:
        """Links whose count grew since the last reading, and by how much. Keys without a link are skipped.

        A count that shrank was reset (the key was forgotten and is new): all of it is growth.
        """
        for key, count in behaviours:
            short = hash(key)
            link = self._links.get(short) or self._claimed(key)
            if link is None or link.count == count:
                continue
            growth = count - link.count if count > link.count else count
            link.count = count
            self._links.move_to_end(short)
            yield key, link, growth
