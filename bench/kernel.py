"""What the sensor's programs cost in the kernel, by the kernel's own statistics: robust on a busy machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import loads
from bench.loads import Load
from bench.machine import Group
from bench.subject import Subject

_SWITCH = Path("/proc/sys/kernel/bpf_stats_enabled")
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Programs:
    """Nanoseconds and runs per operation over all programs; the dearest as (name, runs, ns per run)."""

    load: str
    ns_per_operation: float
    runs_per_operation: float
    dearest: tuple[tuple[str, int, float], ...]


def measure(chosen: Sequence[Load], scale: float) -> list[Programs]:
    """Every load once, with the kernel counting. Counting itself costs some 20 ns per run."""
    before = _SWITCH.read_text()
    _SWITCH.write_text("1")
    try:
        with Subject() as agent:
            return [_one(load, scale, agent) for load in chosen]
    finally:
        _SWITCH.write_text(before)


def _one(load: Load, scale: float, agent: Subject) -> Programs:
    before = agent.programs()
    loads.run(load, scale, Group("load"))
    rows = []
    for name, (runs, ns) in agent.programs().items():
        runs_before, ns_before = before.get(name, (0, 0))
        if runs > runs_before:
            rows.append((name, runs - runs_before, (ns - ns_before) / (runs - runs_before)))
    rows.sort(key=lambda row: -row[1] * row[2])
    operations = load.operations(scale)
    return Programs(
        load.name,
        sum(runs * ns for _, runs, ns in rows) / operations,
        sum(runs for _, runs, _ in rows) / operations,
        tuple(rows[:_SHOWN]),
    )
