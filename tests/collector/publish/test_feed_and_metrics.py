"""Readers are woken once something is committed; the metrics are those of the table."""

import asyncio

import pytest

from collector.metrics import METRICS, Metrics
from collector.publish.feed import Feed


def test_a_reader_waits_until_the_position_moves_and_is_told_at_once_if_it_has() -> None:
    async def work() -> list[bool]:
        feed = Feed()
        waiting = asyncio.create_task(feed.wait(0, 30))
        await asyncio.sleep(0)
        feed.notify(1)
        return [await waiting, await feed.wait(0, 30), await feed.wait(1, 0.001)]

    assert asyncio.run(work()) == [True, True, False]


def test_the_position_never_goes_back() -> None:
    feed = Feed()
    feed.notify(5)
    feed.notify(3)
    assert feed.newest == 5


def test_every_metric_is_in_the_table_once_with_help() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(metric.help.endswith(".") for metric in METRICS)
    with pytest.raises(KeyError):
        Metrics().count("invented")


def test_mirrored_counters_are_read_at_the_scrape() -> None:
    metrics, counts = Metrics(), {("file:/x", "lines"): 1}
    metrics.mirror("audit", lambda: counts)
    counts["file:/x", "lines"] = 7
    assert metrics.value("vedette_collector_audit_total", source="file:/x", cause="lines") == 7
