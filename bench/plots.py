"""Pictures of the baseline's validation. Needs matplotlib (the extra "bench")."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.bounds import CONFIDENCE, LEVELS, Covered, Drifting, Restless, Together
from bench.budgets import WEEKS, Kept
from bench.worlds import SHAPES, World
from detection.baseline.completeness import unseen_upper
from detection.baseline.interval import new_behaviours

_GREY, _BLUE, _RED, _GREEN = "#7f7f7f", "#1f77b4", "#d62728", "#2ca02c"
Draw = Callable[[Any], None]


def save(path: Path, draw: Draw, size: tuple[float, float] = (8.0, 4.0)) -> Path:
    """One picture as SVG. Raises: ImportError without matplotlib."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 - optional
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasSVG(figure)
    draw(figure)
    figure.savefig(path, format="svg", metadata={"Date": None})
    return path


def growth(figure: Any) -> None:
    """How bound, interval and truth fall while a workload is watched."""
    axes = figure.subplots(1, 3, sharey=True)
    for axis, shape in zip(axes, (SHAPES[1], SHAPES[4], SHAPES[5]), strict=True):
        chance = np.random.default_rng(11)
        world = World(shape.rates(chance), chance)
        times = np.unique(np.geomspace(10, 5000, 60).astype(int)).tolist()
        data = [world.at(t) for t in times]
        found = [new_behaviours(d, CONFIDENCE) for d in data]
        axis.fill_between(
            times, [f.low for f in found], [f.high for f in found], color=_BLUE, alpha=0.2, label="interval"
        )
        axis.plot(times, [f.estimate for f in found], color=_BLUE, label="estimate")
        axis.plot(times, [unseen_upper(d, CONFIDENCE) for d in data], color=_RED, label="promise")
        axis.plot(times, [world.new_behaviours(t) for t in times], color="black", label="truth")
        axis.axhline(0.02, color=_GREY, linestyle=":", label="target")
        axis.set(xscale="log", yscale="log", ylim=(1e-4, 20), title=shape.name, xlabel="units watched")
    axes[0].set_ylabel("new behaviours in the next unit")
    axes[0].legend(fontsize=7)


def calibration(rows: Sequence[Covered]) -> Draw:
    """Nominal against actual coverage, where there was something to miss."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for row in (r for r in rows if r.empty < 0.5):
            axis.plot(LEVELS, row.held, marker="o", alpha=0.6, color=_RED if row.tail == "heavy" else _BLUE)
        ends = (0.75, 1.0)
        axis.plot(ends, ends, color="black")
        axis.fill_between(ends, [e - 0.05 for e in ends], [min(1.0, e + 0.05) for e in ends], color=_GREY, alpha=0.2)
        axis.set(
            xlabel="stated confidence", ylabel="share of runs that held the truth", title="blue light, red heavy tails"
        )

    return draw


def together(rows: Sequence[Together], restless: Sequence[Restless]) -> Draw:
    """Replicas that move together: intervals by slot and by container, and wrong promises."""

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        at = np.arange(len(rows))
        left.bar(at - 0.2, [r.by_slot for r in rows], 0.4, color=_GREEN, label="slots")
        left.bar(at + 0.2, [r.by_unit for r in rows], 0.4, color=_RED, label="containers × slots")
        left.axhline(CONFIDENCE, color="black", linewidth=0.8)
        left.set_xticks(at, [f"{r.together:g} of {r.replicas}\n{r.slots}" for r in rows], fontsize=6)
        left.set(title="interval holds the truth", xlabel="replicas at once, slots watched")
        left.legend(fontsize=7, loc="center right")
        at = np.arange(len(restless))
        right.bar(at - 0.2, [r.corrected for r in restless], 0.4, color=_GREEN, label="corrected")
        right.bar(at + 0.2, [r.by_unit for r in restless], 0.4, color=_RED, label="containers × slots")
        right.axhline(1 - CONFIDENCE, color="black", linewidth=0.8)
        right.set_xticks(at, [f"{r.replicas}\n{r.rate:.0%}/{r.target:.0%}" for r in restless], fontsize=6)
        right.set(title='wrongly called "stable"', xlabel="restless replicas, rate/target")

    return draw


def drifting(rows: Sequence[Drifting]) -> Draw:
    """What happens to the promise when a workload changes."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        release = [r for r in rows if r.kind == "release"]
        times = [max(1, r.after) for r in release]
        axis.plot(times, [r.bound for r in release], marker="o", color=_RED, label="promise holds")
        axis.plot(times, [r.interval for r in release], marker="o", color=_BLUE, label="interval holds")
        axis.plot(times, [r.theta for r in release], marker="o", color="black", label="P(new) in truth")
        axis.set(xscale="log", xlabel="units after the change", title="twelve behaviours more from unit 1000 on")
        axis.legend(fontsize=7)

    return draw


def budgets(rows: Sequence[Kept]) -> Draw:
    """Alarms a week by habit, for the default budget; and by budget."""

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 1))
        same = [r for r in rows if r.budget == 1.0]
        at = np.arange(len(same))
        left.bar(at - 0.3, [r.first for r in same], 0.3, color=_GREY, label="week 1 (unproven)")
        left.bar(at, [r.settled for r in same], 0.3, color=_BLUE, label="weeks 2-5")
        left.bar(at + 0.3, [r.late for r in same], 0.3, color=_GREEN, label=f"weeks 6-{WEEKS}")
        left.axhline(1.0, color=_RED)
        left.set_xticks(at, [f"{r.habit} {r.novel_per_week:g}" for r in same], rotation=90, fontsize=6)
        left.set(title="alarms a week, budget 1", xlabel="habit, novelties a week")
        left.legend(fontsize=7)
        other = sorted((r for r in rows if r.habit == "heavy tail" and r.novel_per_week == 30), key=lambda r: r.budget)
        right.plot([r.budget for r in other], [r.late for r in other], marker="o", color=_GREEN)
        right.plot([0.25, 5], [0.25, 5], color=_RED)
        right.set(xscale="log", yscale="log", title="by budget", xlabel="budget", ylabel="alarms a week")

    return draw
