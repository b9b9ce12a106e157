"""The core: events in, findings and ledger facts out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address

from agent.core import Core
from agent.detect.detector import Detector
from agent.events import Connection, Event, EventType, Exec, FileId, Head, RawBatch, Task, Throttle
from agent.identify.identify import Identifier
from agent.learn.learner import Learner
from agent.learn.links import novelty_key
from agent.ledger import Ledger
from agent.source.fake import FakeSource
from agent.source.port import BehaviourKey, Phase, ThrottleState
from detection.finding import Finding, Kind, Severity, Technique
from detection.rules import RuleSet
from detection.rules.parse import parse_rules

NOW = 1_800_000_000_000_000_000
RULE = """
title: Shell
id: 00000000-0000-4000-8000-000000000001
description: A shell ran.
level: high
tags: [attack.execution, attack.t1059.004]
logsource: {product: linux, category: process_creation}
detection:
  selection: {Image|endswith: /sh}
  condition: selection
"""


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def finding(self, finding: Finding) -> None:
        self.findings.append(finding)

    def ledger(self, entry: Ledger) -> None: ...

    def dropped(self) -> Mapping[str, int]:
        return {"spool_cap_low": 2}

    def close(self) -> None: ...


class Played:
    """A decoder that gives the events it was made with."""

    def __init__(self, events: list[Event]) -> None:
        self.rejected: Counter[str] = Counter({"length": 1})
        self._events = events

    def decode(self, batch: RawBatch) -> Iterator[Event]:
        yield from self._events


def make_exec(path: str, time_ns: int = NOW) -> Exec:
    task = Task(10**9, 5, 1, 4242, 4242, 1, 4242, 0, 0, 0, 0, 1, 1, 1, 0, "x")
    return Exec(Head(EventType.EXEC, 0, time_ns, task), FileId(1, 2, 3), 0, 0, 0, path, (path,), len(path), "/", path)


def make_core(
    events: list[Event], source: FakeSource | None = None, rule: str = RULE, rearm_slots: int = 1440
) -> tuple[Core, Kept]:
    sink = Kept()
    core = Core(
        source=source or FakeSource(),
        decoder=Played(events),
        identifier=Identifier(boot_id="boot"),
        learner=Learner(),
        detector=Detector(RuleSet.from_ir(parse_rules(rule, "test").rules), "node-1", clock=lambda: NOW),
        sink=sink,
        rearm_slots=rearm_slots,
    )
    return core, sink


BATCH = RawBatch(b"", 0, 0)


def test_a_matching_event_becomes_a_finding_in_the_sink() -> None:
    core, sink = make_core([make_exec("/bin/sh"), make_exec("/bin/ls")])
    core.handle(BATCH)
    (finding,) = [f for f in sink.findings if f.severity is Severity.HIGH]
    assert finding.techniques == (Technique("T1059.004", "execution"),)
    assert finding.fields["Image"] == "/bin/sh"
    assert not finding.lossy


def test_a_finding_close_to_a_loss_of_its_class_says_so() -> None:
    core, sink = make_core([make_exec("/bin/sh")], FakeSource(counters={"exec": {"emitted": 9, "lost_ring": 1}}))
    core.tick(NOW)
    core.handle(BATCH)
    assert [f.lossy for f in sink.findings if f.severity is Severity.HIGH] == [True]


def test_a_loss_of_another_class_does_not_stain_a_finding() -> None:
    core, sink = make_core([make_exec("/bin/sh")], FakeSource(counters={"open": {"lost_ring": 1}}))
    core.tick(NOW)
    core.handle(BATCH)
    assert not any(f.lossy for f in sink.findings)


def test_what_is_dropped_is_told_by_cause() -> None:
    core, _ = make_core([])
    dropped = core.dropped()
    assert (dropped["decode_length"], dropped["spool_cap_low"]) == (1, 2)


def test_an_event_that_breaks_a_stage_is_counted_and_the_next_goes_on() -> None:
    core, sink = make_core([make_exec("/bin/sh")._replace(argv=None), make_exec("/bin/sh", NOW + 1)])  # type: ignore[arg-type]
    core.handle(BATCH)
    assert sum(n for cause, n in core.dropped().items() if cause.startswith("core_exec_")) == 1
    assert [f.time_ns for f in sink.findings if f.severity is Severity.HIGH] == [NOW + 1]


class Keeping(FakeSource):
    """A sensor with upkeep: remembers what it was asked."""

    def __init__(self, counters: dict[str, dict[str, int]] | None = None, throttled: int = 0) -> None:
        super().__init__(counters=counters)
        self.sweeps: list[tuple[Phase | None, bool]] = []
        self.forgotten: list[BehaviourKey] = []
        self._throttled = throttled

    def sweep(
        self, due: Phase | None = None, *, crowded: bool = False, programs: Sequence[BehaviourKey] = ()
    ) -> list[tuple[BehaviourKey, int]]:
        self.sweeps.append((due, crowded))
        return []

    def throttled(self) -> list[ThrottleState]:
        return [ThrottleState(self._throttled, EventType.EXEC, 5, 1)] if self._throttled else []

    def release(self) -> list[ThrottleState]:
        return []

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        self.forgotten += keys
        return len(keys)


def make_connect(time_ns: int = NOW) -> Connection:
    head = make_exec("/bin/sh", time_ns).head._replace(type=EventType.CONNECT)
    address = IPv4Address("10.0.0.9")
    return Connection(head, FileId(1, 2, 3), address, 0, address, 443, 6)


def test_each_slot_rearms_its_part_and_the_cycle_repeats() -> None:
    source = Keeping()
    core, _ = make_core([], source, rearm_slots=3)
    for slot in range(4):
        core.close_slot(NOW + slot)
    assert source.sweeps == [(Phase(i, 3), False) for i in (1, 2, 0, 1)]


def test_a_full_filter_is_relieved_at_the_next_tick_once() -> None:
    source = Keeping(counters={"open": {"filter_full": 9}})
    core, _ = make_core([], source)
    core.tick(NOW)
    core.tick(NOW + 1)
    assert source.sweeps == [(None, True)]


def test_what_a_rule_matched_is_reported_again_after_its_window() -> None:
    source = Keeping()
    rule = RULE.replace("process_creation", "network_connection").replace("Image|endswith: /sh", "DestinationPort: 443")
    core, sink = make_core([make_connect()], source, rule=rule)
    core.handle(BATCH)
    assert [f.severity for f in sink.findings if f.kind is Kind.RULE] == [Severity.HIGH]
    core.tick(NOW + 60_000_000_000)
    assert source.forgotten == []
    core.tick(NOW + 61_000_000_000)
    assert source.forgotten == [novelty_key(make_connect())]


def test_findings_of_a_cgroup_that_is_held_back_say_so_others_do_not() -> None:
    here, elsewhere = make_exec("/bin/sh"), make_exec("/opt/sh", NOW + 1)
    elsewhere = elsewhere._replace(head=elsewhere.head._replace(task=elsewhere.head.task._replace(cgroup_id=99)))
    core, sink = make_core([here, elsewhere], Keeping(throttled=here.head.task.cgroup_id))
    core.tick(NOW)
    core.handle(BATCH)
    assert [f.lossy for f in sink.findings if f.severity is Severity.HIGH] == [True, False]
    assert [(t.behaviour, t.times) for t in core.throttles()] == [("exec", 1)]


def test_a_throttle_record_is_noted_and_no_behaviour() -> None:
    head = make_exec("/bin/sh").head._replace(type=EventType.THROTTLE)
    begin = Throttle(head, head.task.cgroup_id, EventType.OPEN, 0, NOW, stop=False)
    end = begin._replace(head=head._replace(time_ns=NOW + 5), held_back=12, stop=True)
    core, sink = make_core([begin, end])
    core.handle(BATCH)
    assert sink.findings == []
    assert [(t.workload, t.behaviour, t.held_back, t.active_since_ns) for t in core.throttles()] == [
        ("host", "open", 12, 0)
    ]
