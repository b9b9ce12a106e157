"""The validation says which of its promises were broken, and tells the rest as tables."""

from bench.baseline_report import Report, Week, markdown
from bench.bounds import Covered, Drifting, Promise, Restless, Together
from bench.budgets import Kept


def _report(wrong: float = 0.0, held: float = 0.95, alarms: float = 0.9) -> Report:
    return Report(
        promises=[Promise("tail", rule, 0.05, 400.0, wrong, 0.0) for rule in ("bound", "rule of three", "Q1/T")],
        coverages=[Covered("tail", "heavy", 200, (0.8, 0.9, held), 0.95, 1.0, 2.5, 0.0)],
        together=[Together(5, 3.5, 100, held, 0.0)],
        restless=[Restless(10, 0.03, 0.02, 0.9, 0.0)],
        drift=[Drifting("release", 20, 0.0, 0.0, 1.0, 0.13)],
        budgets=[Kept("heavy tail", 1.0, 30.0, 2.5, alarms, alarms, 0.05, 0.0)],
        weeks=[Week(30.0, 1.0, 0.0, (1, 0, 1), 150, "high", "high")],
        costs={"known": 1.0, "novel": 80.0},
    )


def test_kept_promises_break_nothing() -> None:
    assert _report().broken(200) == []


def test_each_broken_promise_is_named() -> None:
    broken = _report(wrong=0.06, held=0.8, alarms=1.5).broken(200)
    assert [line.partition(":")[0] for line in broken] == ["stable wrongly", "interval", "replicas", "budget"]


def test_what_chance_may_do_is_not_broken() -> None:
    assert _report(held=0.89).broken(30) == []
    assert _report(held=0.86).broken(1000) != []


def test_tables_hold_the_figures() -> None:
    text = markdown(_report(), 200)
    assert "| tail | heavy | 200 | 80.0 % | 90.0 % | 95.0 % | 95.0 % | 100 % | 2.5 | 0 % |" in text
    assert "| 30 | 1 | 0% | 1 0 1 | 150 | high | high |" in text
    assert "known 1 µs, novel 80 µs" in text
