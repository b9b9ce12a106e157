"""Validation of the baseline by simulation against known truth: `python -m bench baseline`.

Bounds of completeness (light and heavy tails, replicas that move together, change), the budget of false
anomalies, and the price of a novelty. Figures go to build/bench/baseline.json, pictures beside it, the summary to
bench/BASELINE.md when asked to.
"""

import json
import random
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from bench import bounds, budgets, plots
from bench.baseline_report import Report, Week, markdown
from bench.loads import BUILD
from bench.weeks import WEEK, Shop

SUMMARY = Path(__file__).parent / "BASELINE.md"


def measure(runs: int) -> Report:
    """All of it; a minute or two for 200 runs."""
    return Report(
        bounds.promises(max(20, runs // 2)),
        bounds.coverages(runs),
        bounds.replicas(runs),
        bounds.restless(max(20, runs // 4)),
        bounds.drift(runs),
        budgets.kept(max(10, runs // 8)),
        [_weeks(*habit) for habit in ((3.0, 1.0), (30.0, 1.0), (30.0, 3.0), (150.0, 1.0), (30.0, 1.0, 0.1))],
        costs(),
    )


def _weeks(rate: float, budget: float, shells: float = 0.0, weeks: int = 6) -> Week:
    shop = Shop(1, rate, budget, shells=shells)
    shop.run(weeks * WEEK)
    alarms, informational = tuple(shop.per_week()[:weeks]), len(shop.quiet)
    shop.run(12, novel=False)
    shell = shop.see(shop.exec("c1", "/bin/sh", "sh", "-i"))
    shop.run(12, novel=False)
    cron = shop.see(shop.write("c1", "/etc/cron.d/job"))
    named = (found[0].severity.label if found else "known" for found in (shell, cron))
    return Week(rate, budget, shells, alarms, informational, *named)


def costs() -> dict[str, float]:
    """Microseconds of a known behaviour and of a novelty, in a stable workload with a long record."""
    shop = Shop(2, 60.0)
    shop.run(3 * WEEK)
    chance, found = random.Random(1), {}
    known = [shop.exec("c1", "/bin/cgi", "cgi", "7")] * 5000
    novel = [
        shop.write("c1", f"/srv/{''.join(chance.choices('bcdfghjklmnp', k=8))}/{chance.choice('aeiou')}/x")
        for _ in range(2000)
    ]
    for name, events in (("known", known), ("novel", novel)):
        started = time.thread_time()
        for event in events:
            shop.learner.observe(event)
        found[name] = (time.thread_time() - started) / len(events) * 1e6
    return found


def main(runs: int, directory: Path = BUILD, summary: bool = False) -> int:
    """Measure, print, write; the exit status is 1 where a promise was broken."""
    report = measure(runs)
    text = markdown(report, runs)
    print(text)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "baseline.json").write_text(json.dumps({"runs": runs, **asdict(report)}, indent=1))
    print("\n".join(str(path) for path in _pictures(report, directory)))
    if summary:
        SUMMARY.write_text(text)
    broken = report.broken(runs)
    for line in broken:
        print(f"BROKEN {line}")
    return int(bool(broken))


def _pictures(report: Report, directory: Path) -> Iterable[Path]:
    try:
        return [
            plots.save(directory / "baseline-growth.svg", plots.growth, (11.0, 4.0)),
            plots.save(directory / "baseline-intervals.svg", plots.calibration(report.coverages), (5.0, 5.0)),
            plots.save(
                directory / "baseline-replicas.svg", plots.together(report.together, report.restless), (10.0, 4.0)
            ),
            plots.save(directory / "baseline-drift.svg", plots.drifting(report.drift), (6.0, 4.0)),
            plots.save(directory / "baseline-budget.svg", plots.budgets(report.budgets), (11.0, 5.0)),
        ]
    except ImportError:
        print('no pictures: they need matplotlib, pip install -e ".[bench]"')
        return []
