"""The one path: each finding once, counted; nothing acknowledged that is not on the disk."""

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.spool.frame import FIRST_CHAIN, next_chain
from collector.errors import StreamError
from collector.incident import Incident
from collector.ingest import Ingest, NoCorrelator
from collector.metrics import Metrics
from collector.store.store import Peer, Store
from collector.stream import Position, Record, StreamKey, opening
from detection.finding import Entity, EntityKind, Finding, Kind, Severity, Source

KEY = StreamKey("node-1", "0" * 32)


def finding(number: int, **changes: Any) -> Finding:
    base = Finding(
        id=f"f{number:03}",
        time_ns=1000 + number,
        source=Source.KUBERNETES_AUDIT,
        kind=Kind.RULE,
        rule_id="r",
        title="t",
        severity=Severity.LOW,
        reason="r",
    )
    return replace(base, **changes)


class Harness:
    def __init__(self, directory: Path) -> None:
        self.database = directory / "c.db"
        self.store = Store(str(self.database))
        self.metrics = Metrics()
        self.cursors: list[int] = []
        self.correlator: Any = NoCorrelator()

    def run(self, work: Any) -> Any:
        """Run `work(ingest)` in an event loop of its own."""

        async def inside() -> Any:
            ingest = Ingest(self.store, self.correlator, self.cursors.append, self.metrics)
            try:
                return await work(ingest)
            finally:
                await ingest.close()

        made: Coroutine[Any, Any, Any] = inside()
        return asyncio.run(made)

    def found(self, result: str) -> float:
        return self.metrics.value("vedette_collector_findings_total", source="kubernetes-audit", result=result)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    harness = Harness(tmp_path)
    yield harness
    harness.store.close()


def test_a_finding_is_stored_once_however_often_it_comes(harness: Harness) -> None:
    async def work(ingest: Ingest) -> None:
        await ingest.findings([finding(1), finding(1), finding(2)])
        await ingest.findings([finding(2), finding(1, count=5), finding(3)])

    harness.run(work)
    assert harness.store.known(["f001"])["f001"].count == 5
    assert harness.store.counts()["findings"] == 3
    assert (harness.found("new"), harness.found("repeated"), harness.found("duplicate")) == (3, 1, 2)
    assert harness.cursors == [2, 3]  # a repeat is no new event


class Trips:
    """Fails for one finding."""

    def add_many(self, findings: Sequence[Finding]) -> list[Incident]:
        if any(f.id == "f002" for f in findings):
            raise ZeroDivisionError
        return []

    def expire(self, now_ns: int) -> int:
        return 0

    def restore(self, findings: Sequence[Finding], incidents: Sequence[Incident]) -> None: ...


def test_a_finding_that_trips_the_correlator_is_still_stored(harness: Harness) -> None:
    harness.correlator = Trips()
    harness.run(lambda ingest: ingest.findings([finding(1), finding(2), finding(3)]))
    assert harness.store.counts()["findings"] == 3
    assert harness.metrics.value("vedette_collector_correlator_errors_total") == 1


def test_a_finding_json_cannot_carry_is_dropped_and_counted(harness: Harness) -> None:
    harness.run(lambda ingest: ingest.findings([finding(1, title="\udc80"), finding(2, fields={"n": 1 << 80})]))
    assert (harness.store.counts()["findings"], harness.found("unstorable")) == (0, 2)


def test_records_json_cannot_carry_keep_their_place_in_the_sequence(harness: Harness) -> None:
    async def work(ingest: Ingest) -> int:
        await ingest.open(KEY, 1, 2, Peer())
        return await ingest.records(KEY, chain([finding(1, title="\udc80"), finding(2)]))

    assert harness.run(work) == 2
    counts = harness.store.counts()
    assert (counts["records"], counts["dead_letters"], counts["findings"]) == (2, 1, 1)


def chain(contents: Sequence[Finding]) -> list[Record]:
    """Records as an agent would send them."""
    records, value = [], FIRST_CHAIN
    for seq, content in enumerate(contents, 1):
        value = next_chain(value, seq, b"p%d" % seq)
        records.append(Record(seq, value, b"p%d" % seq, content))
    return records


def test_a_commit_that_was_cancelled_is_known_to_the_next_one(harness: Harness) -> None:
    records = chain([finding(i) for i in range(1, 5)])

    async def work(ingest: Ingest) -> int:
        await ingest.open(KEY, 1, 4, Peer())
        task = asyncio.create_task(ingest.records(KEY, records[:2]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await ingest.records(KEY, records)

    assert harness.run(work) == 4
    assert harness.store.counts()["records"] == 4


def test_while_the_database_is_locked_the_caller_waits_and_then_has_its_answer(harness: Harness) -> None:
    async def work(ingest: Ingest) -> None:
        with closing(sqlite3.connect(harness.database, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(ingest.findings([finding(1)]))
            while not harness.metrics.value("vedette_collector_commit_retries_total"):
                await asyncio.sleep(0.01)
            assert not task.done()
            other.execute("ROLLBACK")
            await task

    harness.run(work)
    assert harness.store.counts()["findings"] == 1


def test_a_break_is_refused_after_what_came_before_it(harness: Harness) -> None:
    records = chain([finding(i) for i in range(1, 6)])

    async def work(ingest: Ingest) -> None:
        await ingest.open(KEY, 1, 5, Peer())
        with pytest.raises(StreamError, match="record 4 came where 3 was due"):
            await ingest.records(KEY, [*records[:2], *records[3:]])
        assert await ingest.records(KEY, records[2:]) == 5

    harness.run(work)
    assert harness.store.counts()["records"] == 5


@pytest.mark.parametrize(
    ("committed", "oldest", "newest", "expected"),
    [
        (Position(5, b"c"), 3, 9, Position(5, b"c")),  # the agent still has some of what is committed
        (Position(5, b"c"), 6, 9, Position(5, b"c")),  # exactly the next
        (Position(5, b"c"), 8, 9, Position(7, b"")),  # 6 and 7 are gone for good
        (Position(5, b"c"), 0, 9, Position(9, b"")),  # the spool is empty
        (Position(5, b"c"), 0, 5, Position(5, b"c")),
        (Position(), 0, 0, Position()),
        (Position(9, b"c"), 1, 4, Position(9, b"c")),  # the agent is behind: it must begin a new stream
    ],
)
def test_where_a_stream_goes_on(committed: Position, oldest: int, newest: int, expected: Position) -> None:
    assert opening(committed, oldest, newest) == expected


def test_a_correction_is_stored_once_and_told_to_readers_once_more(harness: Harness) -> None:
    """The same id: the fuller form replaces the other, whichever comes first; a repeat of either is no news."""
    pod = (Entity(EntityKind.CONTAINER, "c1"), Entity(EntityKind.POD_NAME, "shop/web-1"))
    early = finding(1, incomplete=True, entities=pod[:1])
    full = finding(1, entities=pod)
    for report in (early, early, full, full, early):
        harness.run(lambda ingest, one=report: ingest.findings([one]))
    entries, _ = harness.store.events(0, 10, 0)
    assert [(f.id, f.incomplete, len(f.entities)) for _, f in entries] == [("f001", False, 2)] * 2
    assert harness.store.counts()["findings"] == 1
