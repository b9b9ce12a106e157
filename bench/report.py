"""Figures to tables: for a terminal, for bench/RESULTS.md, and as JSON."""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import bars
from bench.blocks import Block
from bench.ceiling import Ceiling
from bench.idle import Idle
from bench.kernel import Programs
from bench.latency import Latency
from bench.machine import facts

Row = tuple[str, ...]


@dataclass(slots=True)
class Results:
    """Everything one run of the bench found."""

    blocks: list[Block] = field(default_factory=list)
    programs: list[Programs] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    idle: Idle | None = None
    ceiling: list[Ceiling] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def write(self, directory: Path) -> Path:
        """As JSON; gives the file."""
        path = directory / f"results-{time.strftime('%Y%m%d-%H%M%S')}.json"
        document = {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "machine": facts()._asdict(), **asdict(self)}
        path.write_text(json.dumps(document, indent=1))
        return path


def tables(results: Results) -> list[tuple[str, Row, list[Row]]]:
    """(title, head, rows) of every part that was measured."""
    found = [
        ("Loads", _LOADS_HEAD, _load_rows(results.blocks)),
        ("Kernel programs", _PROGRAMS_HEAD, [_program_row(p) for p in results.programs]),
        ("Event to finding", _LATENCY_HEAD, [_latency_row(latency) for latency in results.latency]),
        ("Idle", _IDLE_HEAD, _idle_rows(results.idle) if results.idle else []),
        ("Nothing filtered", _CEILING_HEAD, [_ceiling_row(c) for c in results.ceiling]),
    ]
    return [part for part in found if part[2]]


_LOADS_HEAD = (
    "load", "blocks", "noise", "wall ratio [quartiles]", "bar", "load's CPU ratio", "ns/op added", "agent CPU s", "bar",
    "memory MB", "lost", "others",
)  # fmt: skip


def _load_rows(blocks: Sequence[Block]) -> list[Row]:
    names = dict.fromkeys(b.load for b in blocks)
    return [_load_row(name, [b for b in blocks if b.load == name]) for name in names]


def _load_row(name: str, blocks: Sequence[Block]) -> Row:
    bar = bars.BARS[name]

    def median(get: Callable[[Block], float]) -> float:
        return statistics.median(get(b) for b in blocks)

    wall, cpu_s = median(lambda b: b.wall_ratio), median(lambda b: b.agent_cpu_s)
    low, high = _quartiles([b.wall_ratio for b in blocks])
    return (
        name,
        str(len(blocks)),
        f"{median(lambda b: b.noise):.3f}",
        f"{wall:.3f} [{low:.3f}–{high:.3f}]",
        _verdict(wall, bar.wall_ratio),
        f"{median(lambda b: b.cpu_ratio):.3f}",
        f"{median(lambda b: b.added_cpu_ns):,.0f}",
        f"{cpu_s:.3f}",
        _verdict(cpu_s, bar.agent_cpu_s),
        f"{max(b.agent_memory_mb for b in blocks):.0f}",
        f"{sum(b.lost for b in blocks):,} of {sum(b.emitted + b.lost for b in blocks):,}",
        bar.others,
    )


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    cuts = statistics.quantiles(values, n=4, method="inclusive")
    return cuts[0], cuts[2]


def _verdict(value: float, bar: float) -> str:
    return f"≤ {bar:g} {'met' if value <= bar else 'MISSED'}"


_PROGRAMS_HEAD = ("load", "ns/op", "runs/op", "dearest programs")


def _program_row(found: Programs) -> Row:
    dearest = ", ".join(f"{name} {ns:.0f} ns × {runs:,}" for name, runs, ns in found.dearest)
    return found.load, f"{found.ns_per_operation:,.0f}", f"{found.runs_per_operation:.2f}", dearest


_LATENCY_HEAD = ("background opens/s", "findings", "missing", "median ms", "bar", "p90 ms", "p99 ms", "bar", "worst ms")


def _latency_row(found: Latency) -> Row:
    return (
        f"{found.background:,}",
        str(found.findings),
        str(found.missing),
        f"{found.median_ms:.2f}",
        _verdict(found.median_ms, bars.LATENCY_MEDIAN_MS),
        f"{found.p90_ms:.2f}",
        f"{found.p99_ms:.2f}",
        _verdict(found.p99_ms, bars.LATENCY_P99_MS),
        f"{found.worst_ms:.2f}",
    )


_IDLE_HEAD = ("what", "figure", "bar")


def _idle_rows(found: Idle) -> list[Row]:
    return [
        ("processor, % of a core", f"{found.cpu_percent:.2f}", _verdict(found.cpu_percent, bars.IDLE_CPU_PERCENT)),
        ("records from others meanwhile", f"{found.records:,}", ""),
        ("memory, MB", f"{found.memory_mb:.0f}", _verdict(found.memory_mb, bars.MEMORY_IDLE_MB)),
        ("ready after, s", f"{found.ready_s:.2f}", _verdict(found.ready_s, bars.READY_S)),
        ("stopped after, s", f"{found.stop_s:.2f}", ""),
    ]


_CEILING_HEAD = ("opens/s asked", "reached", "opens", "lost", "CPU µs/record", "bar", "memory MB")


def _ceiling_row(found: Ceiling) -> Row:
    return (
        f"{found.rate:,}",
        f"{found.reached:,.0f}",
        f"{found.operations:,}",
        f"{found.lost:,}",
        f"{found.cpu_us_per_record:.2f}",
        _verdict(found.cpu_us_per_record, bars.CEILING_US),
        f"{found.memory_mb:.0f}",
    )


def plain(results: Results) -> str:
    """For a terminal."""
    parts = [f"{title}\n{_aligned([head, *rows])}" for title, head, rows in tables(results)]
    parts += [f"skipped {what}: {why}" for what, why in results.skipped.items()]
    return "\n\n".join(parts)


def _aligned(rows: Sequence[Row]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def markdown(results: Results) -> str:
    """The tables, for a document."""
    lines: list[str] = []
    for title, head, rows in tables(results):
        lines += [f"## {title}", "", *_markdown_table(head, rows), ""]
    lines += [f"Skipped: {what} ({why})." for what, why in results.skipped.items()]
    return "\n".join(lines)


def _markdown_table(head: Row, rows: Iterable[Row]) -> list[str]:
    def line(row: Row) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"

    return [line(head), f"|{'---|' * len(head)}", *(line(row) for row in rows)]


def load_results(path: Path) -> Results:
    """Results of an earlier run."""
    document: dict[str, Any] = json.loads(path.read_text())
    idle = document["idle"]
    return Results(
        [Block(**b) for b in document["blocks"]],
        [Programs(**{**p, "dearest": tuple(map(tuple, p["dearest"]))}) for p in document["programs"]],
        [Latency(**row) for row in document["latency"]],
        Idle(**idle) if idle else None,
        [Ceiling(**c) for c in document["ceiling"]],
        document["skipped"],
    )
