"""An incident is told as steps: acts, not findings; the telling ones where there are too many."""

from typing import Any

from cli.story import commands_line, most_telling, steps_of

_MS = 1_000_000


def finding(time_ms: int, process: str, **changes: Any) -> dict[str, Any]:
    audit = changes.get("source", "runtime") != "runtime"
    return {
        "id": f"{time_ms}-{process}-{sorted(changes.items())}",
        "time_ns": time_ms * _MS,
        "severity": "high",
        "kind": "rule",
        "source": "runtime",
        "title": f"title of {process}",
        "techniques": [],
        "surprise": 0.0,
        "lossy": False,
        "fields": {"CommandLine": f"/bin/{process}"},
        "entities": [{"kind": "audit_event" if audit else "process", "id": process, "role": "actor", "name": ""}],
        **changes,
    }


def test_findings_about_one_process_are_one_step() -> None:
    steps = steps_of([finding(0, "wget"), finding(3, "sh"), finding(5, "wget")])
    assert [s.numbers for s in steps] == [[1, 3], [2]]


def test_rules_that_match_one_audit_record_are_one_step() -> None:
    both = [finding(0, "a-1", source="kubernetes-audit", severity=s) for s in ("medium", "high")]
    (step,) = steps_of(both)
    assert step.severity == "high"


def test_an_api_call_names_who_made_it() -> None:
    call = finding(
        0,
        "a-1",
        source="kubernetes-audit",
        fields={
            "verb": "create",
            "objectRef.resource": "pods",
            "objectRef.subresource": "exec",
            "objectRef.namespace": "shop",
            "objectRef.name": "web",
        },
        entities=[{"kind": "user", "id": "alice", "role": "actor", "name": ""}],
    )
    assert commands_line(steps_of([call])[0]) == "alice: create pods/exec shop/web"


def test_alike_acts_in_a_row_are_one_step() -> None:
    looks = [finding(n, name, title="Somebody looked around") for n, name in enumerate(("id", "uname", "ps"))]
    (step,) = steps_of(looks)
    assert commands_line(step) == "/bin/id ; /bin/uname ; /bin/ps"


def test_a_rule_gives_the_words_and_the_worst_the_severity() -> None:
    (step,) = steps_of([finding(0, "sh", severity="medium"), finding(1, "sh", severity="high", kind="anomaly")])
    assert (step.headline, step.severity) == ("title of sh", "high")


def test_where_only_the_baseline_spoke_the_step_says_so() -> None:
    (step,) = steps_of([finding(0, "sh", kind="anomaly", surprise=4.2)])
    assert (step.headline, step.surprise) == ("Never seen of this workload", 4.2)


def test_the_least_telling_are_dropped_and_the_rest_stay_in_order() -> None:
    severities = ("low", "critical", "medium", "high")
    steps = steps_of([finding(n, f"p{n}", severity=s) for n, s in enumerate(severities)])
    assert [s.severity for s in most_telling(steps, 3)] == ["critical", "medium", "high"]


def test_repetitions_of_a_headline_give_way_to_what_is_told_only_once() -> None:
    loud = [finding(n, f"p{n}", title="again", fields={"CommandLine": str(n)}) for n in (0, 2)]
    between = finding(1, "q", title="between")
    once = finding(3, "r", title="once", severity="low")
    told = most_telling(steps_of([loud[0], between, loud[1], once]), 3)
    assert [s.headline for s in told] == ["again", "between", "once"]


def test_terminal_escapes_of_a_command_do_not_reach_the_screen() -> None:
    (step,) = steps_of([finding(0, "sh", fields={"CommandLine": "x\x1b[2J\x07"})])
    assert "\x1b" not in commands_line(step)
