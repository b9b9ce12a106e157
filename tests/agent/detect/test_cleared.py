"""Execs without findings are remembered by everything a rule can read, and by nothing that could hide a change."""

from dataclasses import fields, replace

import pytest

from agent.detect import Detector
from agent.detect.cleared import UNIQUE_FIELDS, Cleared
from agent.detect.document import RuntimeDocument, fields_of_category
from agent.detect.field import PROCESS
from agent.events import Exec, Task
from agent.observation import Observation
from agent.workload import Container, Identified, Process, Workload
from detection.finding import Severity
from detection.rules import Rule, RuleSet
from detection.rules.ir import Condition, Op
from detection.rules.ir import Test as Check

# What tells one run of a program from the next, and nothing else of it.
_TIMES = {"exec_id": "f" * 16, "pid": 4242, "parent_id": "e" * 16, "start_ns": 99, "cgroup_id": 99, "seeded": True}
_OF_EVENT = ("exe", "path", "argv", "argv_total", "cwd", "exe_flags", "head")  # the process has them, or no field does


def _exec(world, *argv: str) -> Identified:
    parent = world.process("/bin/sh", "sh")
    process = world.process("/bin/true", *argv, parent_id=parent.exec_id)
    event = Exec(world._head(1, process), world.exe, 0, 0, 0, "/bin/true", process.argv, 9, "/", "true")
    return Identified(event, process, (parent,), world.container, Workload("w"))


@pytest.fixture
def run(world):
    world.exe = (1, 2, 3)
    return lambda *argv: _exec(world, *(argv or ("true",)))


def _rule(condition: Condition) -> Rule:
    return Rule("r", "r", Severity.HIGH, PROCESS, condition)


def _again(identified: Identified) -> Identified:
    """The same program, run once more: other ids, other times."""
    head = identified.event.head
    task = head.task._replace(**{name: 77 for name in Task._fields if name != "comm"}, comm="other")
    event = identified.event._replace(head=head._replace(time_ns=head.time_ns + 5, task=task))
    return replace(identified, event=event, process=replace(identified.process, **_TIMES))


def test_running_it_again_changes_no_field_but_the_unique_ones(run):
    one = run()
    two = _again(one)
    before, after = (RuntimeDocument(i, PROCESS, "node") for i in (one, two))
    changed = {f for f in fields_of_category(PROCESS) if before.get(f) != after.get(f)}
    assert changed == UNIQUE_FIELDS
    cleared = Cleared(())
    assert cleared.key(one, one.event) == cleared.key(two, two.event)


def _other(value: object) -> object:
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, tuple):
        return (*value, "x")
    return not value if isinstance(value, bool) else value + 1


def test_every_other_difference_is_another_key(run):
    one = run()
    cleared = Cleared(())
    key = cleared.key(one, one.event)
    for field in fields(Process):
        if field.name in _TIMES or field.name == "container_id":  # the container tells it
            continue
        changed = replace(one, process=replace(one.process, **{field.name: _other(getattr(one.process, field.name))}))
        assert cleared.key(changed, one.event) != key, field.name
    for name in set(Exec._fields) - set(_OF_EVENT):
        event = one.event._replace(**{name: _other(getattr(one.event, name))})
        assert cleared.key(replace(one, event=event), event) != key, name
    for other in (
        replace(one, ancestors=()),
        replace(one, ancestors=tuple(replace(p) for p in one.ancestors)),
        replace(one, container=Container("d" * 64)),
        replace(one, workload=Workload("v")),
        replace(one, process=replace(one.process, entry_id=one.process.exec_id)),
    ):
        assert cleared.key(other, one.event) != key


@pytest.mark.parametrize(
    "condition",
    [Check("ProcessId", Op.EQUALS, ("7",)), Check("", Op.CONTAINS, ("x",))],
    ids=["unique field", "keyword"],
)
def test_a_rule_on_what_differs_each_time_ends_the_remembering(run, condition):
    one = run()
    assert Cleared([_rule(condition)]).key(one, one.event) is None


def test_arguments_too_long_to_keep_are_not_kept(run):
    one = run()
    assert Cleared(()).key(one, one.event._replace(argv_total=4096)) is None


def test_it_is_bounded(run):
    cleared = Cleared(())
    for number in range(5000):
        cleared.add((number,), run())
    assert len(cleared._known) <= 2048


def test_new_rules_look_at_everything_again(run):
    one = run("true", "now-bad")
    detector = Detector(RuleSet.from_ir([]), "node")
    assert not detector.detect(Observation(one))
    assert not detector.detect(Observation(one))
    detector.replace_rules(RuleSet.from_ir([_rule(Check("CommandLine", Op.CONTAINS, ("now-bad",)))]))
    assert len(detector.detect(Observation(one))) == 1


def test_an_exec_with_findings_is_never_remembered(run):
    rule = _rule(Check("CommandLine", Op.CONTAINS, ("bad",)))
    detector = Detector(RuleSet.from_ir([rule]), "node")
    for _ in range(3):
        detector.detect(Observation(run("bad")))
    assert detector.counters()["findings"] + detector.counters()["repeats"] == 3
