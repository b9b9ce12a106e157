"""A timeline shows acts, not findings, and drops the least telling first."""

from typing import Any

from cli.moments import moments, most_telling

_MS = 1_000_000


def _finding(
    time_ms: int, process: str, severity: str = "high", kind: str = "rule", source: str = "runtime"
) -> dict[str, Any]:
    entity = "process" if source == "runtime" else "audit_event"
    return {
        "id": f"{time_ms}-{process}-{severity}-{kind}",
        "time_ns": time_ms * _MS,
        "severity": severity,
        "kind": kind,
        "source": source,
        "entities": [{"kind": entity, "id": process, "role": "actor", "name": ""}],
    }


def test_what_one_process_does_at_once_is_one_moment() -> None:
    found = moments([_finding(0, "wget"), _finding(3, "sh"), _finding(5, "wget")])
    assert [len(m.findings) for m in found] == [2, 1]
    assert [m.number for m in found] == [1, 2]


def test_a_process_that_acts_again_later_has_two_moments() -> None:
    assert len(moments([_finding(0, "httpd"), _finding(501, "httpd")])) == 2


def test_rules_that_match_one_audit_record_are_one_moment() -> None:
    both = [_finding(0, "a-1", kind="rule", source="kubernetes-audit", severity=s) for s in ("medium", "high")]
    assert len(moments(both)) == 1


def test_findings_about_nobody_stand_alone() -> None:
    nobody = [_finding(0, "x") | {"entities": [], "id": "1"}, _finding(0, "x") | {"entities": [], "id": "2"}]
    assert len(moments(nobody)) == 2


def test_the_worst_gives_the_severity_and_a_rule_the_words() -> None:
    (moment,) = moments([_finding(0, "sh", "medium"), _finding(1, "sh", "high", "anomaly")])
    assert moment.worst["kind"] == "anomaly"
    assert moment.telling["kind"] == "rule"


def test_a_low_rule_does_not_speak_for_a_high_anomaly() -> None:
    (moment,) = moments([_finding(0, "sh", "low"), _finding(1, "sh", "high", "anomaly")])
    assert moment.telling["kind"] == "anomaly"


def test_the_least_telling_are_dropped_and_the_rest_stay_in_order() -> None:
    found = moments([_finding(n * 1000, f"p{n}", s) for n, s in enumerate(("low", "critical", "medium", "high"))])
    assert [m.number for m in most_telling(found, 3)] == [2, 3, 4]


def test_an_unknown_severity_ranks_last() -> None:
    found = moments([_finding(0, "a", "odd"), _finding(1, "b", "informational")])
    assert [m.number for m in most_telling(found, 1)] == [2]
