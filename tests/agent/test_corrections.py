"""A finding sent before its container was known is sent again, complete, under the same id; and the core does it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.core import Core
from agent.corrections import Corrections, is_unfinished
from agent.detect.detector import Detector
from agent.events import EventType, Exec, FileId, Head, RawBatch, Task
from agent.identify.identify import Identifier
from agent.identify.paths import Limits, Paths
from agent.identify.sources import FakeEngines, Said, Standing
from agent.learn.learner import Learner
from agent.ledger import Ledger
from agent.source.fake import FakeSource
from agent.workload import Container, Identified, Process, Workload
from detection.finding import EntityKind, Finding, Kind, Severity, Source
from detection.rules import RuleSet
from detection.rules.parse import parse_rules

S = 1_000_000_000
NOW = 1_800_000_000 * S
ID = "ab" * 32
UID = "0d9a3c1e-1111-4222-8333-444455556666"
CGROUP = f"/kubepods/pod{UID}/{ID}"
SAID = Said(ID, "cri", runtime="cri-o", name="web", image="shop:1", pod_uid=UID, pod_name="db-0", namespace="prod")
RULE = """
title: Shell
id: 00000000-0000-4000-8000-000000000001
description: A shell ran.
level: high
logsource: {product: linux, category: process_creation}
detection:
  selection: {Image|endswith: /sh}
  condition: selection
"""


class Kept:
    """A sink that keeps findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def finding(self, finding: Finding) -> None:
        if finding.kind is Kind.RULE:
            self.findings.append(finding)

    def ledger(self, entry: Ledger) -> None: ...

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None: ...


class Played:
    """A decoder that gives what is put into it."""

    def __init__(self) -> None:
        self.rejected: Any = {}
        self.events: list[Exec] = []

    def decode(self, batch: RawBatch) -> Any:
        events, self.events = self.events, []
        return iter(events)


class Node:
    """A core over an empty host with one cgroup, and a runtime that answers when told."""

    def __init__(self, base: Path, standing: Standing = Standing.UP) -> None:
        (base / "cgroup").mkdir()
        (base / "cgroup/cgroup.controllers").touch()
        directory = base / "cgroup" / CGROUP.lstrip("/")
        directory.mkdir(parents=True)
        self.cgroup = directory.stat().st_ino
        paths = Paths(proc=str(base / "proc"), cgroup=str(base / "cgroup"), state_roots=(), prefix=str(base))
        self.engines = FakeEngines(standing)
        self.decoder, self.sink = Played(), Kept()
        self.core = Core(
            source=FakeSource(),
            decoder=self.decoder,
            identifier=Identifier("boot", paths, Limits(sweep=0), self.engines),
            learner=Learner(),
            detector=Detector(RuleSet.from_ir(parse_rules(RULE, "test").rules), "node-1", clock=lambda: NOW),
            sink=self.sink,
        )

    def runs(self, path: str, at_ns: int) -> None:
        """One exec in the container."""
        task = Task(10**9, 5, self.cgroup, 42, 42, 1, 42, 0, 0, 0, 0, 1, 1, 1, 0, "x")
        head = Head(EventType.EXEC, 0, NOW + at_ns, task)
        self.decoder.events = [Exec(head, FileId(1, 2, 3), 0, 0, 0, path, (path, str(at_ns)), 9, "/", path)]
        self.core.handle(RawBatch(b"", 0, 0))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """With a runtime that is up."""
    return Node(tmp_path)


def test_a_finding_waits_for_its_container_and_comes_complete(node: Node) -> None:
    """Nothing is sent until the runtime answers; then once, with all entities."""
    node.engines.known[ID] = SAID
    node.runs("/bin/sh", 0)
    assert (node.sink.findings, node.core.waiting) == ([], True)
    node.engines.answer()
    node.core.pump(NOW + S)
    (finding,) = node.sink.findings
    assert (finding.incomplete, finding.entity(EntityKind.POD_NAME) is not None) == (False, True)
    assert finding.fields["workload"] == "k8s/prod/statefulset/db/web"
    node.core.tick(NOW + 2 * S)
    assert len(node.sink.findings) == 1


