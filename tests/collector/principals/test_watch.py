"""What a principal does for the first time is graded by how complete its profile is."""

from collections.abc import Callable
from typing import Any

import pytest

from collector.audit import FORMATS, Detector
from collector.audit.record import AuditRecord
from collector.principals import BehaviourConfig, PrincipalWatch
from detection.finding import EntityKind, Kind, Severity
from detection.rules import ir
from detection.rules.compile import RuleSet

HOUR_NS = 3600 * 10**9
FORM = FORMATS["kubernetes-audit"]
Record = Callable[..., AuditRecord]
ELSEWHERE: dict[str, Any] = {"sourceIPs": ["198.51.100.9"], "userAgent": "curl/8"}


def test_known_behaviour_is_silent_and_costs_no_second_look(cluster: Any, record: Record) -> None:
    cluster.live(50)
    before = cluster.watch.counters()["novel"]
    assert all(cluster.see(record(480_049.5)) is None for _ in range(5))
    assert cluster.watch.counters()["novel"] == before


def test_a_new_cluster_is_quiet(cluster: Any, record: Record) -> None:
    """Hundreds of first accesses by principals nobody knows raise nothing above informational."""
    found = [
        cluster.see(
            record(480_000 + n / 100, user=f"system:serviceaccount:ns-{n % 9}:sa-{n}", verb=verb, resource=what)
        )
        for n in range(200)
        for verb in ("get", "create")
        for what in ("secrets", "pods")
    ]
    assert [f for f in found if f is not None and f.severity > Severity.INFORMATIONAL] == []


def test_a_token_used_from_elsewhere_with_another_tool_to_read_secrets_is_high(cluster: Any, record: Record) -> None:
    hour = cluster.live(300)
    finding = cluster.see(record(hour, verb="list", resource="secrets", **ELSEWHERE))
    assert finding is not None
    assert (finding.kind, finding.severity) == (Kind.ANOMALY, Severity.HIGH)
    assert finding.rule_id in {"anomaly.api", "anomaly.network", "anomaly.agent"}
    assert {t.id for t in finding.techniques} == {"T1552"}
    assert finding.fields["new.api"] == "list secrets"
    assert finding.fields["new.network"] == "198.51.100.0/24"
    assert finding.fields["new.agent"] == "curl"
    assert finding.entity(EntityKind.USER).id == "alice"  # type: ignore[union-attr]
    for said in (
        "active in 299 hours before",
        "never called list secrets",
        "nearest: get pods",
        "it reads secrets",
        "independent",
        "% complete",
    ):
        assert said in finding.reason


def test_a_combination_within_an_hour_is_more_surprising_than_its_parts(cluster: Any, record: Record) -> None:
    hour = cluster.live(300)
    first = cluster.see(record(hour, sourceIPs=["198.51.100.9"]))
    second = cluster.see(record(hour + 0.1, userAgent="curl/8"))
    assert first is not None
    assert second is not None
    assert second.surprise > first.surprise + 1
    assert "In the same hour it also was new with 198.51.100.0/24" in second.reason


def test_the_less_is_known_the_less_is_surprising(record: Record) -> None:
    surprises = []
    for hours in (5, 40, 300):
        watch = PrincipalWatch(now_ns=lambda: 500_000 * HOUR_NS)
        for hour in range(hours):
            watch.observe(FORM, record(480_000 + hour))
        finding = watch.observe(FORM, record(480_000 + hours, **ELSEWHERE))
        surprises.append(finding.surprise if finding else 0.0)
    assert surprises[0] < 1 < surprises[1] < surprises[2]


def test_what_a_rule_condemned_is_not_learned(cluster: Any, record: Record) -> None:
    hour = cluster.live(300)
    for n in range(3):
        finding = cluster.see(record(hour + n, verb="list", resource="secrets"), condemned=True)
        assert finding is not None, "it stays new"
        assert finding.severity is Severity.INFORMATIONAL
        assert "not learned" in finding.reason
    assert cluster.watch.counters()["condemned"] == 3


def test_the_detector_tells_of_rules_of_medium_and_higher_only(record: Record) -> None:
    for level, condemned in ((Severity.MEDIUM, 1), (Severity.LOW, 0)):
        rule = ir.Rule("r", "R", level, "kubernetes/audit", ir.Named("s", ir.Test("verb", ir.Op.EQUALS, ("list",))))
        watch = PrincipalWatch(now_ns=lambda: 500_000 * HOUR_NS)
        detector = Detector(RuleSet.from_ir([rule]), behaviour=watch)
        detector.detect(FORM, [record(480_000, verb="list")])
        assert watch.counters().get("condemned", 0) == condemned


def test_a_finding_that_was_not_stored_is_told_again(record: Record) -> None:
    watch = PrincipalWatch(now_ns=lambda: 500_000 * HOUR_NS)
    detector = Detector(RuleSet.from_ir([]), behaviour=watch)
    records = [record(480_000 + n) for n in range(300)]
    detector.commit(detector.detect(FORM, records))
    first = detector.detect(FORM, [record(480_300, **ELSEWHERE)])
    again = detector.detect(FORM, [record(480_300, **ELSEWHERE)])
    assert [f.id for f in first.findings] == [f.id for f in again.findings]
    assert len(again.findings) == 1
    detector.commit(again)
    assert detector.detect(FORM, [record(480_300, **ELSEWHERE)]).findings == []


