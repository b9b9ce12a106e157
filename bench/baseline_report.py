"""What `bench.baseline` found, as tables: the source of bench/BASELINE.md."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench import bounds, budgets

_TOLERANCE = 0.05


class Week(NamedTuple):
    """Harmless weeks through the learner: alarms a week and what an intruder's shell was called after them."""

    novel_per_week: float
    budget: float
    shells: float
    alarms: tuple[int, ...]
    informational: int
    shell: str
    cron: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run found. `costs`: microseconds."""

    promises: list[bounds.Promise]
    coverages: list[bounds.Covered]
    together: list[bounds.Together]
    restless: list[bounds.Restless]
    drift: list[bounds.Drifting]
    budgets: list[budgets.Kept]
    weeks: list[Week]
    costs: dict[str, float]

    def broken(self, runs: int) -> list[str]:
        """Promises that were not kept, by more than chance: what `python -m bench baseline` ends with status 1 for."""
        least = bounds.CONFIDENCE - _TOLERANCE - 2 * (0.05 * 0.95 / runs) ** 0.5
        found = [f"stable wrongly: {p}" for p in self.promises if p.rule == "bound" and p.wrong > 1 - bounds.CONFIDENCE]
        found += [f"interval: {c}" for c in self.coverages if c.held[-1] < least]
        found += [f"replicas: {t}" for t in self.together if t.by_slot < least]
        found += [f"restless: {r}" for r in self.restless if r.corrected > 1 - bounds.CONFIDENCE]
        steady = (k for k in self.budgets if "week 6" not in k.habit)
        return found + [
            f"budget: {k}" for k in steady if max(k.settled, k.late) > k.budget + 3 * k.error + 0.1 * k.budget
        ]


def markdown(report: Report, runs: int) -> str:
    """The summary in tables."""
    title = (
        f"# Baseline: what it promises, against known truth\n\nMade by `python -m bench baseline {runs} --summary`: "
        "simulation with fixed seeds, nothing here is measured on a real workload."
    )
    sections = (
        _promises(report.promises),
        _coverages(report.coverages),
        _together(report.together),
        _restless(report.restless),
        _drift(report.drift),
        _budgets(report.budgets),
        _weeks(report.weeks),
    )
    price = ", ".join(f"{name} {us:.0f} µs" for name, us in report.costs.items())
    return "\n\n".join((title, *sections, f"## Price\n\nOne observation through the learner: {price}.\n"))


def _promises(promises: Sequence[bounds.Promise]) -> str:
    by = {(p.shape, p.target, p.rule): p for p in promises}
    rows = []
    for shape, target in dict.fromkeys((p.shape, p.target) for p in promises):
        cells: list[str] = []
        for rule in ("bound", "rule of three", "Q1/T"):
            p = by[shape, target, rule]
            never = f" ({p.never:.0%} never)" if p.never else ""
            cells += [f"{p.units:.0f}{never}" if p.never < 1 else "never", _share(p.wrong)]
        rows.append((shape, f"{target:.0%}", *cells))
    return _section(
        "When learning ends",
        """Units until a class was called stable (median of those that were within 3,000), and how often that was wrong:
P(the next unit brings something new) above the target. At most 5 % may be. The promise is looked at after every fourth
unit and keeps its word; the price is about twice the units of the rule of three, which does not.""",
        ("workload", "target", "promise", "wrong", "no novelty for 3/target", "wrong", "Q1/T", "wrong"),
        rows,
    )


def _coverages(coverages: Sequence[bounds.Covered]) -> str:
    return _section(
        "How much is unseen: an interval for people, a promise for decisions",
        """Share of runs in which the interval of 80, 90 and 95 % held the expected number of new behaviours of the next
unit, and the one of 95 % the sample coverage. Where nothing was left to be missed an interval that contains 0 is right
by necessity. How conservative the promise is (at 95 %, for all times at once): how often it held at this one time, and
how many times the truth it was (median).""",
        ("workload", "tail", "units", "80 %", "90 %", "95 %", "coverage", "promise", "÷ truth", "nothing left"),
        [
            (c.shape, c.tail, str(c.units), *map(_share, (*c.held, c.coverage, c.bound)),
             "–" if c.empty == 1.0 else f"{c.excess:.1f}", _share(c.empty))
            for c in coverages
        ],
    )  # fmt: skip


def _together(rows: Sequence[bounds.Together]) -> str:
    return _section(
        "Replicas that move together",
        """The interval at 95 % of new behaviours in the workload's next slot: counting a behaviour once a slot, and
once for every container that showed it.""",
        ("replicas at once", "slots", "by slot", "by container and slot"),
        [(f"{t.together:g} of {t.replicas}", str(t.slots), _share(t.by_slot), _share(t.by_unit)) for t in rows],
    )


def _restless(rows: Sequence[bounds.Restless]) -> str:
    return _section(
        "Replicas that are restless together",
        """Every replica does something new of its own in the same slots, more often than the target allows: how often
the class was called stable all the same. The profile counts such replicas as one (design effect).""",
        ("replicas", "rate", "target", "profile", "containers as independent"),
        [(str(r.replicas), f"{r.rate:.0%}", f"{r.target:.0%}", _share(r.corrected), _share(r.by_unit)) for r in rows],
    )


def _drift(rows: Sequence[bounds.Drifting]) -> str:
    return _section(
        "Change",
        """The promise is about units like those watched. A release without a new version (twelve behaviours more from
unit 1000 on) and an inflow without end break it until they have been watched. That is what anomalies are for, and
what the budget is for where they are harmless.""",
        ("change", "units after", "promise holds", "interval holds", "called stable at 5 %", "P(new)"),
        [(d.kind, str(d.after), *map(_share, (d.bound, d.interval, d.stable)), f"{d.theta:.3f}") for d in rows],
    )


def _budgets(rows: Sequence[budgets.Kept]) -> str:
    return _section(
        "Budget",
        """Alarms a week of harmless workloads, mean and its standard error. In the first 1/budget weeks nothing can be
proven: n novelties then cost at most 1 + ln n alarms, once. After a change (stranger, busier) the record follows.""",
        ("habit", "novelties a week", "budget", "week 1", "to week 5", "weeks 6-10", "±"),
        [
            (k.habit, f"{k.novel_per_week:g}", f"{k.budget:g}",
             *(f"{figure:.2f}" for figure in (k.first, k.settled, k.late, k.error)))
            for k in rows
        ],
    )  # fmt: skip


def _weeks(rows: Sequence[Week]) -> str:
    return _section(
        "Harmless weeks through the learner",
        """One run of six weeks each: two replicas, slots of ten minutes. Then an intruder's `sh -i` and, two hours
later, a file in /etc/cron.d. Where a tenth of the harmless novelties are shells, one more shell is no reason to call a
person within the budget; it is on record as informational.""",
        ("novelties a week", "budget", "shells among them", "alarms by week", "informational", "sh -i", "/etc/cron.d"),
        [
            (
                f"{w.novel_per_week:g}",
                f"{w.budget:g}",
                f"{w.shells:.0%}",
                " ".join(map(str, w.alarms)),
                str(w.informational),
                w.shell,
                w.cron,
            )
            for w in rows
        ],
    )


def _section(title: str, says: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return f"## {title}\n\n{says}\n\n" + "\n".join(lines)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value in (0.0, 1.0) else f"{100 * value:.1f} %"
