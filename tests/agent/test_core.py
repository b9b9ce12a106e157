"""The core: events in, findings and ledger facts out."""

from collections import Counter
from collections.abc import Iterator, Mapping

from agent.core import Core
from agent.detect.detector import Detector
from agent.events import Event, EventType, Exec, FileId, Head, RawBatch, Task
from agent.identify.identify import Identifier
from agent.learn.learner import Learner
from agent.ledger import Ledger
from agent.source.fake import FakeSource
from detection.finding import Finding, Severity, Technique
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


def make_core(events: list[Event], source: FakeSource | None = None) -> tuple[Core, Kept]:
    sink = Kept()
    core = Core(
        source=source or FakeSource(),
        decoder=Played(events),
        identifier=Identifier(boot_id="boot"),
        learner=Learner(),
        detector=Detector(RuleSet.from_ir(parse_rules(RULE, "test").rules), "node-1", clock=lambda: NOW),
        sink=sink,
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
