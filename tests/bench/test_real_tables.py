"""How a replay of real software is told: whose an anomaly is, what counts as naming it, what is a false alarm."""

from typing import Any

import pytest

from agent.observation import Anomaly
from bench.real import tables
from bench.real.judge import Course, Point, Raised
from detection.finding import Severity

S = 1_000_000_000
DEED = tables.Deed("redis writes a cron file", "redis", ("c1",), 100 * S, 101 * S)


@pytest.fixture
def raised() -> Any:
    def make(at_s: float, member: str, severity: Severity = Severity.HIGH, container: str = "c1") -> Raised:
        reasons = ("The nearest known behaviour is /etc/cron.d/known.",)
        anomaly = Anomaly("write", member, 4.0, severity, "stable", 1.0, (), reasons)
        return Raised(int(at_s * S), "redis", container, anomaly)

    return make


def test_an_intrusion_stands_out_only_by_a_loud_anomaly_whose_behaviour_names_it(raised: Any) -> None:
    course = Course(raised=[raised(100.5, "redis → /data/x"), raised(100.6, "redis → /etc/cron.d/x", Severity.MEDIUM)])
    assert tables.verdicts(course, [DEED])[0].named is None
    course.raised.append(raised(102, "redis → /etc/cron.d/y"))
    verdict = tables.verdicts(course, [DEED])[0]
    assert verdict.named is not None
    assert verdict.named.anomaly.member == "redis → /etc/cron.d/y"
    assert verdict.alone is None


def test_what_comes_before_or_elsewhere_is_a_false_alarm_and_the_aftermath_is_not(raised: Any) -> None:
    before, aftermath = raised(99, "redis → /etc/cron.d/x"), raised(500, "redis → /data/late")
    elsewhere = raised(500, "redis → /data/late", container="c2")
    course = Course(raised=[before, aftermath, elsewhere])
    assert tables.benign(course, [DEED]) == [before, elsewhere]


def test_false_alarms_are_counted_from_the_first_stable_class_on(raised: Any) -> None:
    learning, stable = Point(0, 10, 1, 0.5, 0.5, "learning"), Point(50 * S, 60, 1, 1.0, 0.01, "stable")
    course = Course(curves={("redis", "write"): [learning, stable]}, raised=[raised(10, "a"), raised(60, "b")])
    row = tables.budget(course, [], 60, 50 * S + 3600 * S).splitlines()[-1]
    assert row == "| redis | 1.00 | 0 | 0 | 1 | 1.00 | 168.0 |"