def test_what_alarmed_is_held_and_reported_as_informational_until_it_is_usual(cluster: Any, record: Record) -> None:
    hour = cluster.live(300)
    severities = []
    for n in range(14):
        finding = cluster.see(record(hour + 8 * n, verb="list", resource="secrets", **ELSEWHERE))
        severities.append(finding.severity if finding else None)
    assert severities[0] is Severity.HIGH
    assert set(severities[1:8]) == {Severity.INFORMATIONAL}
    assert severities[-1] is None, "after eight hours over more than two days it is its own"
    assert cluster.watch.counters()["adopted"] >= 3


def test_impersonation_counts_for_both(cluster: Any, record: Record) -> None:
    cluster.live(300)
    hour = cluster.live(300, user="admin")
    finding = cluster.see(record(hour, user="alice", impersonatedUser={"username": "admin"}))
    assert finding is not None
    assert finding.fields["behaviour.principal"] == "alice"
    assert finding.fields["new.api"] == "get pods (as another)"
    odd = cluster.see(record(hour + 1, user="alice", verb="delete", impersonatedUser={"username": "admin"}))
    assert odd is not None
    profiles = cluster.watch.state(FORM.source).profiles
    assert "delete pods" in {*profiles["admin"].habits[0].members, *profiles["admin"].habits[0].held}


def test_the_control_plane_learns_and_never_alarms(cluster: Any, record: Record) -> None:
    name = "system:serviceaccount:kube-system:job-controller"
    hour = cluster.live(300, user=name)
    assert cluster.see(record(hour, user=name, verb="list", resource="secrets", **ELSEWHERE)) is None
    assert "list secrets" in cluster.watch.state(FORM.source).profiles[name].habits[0].members


def test_late_records_count_in_their_own_hour_while_it_is_open(cluster: Any, record: Record) -> None:
    hour = cluster.live(50)
    cluster.see(record(hour))
    cluster.see(record(hour - 0.4, verb="watch"))  # twenty-four minutes late
    profile = cluster.watch.state(FORM.source).profiles["alice"]
    assert "watch pods" in profile.units[hour - 1].names[0]
    cluster.see(record(hour - 30, verb="patch"))
    assert "patch pods" in profile.units[hour - 1].names[0], "its hour is over: the oldest that is open"
    assert cluster.watch.counters()["late"] == 1


def test_records_from_the_future_teach_nothing(cluster: Any, record: Record) -> None:
    cluster.live(5)
    assert cluster.see(record(510_000)) is None
    assert cluster.watch.counters()["future"] == 1
    assert cluster.watch.state(FORM.source).hour == 480_004


def test_reading_the_same_records_again_counts_nothing_twice(cluster: Any, record: Record) -> None:
    hour = cluster.live(40)
    records = [record(hour - 1 + n / 10, verb=verb) for n, verb in enumerate(("get", "list", "watch"))]
    for _ in range(3):
        for one in records:
            cluster.see(one)
    cluster.see(record(hour + 5))
    cluster.watch.settle()
    habit = cluster.watch.state(FORM.source).profiles["alice"].habits[0]
    assert (habit.units, habit.members["list pods"], habit.members["get pods"]) == (40, 1, 40)


def test_a_new_principal_of_a_known_group_is_judged_by_what_others_do(cluster: Any, record: Record) -> None:
    for n in range(120):
        cluster.live(1, begin=480_000 + n, user=f"system:serviceaccount:shop:sa-{n}")
    usual = cluster.see(record(480_130, user="system:serviceaccount:shop:fresh-1"))
    odd = cluster.see(
        record(480_131, user="system:serviceaccount:shop:fresh-2", verb="list", resource="secrets", **ELSEWHERE)
    )
    assert usual is None
    assert odd is not None
    assert Severity.INFORMATIONAL < odd.severity <= Severity.MEDIUM
    assert "none of" in odd.reason


def test_memory_is_bounded_and_what_leaves_is_counted(record: Record) -> None:
    watch = PrincipalWatch(BehaviourConfig(principals=10, groups=3), now_ns=lambda: 500_000 * HOUR_NS)
    for n in range(200):
        watch.observe(FORM, record(480_000 + n, user=f"system:serviceaccount:ns-{n}:x"))
    state = watch.state(FORM.source)
    assert (len(state.profiles), len(state.groups), len(state.dirty)) == (10, 3, 0)
    assert watch.counters()["left"] == 190


def test_the_budget_is_for_all_principals_of_a_source(record: Record) -> None:
    """Forty people each do something of the same kind once: after a few, no more alarms."""
    watch = PrincipalWatch(BehaviourConfig(budget=2.0), now_ns=lambda: 500_000 * HOUR_NS)
    for hour in range(400):
        for n in range(40):
            watch.observe(FORM, record(480_000 + hour, user=f"u{n}"))
    alarms = 0
    for n in range(40):
        finding = watch.observe(FORM, record(480_400 + 3 * n, user=f"u{n}", **ELSEWHERE))
        alarms += finding is not None and finding.severity > Severity.INFORMATIONAL
    assert 1 <= alarms <= 4


@pytest.mark.parametrize("budget", [0, -1, 1e9])
def test_a_budget_out_of_range_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="budget"):
        BehaviourConfig(budget=budget)
