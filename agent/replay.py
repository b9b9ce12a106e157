"""Replay: a recording through decode, identify, learn and detect, as if it happened now; needs no privilege."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from struct import error as StructError  # noqa: N812
from typing import Any

import orjson

from agent.core import Core
from agent.decode.decode import Decoder
from agent.detect.detector import Detector
from agent.events import EventType, FileId, RawBatch
from agent.facts import RecordedFiles
from agent.identify.identify import Identifier
from agent.identify.keys import NS_PER_TICK
from agent.identify.paths import Limits, Paths
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.ledger import Ledger
from agent.record import BEHAVIOUR
from agent.recording import Frame, Kind, RecordingError, RecordingReader, batch_of, facts_of
from agent.source.port import BehaviourKey, ProbeState
from agent.told import ToldEngines
from detection.finding import Finding
from detection.rules import RuleSet

_TICK_NS = 1_000_000_000
_FOLDED = 50_000  # findings held back for their counts
_BEHAVIOURS = 1 << 18


@dataclass(frozen=True, slots=True)
class About:
    """Where and when a recording was made."""

    boot_id: str
    node: str
    time_ns: int
    kernel: str
    probes: tuple[ProbeState, ...] = ()
    runtimes: bool = False  # whether container runtimes were asked


@dataclass(slots=True)
class Summary:
    """What a replay met. `events` is by type; `refused` what was not played, by cause; `end` why it ended."""

    about: About
    records: int = 0
    batches: int = 0
    first_ns: int = 0
    last_ns: int = 0
    events: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    containers: tuple[str, ...] = ()
    end: str = ""


class RecordedSource:
    """A `Source` that plays a recording; `files` says what its host said up to the batch last read.

    `start` reads the snapshot. Raises: RecordingError.
    """

    def __init__(self, path: Path) -> None:
        self.files = RecordedFiles()
        self.now_ns = 0
        self.ended = ""  # why the recording ended
        self.problem = ""  # after the last batch: what could not be played
        self._reader = RecordingReader(path)
        self._frames = iter(self._reader)
        self._counters: dict[str, dict[str, int]] = {}
        self._behaviours: dict[BehaviourKey, int] = {}
        self._about: About | None = None

    def start(self) -> None:
        for frame in self._frames:
            if frame.kind is Kind.SEEDED and self._about is not None:
                return
            self._apply(frame)
        raise RecordingError(f"{self._reader.path}: ends before the snapshot of its host does; record again")

    def read(self, timeout_s: float) -> RawBatch | None:
        """The next batch at once; None after the last."""
        for frame in self._frames:
            if frame.kind is Kind.BATCH:
                self.now_ns, batch = batch_of(frame.payload)
                return batch
            self._apply(frame)
        self.problem = self._reader.problem
        if not self.problem and not self.ended:
            self.problem = f"{self._reader.path}: has no end, its recording was cut off; all that is there was played"
        return None

    def about(self) -> About:
        """Known after `start`."""
        if self._about is None:
            raise RecordingError(f"{self._reader.path}: does not say where it was made; record again")
        return self._about

    def probes(self) -> Sequence[ProbeState]:
        return self.about().probes

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """As of the last time they were recorded."""
        return self._counters

    def behaviours(self) -> Iterator[tuple[BehaviourKey, int]]:
        """Those whose count grew since the last call."""
        grown, self._behaviours = self._behaviours, {}
        return iter(grown.items())

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        """Nothing: what is recorded is recorded."""
        return 0

    def stop(self) -> None:
        """Nothing to detach."""

    def _apply(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.ABOUT:
                self._about = _about(self._json(frame))
                self.now_ns = self._about.time_ns
            case Kind.FACTS:
                self.files.apply(facts_of(frame.payload))
            case Kind.COUNTERS:
                self._counters = _counters(self._json(frame))
            case Kind.BEHAVIOURS:
                self._count(frame.payload)
            case Kind.END:
                self.ended = str(self._json(frame).get("reason", ""))[:256]
            case _:
                pass

    def _count(self, payload: bytes) -> None:
        for row in BEHAVIOUR.iter_unpack(payload[: len(payload) // BEHAVIOUR.size * BEHAVIOUR.size]):
            cgroup_id, ino, dev, generation, thing, kind, count = row
            if kind in EventType.__members__.values() and len(self._behaviours) < _BEHAVIOURS:
                key = BehaviourKey(cgroup_id, EventType(kind), FileId(ino, dev, generation), thing)
                self._behaviours[key] = count

    def _json(self, frame: Frame) -> dict[str, Any]:
        try:
            found = orjson.loads(frame.payload)
        except orjson.JSONDecodeError as error:
            raise RecordingError(f"{self._reader.path}: a frame is not JSON: {error}; record again") from error
        return found if isinstance(found, dict) else {}


def _about(found: Mapping[str, Any]) -> About:
    ticks = found.get("ticks_per_s")
    if ticks != 1_000_000_000 // NS_PER_TICK:
        raise RecordingError(f"recorded with {ticks} clock ticks a second, here are others: process ids would differ")
    time_ns = found.get("time_ns")
    probes = found.get("probes")
    rows = [p for p in probes if isinstance(p, dict)] if isinstance(probes, list) else []
    return About(
        boot_id=str(found.get("boot_id", ""))[:64],
        node=str(found.get("node", ""))[:255],
        time_ns=time_ns if isinstance(time_ns, int) and 0 <= time_ns < 1 << 63 else 0,
        kernel=str(found.get("kernel", ""))[:64],
        probes=tuple(
            ProbeState(str(p.get("name")), p.get("attached") is True, str(p.get("consequence", ""))) for p in rows
        ),
        runtimes=found.get("runtimes") is True,
    )


def _counters(found: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    return {
        name: {cause: n for cause, n in causes.items() if isinstance(n, int) and 0 <= n < 1 << 63}
        for name, causes in found.items()
        if isinstance(causes, dict)
    }


class _Folded:
    """A `Sink` that keeps the newest form of each finding, in order, at most `room` of them."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._held: OrderedDict[str, Finding] = OrderedDict()

    def finding(self, finding: Finding) -> None:
        self._held[finding.id] = finding

    def ledger(self, entry: Ledger) -> None:
        """There is none to keep."""

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        """Nothing is open."""

    def over(self) -> Iterator[Finding]:
        """The oldest, as long as there are more than the room allows."""
        while len(self._held) > self._room:
            yield self._held.popitem(last=False)[1]

    def rest(self) -> Iterator[Finding]:
        """All that are left."""
        while self._held:
            yield self._held.popitem(last=False)[1]


