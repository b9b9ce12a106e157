"""The store: all or nothing, each finding once, a compacted log, bounded."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from collector.errors import StoreError
from collector.incident import Incident, Join
from collector.store import codec
from collector.store.store import Batch, Peer, Store
from collector.stream import BadPayload, LedgerEntry, Position, Record, StreamKey
from detection.finding import Entity, EntityKind, Finding, Kind, Role, Severity, Source, Technique

KEY = StreamKey("node-1", "0" * 32)


def finding(number: int, severity: Severity = Severity.LOW) -> Finding:
    return Finding(
        id=f"f{number:03}",
        time_ns=1000 + number,
        source=Source.RUNTIME,
        kind=Kind.ANOMALY,
        rule_id="exec",
        title="t",
        severity=severity,
        reason="r",
        techniques=(Technique("T1059", "execution"),),
        entities=(Entity(EntityKind.POD, "uid", Role.TARGET, "web"),),
        fields={"a": "x", "n": 3, "b": True, "r": 0.5, "l": ("p", "q"), "e": ()},
        matched=("m",),
        surprise=3.25,
        profile="97 %",
        lossy=True,
    )


def incident(revision: int, *members: Finding, superseded_by: str = "") -> Incident:
    return Incident(
        id="i1",
        revision=revision,
        title="T",
        severity=Severity.HIGH,
        score=42.5,
        score_parts=("one", "two"),
        findings=members,
        joins=(Join("pod_uid", "uid", members[0].id, members[-1].id, 0.9, "Same pod."),),
        actors=(Entity(EntityKind.USER, "alice"),),
        tactics=("execution",),
        sources=("runtime",),
        superseded_by=superseded_by,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "deep" / "c.db"))
    yield store
    store.close()


def test_findings_and_incidents_come_back_as_they_were(store: Store) -> None:
    members = [finding(1), finding(2)]
    store.commit(Batch(findings=tuple(members), incidents=(incident(1, *members),)))
    assert store.known(["f001", "f002", "f003"]) == {f.id: f for f in members}
    assert store.incident("i") == [incident(1, *members)]
    assert store.restore(0, 10) == (members, [incident(1, *members)])


def test_an_incident_keeps_counts_that_were_folded_into_it(store: Store) -> None:
    folded = replace(finding(1), count=9, last_ns=5000)
    store.commit(Batch(findings=(finding(1),), incidents=(incident(1, folded),)))
    assert store.incident("i1")[0].findings == (folded,)


def test_a_transaction_is_whole_or_not_at_all(store: Store) -> None:
    store.open_stream(KEY, Position(), 0, Peer("n", "b", "v"))
    store.commit(Batch(findings=(finding(1),)))
    record = Record(1, b"c" * 32, b"p", finding(2))
    with pytest.raises(StoreError, match="cannot write the store"):
        store.commit(
            Batch(stream=KEY, position=Position(1, b"c" * 32), records=(record,), findings=(finding(2), finding(1)))
        )
    assert store.position(KEY) == Position()
    assert (store.counts()["records"], store.counts()["findings"], store.newest_cursor()) == (0, 1, 1)


def test_records_ledgers_and_dead_letters_share_one_transaction(store: Store) -> None:
    store.open_stream(KEY, Position(), 3, Peer("n", "b", "v"))
    batch = (
        Record(1, b"1" * 32, b"a", finding(1)),
        Record(2, b"2" * 32, b"b", LedgerEntry(5, {"run_id": "x"})),
        Record(3, b"3" * 32, b"c", BadPayload("why")),
    )
    store.commit(Batch(stream=KEY, position=Position(3, b"3" * 32), records=batch, findings=(finding(1),)))
    assert store.position(KEY) == Position(3, b"3" * 32)
    assert {k: v for k, v in store.counts().items() if v} == {
        **{"streams": 1, "records": 3, "ledgers": 1, "dead_letters": 1, "findings": 1, "events": 1}
    }


def test_the_log_keeps_only_the_newest_change_of_an_incident_and_cursors_never_go_back(store: Store) -> None:
    members = [finding(i) for i in range(3)]
    for revision, member in enumerate(members, 1):
        store.commit(Batch(findings=(member,), incidents=(incident(revision, *members[:revision]),)))
    entries, looked = store.events(0, 100, 1)
    assert [cursor for cursor, _ in entries] == [1, 3, 5, 6]
    assert isinstance(entries[-1][1], Incident)
    assert (entries[-1][1].revision, looked, store.newest_cursor()) == (3, 6, 6)
    assert store.events(6, 100, 1) == ([], 6)


def test_paging_and_filtering_move_the_position_on(store: Store) -> None:
    store.commit(Batch(findings=tuple(finding(i) for i in range(10))))
    assert store.events(0, 4, 3) == ([], 4)
    assert [cursor for cursor, _ in store.events(4, 4, 1)[0]] == [5, 6, 7, 8]
    assert store.events(8, 4, 3) == ([], 10)


def test_merged_incidents_are_not_listed_but_can_be_asked_for(store: Store) -> None:
    store.commit(Batch(findings=(finding(1),), incidents=(incident(1, finding(1), superseded_by="i0"),)))
    assert store.incidents(10, 1) == []
    assert store.incident("i1")[0].superseded_by == "i0"


def test_retention_goes_by_when_something_was_written(store: Store) -> None:
    store.commit(Batch(findings=(finding(1),), incidents=(incident(1, finding(1)),)))
    assert not any(store.trim(time.time_ns() - 10**12, 1000).values())
    gone = store.trim(time.time_ns() + 1, 1000)
    assert (gone["findings"], gone["incidents"], gone["events"]) == (1, 1, 2)
    assert store.newest_cursor() == 2
    store.commit(Batch(findings=tuple(finding(i) for i in range(10, 20))))
    assert store.trim(0, 4)["events"] == 6
    assert [cursor for cursor, _ in store.events(0, 100, 1)[0]] == [9, 10, 11, 12]


def test_a_locked_database_is_a_store_error_and_nothing_is_written(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "deep/c.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.commit(Batch(findings=(finding(1),)))
        other.execute("ROLLBACK")
    store.commit(Batch(findings=(finding(1),)))


def test_only_the_owner_can_read_the_database(store: Store, tmp_path: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "deep").glob("c.db*")} == {0o600}


def test_a_place_that_cannot_hold_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a database, but long enough to look like one" * 100)
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="cannot open the store"):
            Store(str(place))


@pytest.mark.parametrize("change", [{"count": 5}, {"last_ns": 9999}, {"severity": Severity.CRITICAL}])
def test_a_repeat_is_news_once(change: dict[str, object]) -> None:
    known: Finding = finding(1)
    again: Callable[..., Finding] = replace
    merged = codec.merge_repeat(known, again(known, **change))
    assert codec.is_news(known, merged)
    assert not codec.is_news(merged, codec.merge_repeat(merged, again(known, **change)))
    assert not codec.is_news(known, codec.merge_repeat(known, known))