def test_after_two_seconds_it_goes_on_incomplete_and_is_corrected_later(node: Node) -> None:
    """The same id twice, first marked, then not; later events of that container do not wait."""
    node.engines.known[ID] = SAID
    node.runs("/bin/sh", 0)
    node.core.pump(NOW + S)
    assert node.sink.findings == []
    node.core.pump(NOW + 2 * S)
    (early,) = node.sink.findings
    assert (early.incomplete, early.entity(EntityKind.POD_NAME)) == (True, None)
    node.runs("/bin/sh", 3 * S)
    assert [f.incomplete for f in node.sink.findings] == [True, True]
    node.engines.answer()
    node.core.tick(NOW + 4 * S)
    corrected = node.sink.findings[2]
    assert (corrected.id, corrected.incomplete, corrected.corrects(early)) == (early.id, False, True)
    assert corrected.fields["k8s.pod"] == "db-0"
    assert len(node.sink.findings) == 4
    node.core.tick(NOW + 5 * S)
    assert len(node.sink.findings) == 4
    dropped = node.core.dropped()
    assert (dropped["events_incomplete"], dropped["waiting_expired"], dropped["corrections_given_up"]) == (2, 1, 0)


def test_a_runtime_that_is_down_holds_nothing_up(tmp_path: Path) -> None:
    """Nobody waits longer than for the files; what it would have added is marked as missing and corrected."""
    node = Node(tmp_path, Standing.DOWN)
    node.runs("/bin/sh", 0)
    node.core.pump(NOW + 2 * S)
    assert [f.incomplete for f in node.sink.findings] == [True]
    node.engines.standing = Standing.UP
    node.engines.known[ID] = SAID
    node.core.tick(NOW + 3 * S)
    node.engines.answer()
    node.core.tick(NOW + 4 * S)
    assert [f.incomplete for f in node.sink.findings] == [True, False]


def test_at_the_end_nothing_is_held_back(node: Node) -> None:
    """What still waits is judged as it is."""
    node.runs("/bin/sh", 0)
    node.core.finish(NOW)
    assert [f.incomplete for f in node.sink.findings] == [True]


def _sent(number: int) -> tuple[Finding, Identified]:
    finding = Finding(f"f{number}", 1, Source.RUNTIME, Kind.RULE, "r", "t", Severity.HIGH, "why", incomplete=True)
    task = Task(10**9, 5, 1, 42, 42, 1, 42, 0, 0, 0, 0, 1, 1, 1, 0, "x")
    event = Exec(Head(EventType.EXEC, 0, 1, task), FileId(1, 2, 3), 0, 0, 0, "/x", ("/x",), 2, "/", "/x")
    process = Process("e", 1, "", "/x", ("/x",), "/", 0, 0, 1, 1)
    return finding, Identified(event, process, (), Container("c", complete=False), Workload("w"))


def test_corrections_are_bounded_in_number_and_age() -> None:
    """The oldest are given up, and counted."""
    corrections = Corrections(kept=3, keep_ns=10)
    for number in range(5):
        corrections.note(*_sent(number), now_ns=number)
    assert (len(corrections), corrections.given_up) == (3, 2)
    assert list(corrections.due(12, lambda one: one)) == []
    assert (len(corrections), corrections.given_up) == (2, 3)
    complete = Container("c", complete=True)
    due = list(corrections.due(12, lambda one: replace(one, container=complete)))
    assert [finding.id for finding, _ in due] == ["f3", "f4"]
    assert len(corrections) == 0


@pytest.mark.parametrize(
    ("container", "unfinished"),
    [
        (None, False),
        (Container("c"), False),
        (Container("c", complete=False), True),
        (Container("c", awaited="cri"), True),
    ],
)
def test_what_is_unfinished(container: Container | None, unfinished: bool) -> None:
    """Unknown, or known without what a silent runtime would add."""
    assert is_unfinished(container) is unfinished
