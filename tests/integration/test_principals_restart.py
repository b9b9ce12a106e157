"""A collector that follows an audit log learns what principals do, and knows it after a restart."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from collector.audit import Detector
from collector.config import Config
from collector.ingest import NoCorrelator
from collector.principals import PrincipalWatch
from collector.run import Collector
from collector.sources import audit_sources
from collector.store.store import Store
from detection.finding import Finding, Kind, Severity, Source
from detection.rules.compile import RuleSet

BEGIN = 1_760_000_000  # 2025-10-09
LINES = 300


def _line(hour: int, **changes: Any) -> bytes:
    raw = {
        "kind": "Event",
        "auditID": f"id-{hour}",
        "stage": "ResponseComplete",
        "verb": "get",
        "user": {"username": "system:serviceaccount:shop:web"},
        "sourceIPs": ["10.0.0.9"],
        "userAgent": "okhttp/4.9",
        "objectRef": {"resource": "configmaps", "namespace": "shop"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": _stamp(BEGIN + hour * 3600),
    }
    return orjson.dumps(raw | changes, option=orjson.OPT_APPEND_NEWLINE)


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _serve(tmp_path: Path, log: Path, events: int) -> float:
    watch = PrincipalWatch()
    detector = Detector(RuleSet.from_ir([]), behaviour=watch)
    config = Config(
        listen=(f"unix:{tmp_path}/c.sock",),
        store=str(tmp_path / "c.db"),
        state_dir=tmp_path,
        audit_files=(("kubernetes-audit", log),),
    )
    collector = Collector(config, NoCorrelator(), audit_sources(config, detector), watch)
    await collector.start()
    async with asyncio.timeout(60):
        while detector.counters().get("events", 0) < events or watch.untold(Source.KUBERNETES_AUDIT):
            await asyncio.sleep(0.02)
    await collector.stop()
    return collector.metrics.value("vedette_collector_behaviour_total", cause="principals")


def _found(tmp_path: Path) -> list[Finding]:
    store = Store(str(tmp_path / "c.db"))
    findings, _ = store.restore(0, 1000)
    store.close()
    return findings


def test_what_was_learned_before_a_restart_judges_what_comes_after_it(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(b"".join(_line(hour) for hour in range(LINES)))
    assert asyncio.run(_serve(tmp_path, log, LINES)) == 1
    before = _found(tmp_path)
    assert all(f.severity <= Severity.INFORMATIONAL for f in before)
    stolen = {
        "verb": "list",
        "objectRef": {"resource": "secrets", "namespace": "shop"},
        "sourceIPs": ["203.0.113.66"],
        "userAgent": "kubectl/v1.30.0",
    }
    with log.open("ab") as file:
        file.write(_line(LINES, **stolen))
    assert asyncio.run(_serve(tmp_path, log, 1)) == 0, "nobody new"
    new = [f for f in _found(tmp_path) if f.id not in {b.id for b in before}]
    assert [(f.kind, f.severity) for f in new] == [(Kind.ANOMALY, Severity.HIGH)]
    assert new[0].fields["new.network"] == "203.0.113.0/24"
