"""Figures are told against their bars, and survive being written and read again."""

import json

import pytest

from bench import bars, report
from bench.blocks import Block
from bench.idle import Idle
from bench.kernel import Programs
from bench.latency import Latency
from bench.loads import LOADS


def _block(wall_ratio: float, load: str = "exec") -> Block:
    return Block(load, wall_ratio, 1.1, 1.0, 2.0, 500.0, 0.3, 71.0, 0.25, 24_000, 0, 0, 0.1)


@pytest.fixture
def results() -> report.Results:
    return report.Results(
        blocks=[_block(1.1), _block(1.2), _block(1.12)],
        programs=[Programs("exec", 4000.0, 3.0, (("process_exec", 8000, 1700.0),))],
        latency=[Latency(0, 100, 0, 2.5, 3.0, 9.0, 12.0)],
        idle=Idle(0.2, 70.0, 1.1, 2.0, 0),
        skipped={"load nginx": "not installed: nginx"},
    )


def test_every_load_has_a_bar():
    assert {load.name for load in LOADS} == set(bars.BARS)


def test_a_row_is_the_median_of_its_blocks(results):
    _, head, rows = report.tables(results)[0]
    row = dict(zip(head, rows[0], strict=True))
    assert row["load"] == "exec"
    assert row["blocks"] == "3"
    assert row["wall ratio [quartiles]"].startswith("1.120 [")
    assert row["lost"] == "0 of 72,000"


@pytest.mark.parametrize(("ratio", "verdict"), [(1.15, "≤ 1.15 met"), (1.16, "≤ 1.15 MISSED")])
def test_a_figure_at_its_bar_is_met_and_above_it_missed(ratio, verdict):
    table = report.plain(report.Results(blocks=[_block(ratio)]))
    assert verdict in table


def test_results_are_read_as_they_were_written(results, tmp_path):
    path = results.write(tmp_path)
    assert set(json.loads(path.read_text())["machine"]) == {"kernel", "cores", "model", "memory_gb", "python"}
    assert report.load_results(path) == results


def test_what_was_skipped_is_told(results):
    assert "skipped load nginx: not installed: nginx" in report.plain(results)
    assert "Skipped: load nginx (not installed: nginx)." in report.markdown(results)
