"""Record: the sensor's batches as they are, and what identify asks of the host because of them."""

import logging
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from struct import Struct
from typing import BinaryIO

import orjson

from agent.decode import layout
from agent.decode.decode import Decoder
from agent.errors import AgentError
from agent.events import EventType, RawBatch
from agent.facts import TappedFiles
from agent.identify.host import HERE, HostFiles
from agent.identify.identify import Identifier
from agent.identify.paths import Limits, Paths
from agent.identify.sources import Engines
from agent.recording import MOST_BYTES, Fact, Kind, RecordingWriter, pack_fact
from agent.source.port import BehaviourKey, Source, Upkeep
from agent.told import TappedEngines

log = logging.getLogger(__name__)

BEHAVIOUR = Struct("<QQII24sIQ")  # cgroup id, executable, object, event type, count
_PREFIX = Struct("=HHI")  # of struct ev_head: type, flags, size
# Start, parent's start, cgroup and pid of struct ev_task stand side by side: together they name who did it, and where.
_WHO = slice(layout.EV_HEAD_OFFSETS["task.start_ns"], layout.EV_HEAD_OFFSETS["task.tid"])
_MOVES = frozenset((EventType.FORK, EventType.EXEC, EventType.EXIT, EventType.CGROUP_MKDIR, EventType.CGROUP_RMDIR))
_KNOWN = 1 << 16
_FACTS_BYTES = 1 << 20
_READ_S = 0.25
_TICK_S = 1.0
_COUNTERS_S = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a recording ends by itself; None never. `slot_s` is how often the filter's counts are written."""

    seconds: float | None = None
    bytes: int | None = None
    slot_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording came to. `lost` counts records the sensor could not hand over."""

    records: int
    bytes: int
    seconds: float
    lost: int
    reason: str


class Recorder:
    """Writes one recording. Only records that move processes and cgroups, and the first of each process in each
    cgroup, are decoded: identify then asks the host what a replay will need. All others are written unread.
    """

    def __init__(
        self,
        source: Source,
        file: BinaryIO,
        *,
        node: str,
        boot_id: str,
        files: HostFiles = HERE,
        engines: Engines | None = None,
    ) -> None:
        self._source = source
        self._upkeep = source if isinstance(source, Upkeep) else None
        self._writer = RecordingWriter(file)
        self._file = file
        self._node, self._boot_id = node, boot_id
        self._tap = TappedFiles(files)
        # An exit nobody announced stays unknown: a replay could not see it either.
        self._asks = engines is not None
        tapped = TappedEngines(engines, self._tap) if engines is not None else None
        self._identifier = Identifier(boot_id, Paths(files=self._tap), Limits(sweep=0), tapped)
        self._decoder = Decoder()
        self._known: set[bytes] = set()
        self._records = 0
        self._lost = 0
        self._counts: dict[BehaviourKey, int] = {}
        self._errors: Counter[str] = Counter()

    def run(self, stop: threading.Event, bounds: Bounds = Bounds()) -> Recorded:
        """Record until `stop` is set or a bound is reached. Raises: SourceError, OSError (disk full …)."""
        try:
            self._source.start()
            begun = time.monotonic()
            self._begin()
            reason = self._work(stop, bounds, begun)
            # Detaching takes seconds on a busy machine: what is lost meanwhile comes after the recording's end.
            self._counters()
            seconds = time.monotonic() - begun
        finally:
            self._source.stop()
        self._writer.write(Kind.END, orjson.dumps({"reason": reason, "time_ns": time.time_ns()}))
        self._file.flush()
        return Recorded(self._records, self._writer.size, seconds, self._lost, reason)

    def _begin(self) -> None:
        about = {
            "boot_id": self._boot_id,
            "node": self._node,
            "version": version("vedette"),
            "kernel": platform.release(),
            "ticks_per_s": os.sysconf("SC_CLK_TCK"),
            "time_ns": time.time_ns(),
            "probes": [probe._asdict() for probe in self._source.probes()],
            "runtimes": self._asks,
        }
        self._writer.write(Kind.ABOUT, orjson.dumps(about))
        self._identifier.seed()
        self._facts(self._tap.take())
        self._writer.write(Kind.SEEDED)

    def _work(self, stop: threading.Event, bounds: Bounds, begun: float) -> str:
        tick, counters, slot = begun + _TICK_S, begun + _COUNTERS_S, begun + bounds.slot_s
        while not stop.is_set():
            batch = self._source.read(_READ_S)
            if batch is not None:
                self._take(batch)
            now = time.monotonic()
            if now >= tick:
                tick = now + _TICK_S
                self._tick()
            if now >= counters:
                counters = now + _COUNTERS_S
                self._counters()
            if now >= slot:
                slot = now + bounds.slot_s
                self._behaviours()
            if bounds.seconds is not None and now - begun >= bounds.seconds:
                return "its time was up"
            if bounds.bytes is not None and self._writer.size >= bounds.bytes:
                return "it reached its size"
        return "it was stopped"

    def _take(self, batch: RawBatch) -> None:
        """Ask the host what this batch makes identify ask, then write the answers and the batch."""
        known, moves = self._known, _MOVES
        data, end, at = batch.data, len(batch.data), 0
        begin, size_of_head, who = _PREFIX.unpack_from, layout.EV_HEAD_SIZE, _WHO
        while at + size_of_head <= end:
            kind, _, size = begin(data, at)
            if size < size_of_head:
                break
            key = data[at + who.start : at + who.stop]
            if key not in known or kind in moves:
                self._identify(RawBatch(data[at : at + size], 1, batch.boot_to_unix_ns))
                if len(known) >= _KNOWN:
                    known.clear()
                known.add(key)
            at += size
        self._identifier.hear(time.time_ns())
        self._facts(self._tap.take())
        self._writer.batch(time.time_ns(), batch)
        self._records += batch.records

    def _identify(self, record: RawBatch) -> None:
        try:
            for event in self._decoder.decode(record):
                self._identifier.identify(event)
        # What becomes of it is of no interest here, only what identify asks; the record itself is written.
        except Exception as error:  # noqa: BLE001
            self._errors[type(error).__name__] += 1

    def _facts(self, facts: Iterable[Fact]) -> None:
        parts: list[bytes] = []
        size = 0
        for fact in facts:
            packed = pack_fact(fact)
            if size + len(packed) > MOST_BYTES or size > _FACTS_BYTES:
                self._writer.write(Kind.FACTS, *parts)
                parts, size = [], 0
            parts.append(packed)
            size += len(packed)
        if parts:
            self._writer.write(Kind.FACTS, *parts)

    def _tick(self) -> None:
        self._identifier.tick(time.time_ns())
        self._identifier.hear(time.time_ns())
        self._facts(self._tap.take())
        if self._upkeep:
            self._upkeep.release()
        lost = lost_in(self._source.counters())
        if lost != self._lost:
            self._counters()
        self._file.flush()

    def _counters(self) -> None:
        counters = self._source.counters()
        self._lost = lost_in(counters)
        self._writer.write(Kind.COUNTERS, orjson.dumps({k: dict(v) for k, v in counters.items()}))

    def _behaviours(self) -> None:
        """Write what the filter counted since the last time."""
        grown = self._upkeep.sweep() if self._upkeep else self._grown()
        rows = [BEHAVIOUR.pack(key.cgroup_id, *key.exe, key.object, key.type, count) for key, count in grown]
        if rows:
            self._writer.write(Kind.BEHAVIOURS, *rows)

    def _grown(self) -> list[tuple[BehaviourKey, int]]:
        """Of a source whose filter nobody sweeps: it can only grow full."""
        before, self._counts = self._counts, dict(self._source.behaviours())
        return [(key, count) for key, count in self._counts.items() if before.get(key) != count]


def lost_in(counters: Mapping[str, Mapping[str, int]]) -> int:
    """How many records the sensor lost, of all classes."""
    return sum(n for causes in counters.values() for cause, n in causes.items() if cause.startswith("lost_"))


def create(path: Path) -> BinaryIO:
    """The file of a new recording, readable by its owner only: it holds command lines as they were, secrets included.

    Raises: AgentError when there is one already or it cannot be made.
    """
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except FileExistsError as error:
        raise AgentError(f"{path}: exists; remove it or choose another name") from error
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}; choose a place this user can write to") from error
