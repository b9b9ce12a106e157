"""The core hands rates everything it sees, once: records, repeats, what was held back, losses, and the slot's end."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from agent.core import Core
from agent.detect.detector import Detector
from agent.events import Event, EventType, FileId, RawBatch, Throttle
from agent.identify.identify import Identifier
from agent.learn.learner import Learner
from agent.rates.rates import Inhabitant
from agent.source.fake import FakeSource
from agent.source.port import BehaviourKey, Phase, ThrottleState
from detection.finding import Finding, Kind, Severity, Source
from detection.rules import RuleSet

NOW = 1_700_000_000_000_000_000
KEY = BehaviourKey(101, EventType.CONNECT, FileId(9, 1, 0), bytes(24))
FOUND = Finding("f", NOW, Source.RUNTIME, Kind.ANOMALY, "rates", "t", Severity.HIGH, "r")


class Told:
    """In place of rates: notes what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def count(self, event: Event) -> None:
        self.said.append(("count", event.head.type))

    def recount(self, behaviours: Iterable[tuple[BehaviourKey, int]]) -> None:
        self.said += [("recount", key, count) for key, count in behaviours]

    def held_back(self, cgroup_id: int, kind: EventType, count: int, *, ended: bool) -> None:
        self.said.append(("held back", cgroup_id, kind, count, ended))

    def note_loss(self) -> None:
        self.said.append(("loss",))

    def close_slot(self, now_ns: int, inhabitants: Iterable[Inhabitant]) -> list[Finding]:
        assert all(isinstance(one, Inhabitant) for one in inhabitants)
        self.said.append(("close", now_ns))
        return [FOUND]


class Kernel(FakeSource):
    """With upkeep: one behaviour grew, one cgroup is over its budget, one was."""

    def sweep(
        self, due: Phase | None = None, *, crowded: bool = False, programs: Sequence[BehaviourKey] = ()
    ) -> list[tuple[BehaviourKey, int]]:
        return [(KEY, 7)]

    def throttled(self) -> list[ThrottleState]:
        return [ThrottleState(101, EventType.OPEN, 5, 30)]

    def release(self) -> list[ThrottleState]:
        return [ThrottleState(102, EventType.DNS, 5, 40)]


class Played:
    """A decoder that gives these events for any batch."""

    def __init__(self, events: list[Event]) -> None:
        self.rejected: Counter[str] = Counter()
        self._events = events

    def decode(self, batch: RawBatch) -> Iterator[Event]:
        yield from self._events


class Sink:
    """Keeps findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def finding(self, finding: Finding) -> None:
        self.findings.append(finding)

    def ledger(self, entry: object) -> None:
        """None comes."""

    def dropped(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


def core_of(events: list[Event], source: FakeSource) -> tuple[Core, Told, Sink]:
    told, sink = Told(), Sink()
    core = Core(
        source=source,
        decoder=Played(events),
        identifier=Identifier(boot_id="boot"),
        learner=Learner(),
        detector=Detector(RuleSet.from_ir([]), "node-1", clock=lambda: NOW),
        sink=sink,
        rates=told,  # type: ignore[arg-type]
    )
    return core, told, sink


def test_every_record_counts_also_those_that_show_nothing_to_learn(make: Any) -> None:
    core, told, _ = core_of([make.fork(), make.exec("/bin/a"), make.exit()], FakeSource())
    core.handle(RawBatch(b"", 0, 0))
    assert told.said == [("count", kind) for kind in (EventType.FORK, EventType.EXEC, EventType.EXIT)]


@pytest.mark.parametrize("source", [Kernel(), FakeSource(known={KEY: 7})])
def test_the_slots_end_brings_repeats_then_the_windows_findings(source: FakeSource) -> None:
    core, told, sink = core_of([], source)
    source.running = True
    core.close_slot(NOW)
    assert told.said == [("recount", KEY, 7), ("close", NOW)]
    assert sink.findings == [FOUND]


def test_what_is_held_back_is_told_whether_it_goes_on_or_ended(make: Any) -> None:
    head = make.head(EventType.THROTTLE)
    begins = Throttle(head, 101, EventType.PATH, 0, NOW, stop=False)
    core, told, _ = core_of([begins, begins._replace(held_back=9, stop=True)], Kernel())
    core.tick(NOW)
    core.handle(RawBatch(b"", 0, 0))
    assert [words for words in told.said if words[0] == "held back"] == [
        ("held back", 102, EventType.DNS, 40, True),
        ("held back", 101, EventType.OPEN, 30, False),
        ("held back", 101, EventType.PATH, 9, True),
    ]


def test_a_loss_is_told() -> None:
    core, told, _ = core_of([], FakeSource(counters={"exec": {"lost_ring": 1}}))
    core.tick(NOW)
    core.tick(NOW + 1)
    assert told.said == [("loss",)]
