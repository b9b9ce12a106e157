"""What one cgroup did in the open window: records as they come, and the counts of what the kernel did not repeat."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.events import (
    Call,
    Connection,
    Dns,
    Event,
    EventType,
    Exec,
    Exit,
    FileFlag,
    Fork,
    Open,
    PathChange,
    PathOp,
    Socket,
    SocketOp,
)
from agent.source.port import BehaviourKey

_DISTINCT = 4096  # of each kind are told apart
_NAMES = 256  # names whose entropy is taken
_WRITES = FileFlag.WRITE | FileFlag.CREATED
_MOVES = (PathOp.RENAME, PathOp.LINK, PathOp.UNLINK)
_TALKS = (SocketOp.CONNECT, SocketOp.SEND)
_INTERNET = (2, 10)  # AF_INET, AF_INET6

# ev_novelty_key.object: where the parts of it stand that tell what was done (bpf/include: file.bpf.c struct opened,
# change.h struct changed, call.h struct call_object, dns.h struct dns_object, sockets.h struct peer).
_FILE, _ACCESS = slice(0, 16), 16
_CHANGE_OP = 20
_CALL_FAILED = 20
_DNS_RECEIVED = 22
_ADDRESS, _FAMILY, _DEED, _RESULT = slice(0, 16), 18, 22, 23


class Tally:
    """Counts of one cgroup. Everything distinct is bounded; counts are not."""

    __slots__ = (
        "calls", "connects", "dns", "execs", "exit_failures", "failed_calls", "files", "forks", "moves", "names",
        "peers", "programs", "questions", "write_opens",
    )  # fmt: skip

    def __init__(self) -> None:
        self.execs = self.forks = self.exit_failures = self.connects = self.calls = self.failed_calls = 0
        self.dns = self.write_opens = self.moves = 0
        self.programs: set[str] = set()
        self.peers: set[bytes] = set()
        self.files: set[bytes] = set()
        self.names: set[str] = set()
        self.questions: set[str] = set()

    def count(self, event: Event) -> None:
        """One record. A fraction of a microsecond."""
        if (counter := _EVENTS.get(event.__class__)) is not None:
            counter(self, event)

    def grown(self, key: BehaviourKey, growth: int) -> None:
        """A behaviour the kernel knows happened `growth` more times than records came of it."""
        if (counter := _KEYS.get(key.type)) is not None:
            counter(self, key.object, growth)

    def held_back(self, kind: EventType, count: int) -> None:
        """So many records of a class were over the cgroup's budget: what exactly they were is not known."""
        if (name := _HELD_BACK.get(kind)) is not None:
            setattr(self, name, getattr(self, name) + count)

    def add(self, other: "Tally") -> None:
        """Another cgroup of the same container."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _SETS:
            getattr(self, name).update(getattr(other, name))


_SETS = ("programs", "peers", "files", "names", "questions")
_COUNTS = tuple(name for name in Tally.__slots__ if name not in _SETS)
_HELD_BACK = {
    EventType.OPEN: "write_opens",
    EventType.CONNECT: "connects",
    EventType.PATH: "moves",
    EventType.DNS: "dns",
}


def _fork(tally: Tally, _: Fork) -> None:
    tally.forks += 1


def _exec(tally: Tally, event: Exec) -> None:
    tally.execs += 1
    if len(tally.programs) < _DISTINCT:
        tally.programs.add(event.path)


def _exit(tally: Tally, event: Exit) -> None:
    tally.exit_failures += event.exit_code != 0


def _open(tally: Tally, event: Open) -> None:
    if event.file_flags & _WRITES:
        tally.write_opens += 1
        if len(tally.files) < _DISTINCT:
            tally.files.add(_file(event))
        if len(tally.names) < _NAMES:
            tally.names.add(event.path.rpartition("/")[2])


def _file(event: Open) -> bytes:
    ino, dev, generation = event.file
    return ino.to_bytes(8, "little") + dev.to_bytes(4, "little") + generation.to_bytes(4, "little")


def _connection(tally: Tally, event: Connection) -> None:
    if event.head.type is EventType.CONNECT:
        tally.connects += 1
        if len(tally.peers) < _DISTINCT:
            tally.peers.add(event.peer.packed.ljust(16, b"\0"))


def _socket(tally: Tally, event: Socket) -> None:
    tally.calls += 1
    tally.failed_calls += event.result < 0
    if event.peer is not None and event.op in _TALKS and len(tally.peers) < _DISTINCT:
        tally.peers.add(event.peer.packed.ljust(16, b"\0"))


def _dns(tally: Tally, event: Dns) -> None:
    if not event.received:
        tally.dns += 1
        if len(tally.questions) < _NAMES:
            tally.questions.add(event.question)


def _path(tally: Tally, event: PathChange) -> None:
    tally.moves += event.op in _MOVES


def _call(tally: Tally, event: Call) -> None:
    tally.calls += 1
    tally.failed_calls += event.result < 0


_EVENTS: Mapping[type, Callable[[Tally, Any], None]] = {
    Fork: _fork,
    Exec: _exec,
    Exit: _exit,
    Open: _open,
    Connection: _connection,
    Socket: _socket,
    Dns: _dns,
    PathChange: _path,
    Call: _call,
}


def _opened(tally: Tally, thing: bytes, growth: int) -> None:
    if thing[_ACCESS] & 1:
        tally.write_opens += growth
        if len(tally.files) < _DISTINCT:
            tally.files.add(thing[_FILE])


def _connected(tally: Tally, thing: bytes, growth: int) -> None:
    tally.connects += growth
    if len(tally.peers) < _DISTINCT:
        tally.peers.add(thing[_ADDRESS])


def _acted(tally: Tally, thing: bytes, growth: int) -> None:
    tally.calls += growth
    tally.failed_calls += growth if thing[_RESULT] else 0
    far = thing[_DEED] in _TALKS and int.from_bytes(thing[_FAMILY : _FAMILY + 2], "little") in _INTERNET
    if far and len(tally.peers) < _DISTINCT:
        tally.peers.add(thing[_ADDRESS])


def _asked(tally: Tally, thing: bytes, growth: int) -> None:
    tally.dns += 0 if thing[_DNS_RECEIVED] else growth


def _changed(tally: Tally, thing: bytes, growth: int) -> None:
    tally.moves += growth if thing[_CHANGE_OP] in _MOVES else 0


def _called(tally: Tally, thing: bytes, growth: int) -> None:
    tally.calls += growth
    tally.failed_calls += growth if thing[_CALL_FAILED] else 0


_KEYS: Mapping[EventType, Callable[[Tally, bytes, int], None]] = {
    EventType.OPEN: _opened,
    EventType.CONNECT: _connected,
    EventType.SOCKET: _acted,
    EventType.DNS: _asked,
    EventType.PATH: _changed,
    EventType.CALL: _called,
}


def matters(key: BehaviourKey) -> bool:
    """Whether a behaviour of the filter counts for any rate: files opened to be read, the most of them, do not."""
    return key.type in _KEYS and (key.type is not EventType.OPEN or bool(key.object[_ACCESS] & 1))
