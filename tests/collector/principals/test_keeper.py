"""What was learned survives a restart; what is read again after it counts once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.audit import FORMATS
from collector.audit.record import AuditRecord
from collector.errors import StoreError
from collector.metrics import Metrics
from collector.principals import BehaviourConfig, Keeper, PrincipalWatch
from collector.store.principals import PrincipalRows, Row
from collector.store.store import Store
from detection.finding import Severity

HOUR_NS = 3600 * 10**9
FORM = FORMATS["kubernetes-audit"]
ELSEWHERE: dict[str, Any] = {"sourceIPs": ["198.51.100.9"], "userAgent": "curl/8"}
Record = Callable[..., AuditRecord]


async def _now(work: Callable[[], None]) -> None:
    work()


def _start(path: Path, **config: Any) -> tuple[PrincipalWatch, Keeper, Store, Metrics]:
    watch = PrincipalWatch(BehaviourConfig(**config), now_ns=lambda: 500_000 * HOUR_NS)
    store, metrics = Store(str(path)), Metrics()
    keeper = Keeper(watch, PrincipalRows(store), _now, metrics)
    asyncio.run(keeper.restore())
    return watch, keeper, store, metrics


def test_profiles_groups_and_the_record_come_back(tmp_path: Path, record: Record) -> None:
    watch, keeper, store, metrics = _start(tmp_path / "a.db")
    for n in range(300):
        watch.observe(FORM, record(480_000 + n))
    if finding := watch.observe(FORM, record(480_299, verb="list")):
        watch.told([finding])
    asyncio.run(keeper.save())
    assert metrics.value("vedette_collector_principals") == 1
    store.close()
    again, _, store, _ = _start(tmp_path / "a.db")
    before, after = watch.state(FORM.source), again.state(FORM.source)
    assert after.profiles["alice"].to_plain() == before.profiles["alice"].to_plain()
    assert after.record.to_dict() == before.record.to_dict()
    assert (after.hour, list(after.groups)) == (before.hour, list(before.groups))
    assert again.observe(FORM, record(480_299, verb="list")) is None, "read again, known in its open hour"
    again.observe(FORM, record(480_310))
    again.settle()
    assert after.profiles["alice"].habits[0].members["list pods"] == 1
    finding = again.observe(FORM, record(480_311, verb="list", resource="secrets", **ELSEWHERE))
    assert finding is not None
    assert finding.severity is Severity.HIGH
    store.close()


def test_only_what_changed_is_written(tmp_path: Path, record: Record) -> None:
    watch, keeper, store, _ = _start(tmp_path / "a.db")
    for n in range(20):
        watch.observe(FORM, record(480_000, user=f"u{n}"))
    asyncio.run(keeper.save())
    written: list[Row] = []
    keeper._rows.put = written.extend  # type: ignore[method-assign]
    watch.observe(FORM, record(480_001, user="u3"))
    asyncio.run(keeper.save())
    assert sorted((row.kind, row.name) for row in written) == [("principal", "u3"), ("source", "")]
    store.close()


def test_a_principal_that_left_memory_is_found_in_the_store(tmp_path: Path, record: Record) -> None:
    watch, keeper, store, _ = _start(tmp_path / "a.db", principals=5)
    for n in range(50):
        watch.observe(FORM, record(480_000 + n))
    for n in range(10):
        watch.observe(FORM, record(480_060 + n, user=f"u{n}"))
    assert "alice" not in watch.state(FORM.source).profiles
    asyncio.run(keeper.save())
    watch.observe(FORM, record(480_080))
    assert watch.state(FORM.source).profiles["alice"].habits[0].units == 50
    store.close()


def test_what_could_not_be_stored_is_stored_next_time(tmp_path: Path, record: Record) -> None:
    watch, keeper, store, _ = _start(tmp_path / "a.db")
    watch.observe(FORM, record(480_000))

    async def refuse(_work: Callable[[], None]) -> None:
        raise StoreError("disk full")

    keeper._write = refuse
    with pytest.raises(StoreError):
        asyncio.run(keeper.save())
    keeper._write = _now
    asyncio.run(keeper.save())
    assert PrincipalRows(store).count("principal") == 1
    store.close()


def test_a_principal_whose_finding_is_not_stored_yet_is_not_stored_either(tmp_path: Path, record: Record) -> None:
    """Else a crash in between would lose the finding: its record comes again, and must be new again."""
    watch, keeper, store, _ = _start(tmp_path / "a.db")
    for n in range(300):
        watch.observe(FORM, record(480_000 + n))
    asyncio.run(keeper.save())
    finding = watch.observe(FORM, record(480_300, **ELSEWHERE))
    assert finding is not None
    asyncio.run(keeper.save())
    store.close()
    again, _, store, _ = _start(tmp_path / "a.db")
    repeated = again.observe(FORM, record(480_300, **ELSEWHERE))
    assert repeated is not None
    assert repeated.id == finding.id
    watch.told([finding])
    asyncio.run(keeper.save())
    store.close()
    again, _, store, _ = _start(tmp_path / "a.db")
    assert again.observe(FORM, record(480_300, **ELSEWHERE)) is None
    store.close()


def test_broken_rows_are_counted_and_left_out(tmp_path: Path, record: Record) -> None:
    store = Store(str(tmp_path / "a.db"))
    kinds = (("principal", b"{"), ("principal", b"[]"), ("group", b'"x"'), ("source", b"{}"))
    rows = [Row(FORM.source.value, kind, f"n{n}", 1, body) for n, (kind, body) in enumerate(kinds)]
    PrincipalRows(store).put([*rows, Row("no-such-source", "principal", "x", 1, b"{}")])
    store.close()
    watch, _, store, metrics = _start(tmp_path / "a.db")
    assert metrics.value("vedette_collector_behaviour_broken_total") == 4
    assert watch.observe(FORM, record(480_000)) is None
    store.close()


def test_principals_not_heard_of_for_long_are_trimmed(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "a.db"))
    rows = PrincipalRows(store)
    rows.put([Row("aws-cloudtrail", kind, "x", 5, b"{}") for kind in ("principal", "group", "source")])
    assert rows.trim(6) == 2
    assert rows.count("source") == 1
    store.close()