class Replay:
    """Plays one recording. A finding is given once, with its final count. Raises: RecordingError, OSError.

    `learner` takes the place of a fresh one; its slots should be as long as `slot_s`.
    """

    def __init__(self, path: Path, ruleset: RuleSet, *, slot_s: float = 60.0, learner: Learner | None = None) -> None:
        source = self._source = RecordedSource(path)
        source.start()
        about = source.about()
        self._decoder = _CountingDecoder()
        engines = ToldEngines(source.files) if about.runtimes else None
        self._identifier = Identifier(about.boot_id, Paths(files=source.files), Limits(sweep=0), engines)
        self._detector = Detector(ruleset, about.node, lambda: source.now_ns)
        self._folded = _Folded(_FOLDED)
        self._core = Core(
            source=source,
            decoder=self._decoder,
            identifier=self._identifier,
            learner=learner or Learner(LearnConfig(slot_s=slot_s)),
            detector=self._detector,
            sink=self._folded,
        )
        self._slot_ns = int(slot_s * 1e9)
        self.summary = Summary(about)

    def findings(self) -> Iterator[Finding]:
        """Play; the findings in the order they were made. `summary` is complete afterwards."""
        self._seed()
        for finding in self._play():
            self.summary.findings[finding.rule_id] += 1
            yield finding
        self._sum_up()

    def _seed(self) -> None:
        try:
            self._identifier.seed()
        except (OSError, ValueError, OverflowError, StructError) as error:
            raise RecordingError(f"the snapshot of the recorded host cannot be read: {error}; record again") from error

    @property
    def problem(self) -> str:
        """After playing: what part of the file could not be played and why, "" for none."""
        return self._source.problem

    def _play(self) -> Iterator[Finding]:
        source, summary = self._source, self.summary
        next_tick = source.now_ns + _TICK_NS
        next_slot = source.now_ns + self._slot_ns
        while (batch := source.read(0)) is not None:
            summary.batches += 1
            summary.records += batch.records
            if source.now_ns >= next_tick:
                next_tick = source.now_ns + _TICK_NS
                self._core.tick(source.now_ns)
            if source.now_ns >= next_slot:
                next_slot = max(next_slot + self._slot_ns, source.now_ns)
                self._core.close_slot(source.now_ns)
            self._core.handle(batch)
            yield from self._folded.over()
        self._core.finish(source.now_ns)
        yield from self._folded.rest()

    def _sum_up(self) -> None:
        summary = self.summary
        summary.events = self._decoder.events
        summary.first_ns, summary.last_ns = self._decoder.first_ns, self._decoder.last_ns
        summary.counters = self._source.counters()
        summary.refused = {cause: n for cause, n in self._core.dropped().items() if n}
        summary.containers = tuple(c.id for c in self._identifier.containers())
        summary.end = self._source.ended


class _CountingDecoder(Decoder):
    """A decoder that remembers what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.events: Counter[str] = Counter()
        self.first_ns = 0
        self.last_ns = 0

    def decode(self, batch: RawBatch) -> Iterator[Any]:
        for event in super().decode(batch):
            self.events[event.head.type.name.lower()] += 1
            self.last_ns = event.head.time_ns
            self.first_ns = self.first_ns or event.head.time_ns
            yield event
