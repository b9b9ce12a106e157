"""The demo succeeds only if the incident tells what was played."""

from typing import Any

from cli.demo.story import Quiet, judge, quiet_before

_SILENCE = Quiet(0, 0)


def _finding(number: int, kind: str, source: str, user: str = "") -> dict[str, Any]:
    entities = [{"kind": "user", "id": user, "role": "actor", "name": user}] if user else []
    rule = f"rule-{number}"
    return {
        "id": f"f{number}",
        "kind": kind,
        "source": source,
        "rule": rule,
        "entities": entities,
        "time_ns": 100 + number,
        "severity": "high",
        "title": f"title {number}",
    }


def _incident() -> dict[str, Any]:
    findings = [
        _finding(1, "rule", "kubernetes-audit", "alice@example.com"),
        _finding(2, "rule", "runtime"),
        _finding(3, "rule", "runtime"),
        _finding(4, "rule", "runtime"),
        _finding(5, "anomaly", "runtime"),
        _finding(6, "rule", "kubernetes-audit"),
    ]
    return {
        "id": "i1",
        "first_ns": 101,
        "last_ns": 106,
        "superseded_by": "",
        "findings": findings,
        "joins": [{"from": "f1", "to": "f2"}],
        "actors": [{"id": "alice@example.com"}],
    }


def test_a_complete_incident_misses_nothing() -> None:
    verdict = judge([_incident()], _SILENCE)
    assert verdict.missing == ()
    assert verdict.counts == {"anomalies": 1, "runtime rules": 3, "audit rules": 2}


def test_no_incident_misses_everything() -> None:
    assert len(judge([], _SILENCE).missing) == 4


def test_one_rule_that_fires_three_times_is_one_rule() -> None:
    incident = _incident()
    for finding in incident["findings"][1:4]:
        finding["rule"] = "same"
    assert judge([incident], _SILENCE).missing == ("3 or more runtime rules in the incident (it has 1)",)


def test_a_person_who_is_not_joined_to_the_kernels_side_does_not_count() -> None:
    incident = _incident()
    incident["joins"] = [{"from": "f1", "to": "f6"}]
    assert judge([incident], _SILENCE).missing == ("alice@example.com, joined to what the exec started",)


def test_a_superseded_incident_is_not_the_story() -> None:
    incident = _incident() | {"superseded_by": "i2"}
    assert judge([incident], _SILENCE).incident is None


def test_what_happened_before_the_intrusion_breaks_the_silence() -> None:
    noise = _finding(0, "rule", "runtime") | {"time_ns": 50}
    info = noise | {"severity": "low"}
    early = _incident() | {"id": "i0", "first_ns": 40, "last_ns": 50}
    quiet = quiet_before(["i9"], [early], [noise, info, _finding(9, "rule", "runtime")], 100)
    assert quiet == Quiet(2, 1, ("title 0",))
    missing = judge([_incident()], quiet).missing
    assert missing == ("silence before the intrusion (2 incidents, 1 findings; title 0)",)


def test_what_happens_elsewhere_on_the_machine_is_counted_apart() -> None:
    foreign = _finding(0, "rule", "runtime") | {"time_ns": 50, "entities": [{"kind": "workload", "id": "container/db"}]}
    ours = foreign | {"entities": [{"kind": "workload", "id": "k8s/shop/deployment/web/web"}]}
    elsewhere = _incident() | {"id": "i0", "first_ns": 40, "last_ns": 50, "findings": [foreign]}
    assert quiet_before(["i0"], [elsewhere], [foreign], 100) == Quiet(0, 0, (), 1)
    assert quiet_before(["i0"], [elsewhere | {"findings": [ours]}], [ours], 100) == Quiet(1, 1, ("title 0",))


def test_an_incident_raised_later_may_reach_back() -> None:
    assert quiet_before([], [_incident() | {"first_ns": 40}], [], 100) == _SILENCE
