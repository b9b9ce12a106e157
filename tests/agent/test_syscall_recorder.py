"""Recordings of system calls: which calls, how much was watched, and that nothing recorded is lost or made up."""

import json
import os
from pathlib import Path

import pytest

from agent.source.syscalls import Made
from agent.syscalls.recorder import CallRecorder
from agent.syscalls.store import RecordingFileError, RecordingStore
from agent.syscalls.tables import name_of, table_of
from agent.workload import Container, Workload
from detection.baseline.recording import Recording, RecordingError, recording_from_dict, recording_to_dict

WEB = Workload("k8s/shop/deployment/web/web", "sha256:1")
READ, WRITE, EXECVE, PTRACE = 0, 1, 59, 101
SECOND = 1_000_000_000


class Calls:
    """Cgroups and what they called."""

    def __init__(self) -> None:
        self.by_cgroup: dict[int, set[int]] = {}
        self.compat: dict[int, set[int]] = {}
        self.forgotten: list[int] = []
        self.unplaced = 0

    def made(self, cgroup_id: int) -> Made:
        return Made(frozenset(self.by_cgroup.get(cgroup_id, ())), frozenset(self.compat.get(cgroup_id, ())))

    def forget(self, cgroup_id: int) -> None:
        self.forgotten.append(cgroup_id)

    def faults(self) -> tuple[int, int]:
        return self.unplaced, 0


class Machine:
    """A recorder of an x86-64 machine, and its containers."""

    def __init__(self, directory: Path) -> None:
        self.calls, self.store, self.now_ns = Calls(), RecordingStore(directory), SECOND
        self.recorder = CallRecorder(self.calls, self.store, 60.0, machine="x86_64")
        self.living: dict[str, int] = {}
        directory.mkdir(exist_ok=True)

    def look(self) -> None:
        self.now_ns += SECOND
        there = [(Container(name), WEB, (cgroup,)) for name, cgroup in self.living.items()]
        self.recorder.look(there, self.now_ns)

    def slot(self) -> Recording:
        self.look()
        return self.recorder.close_slot()[0]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "syscalls")


def test_a_container_that_was_there_before_is_no_start_and_one_that_comes_is(machine: Machine) -> None:
    machine.living, machine.calls.by_cgroup = {"c1": 11}, {11: {READ}, 12: {READ, EXECVE}}
    machine.look()
    machine.living["c2"] = 12
    found = machine.slot()
    assert (found.containers, found.starts, found.calls) == (2, 1, {"read", "execve"})
    assert (found.startup, found.steady) == ([[1, 1]], [[1, 1]])
    found = machine.slot()
    assert (found.startup, found.steady, found.seconds) == ([[1, 1]], [[2, 1]], 180)


def test_a_container_described_only_later_was_there_before_all_the_same(machine: Machine) -> None:
    machine.calls.by_cgroup = {11: {READ}}
    machine.recorder.look([(Container("c1", complete=False), WEB, (11,))], machine.now_ns)
    machine.living = {"c1": 11}
    assert machine.slot().starts == 0


def test_a_new_call_is_told_from_one_that_others_made_before(machine: Machine) -> None:
    machine.living, machine.calls.by_cgroup = {"c1": 11, "c2": 12}, {11: {READ}, 12: set()}
    machine.slot()
    machine.calls.by_cgroup[12].add(READ)
    assert machine.slot().steady == [[2, 1]]
    machine.calls.by_cgroup[12].add(WRITE)
    assert machine.slot().steady == [[3, 2]]


def test_a_container_that_ends_within_its_slot_was_a_start_and_makes_room(machine: Machine) -> None:
    machine.look()
    machine.living, machine.calls.by_cgroup = {"c1": 11}, {11: {READ}}
    machine.look()
    machine.calls.by_cgroup[11].add(WRITE)
    machine.living = {}
    machine.look()
    found = machine.recorder.close_slot()[0]
    assert (found.calls, found.starts, found.startup) == ({"read", "write"}, 1, [[1, 1]])
    assert machine.calls.forgotten == [11]


def test_recordings_of_several_runs_add_up(machine: Machine, tmp_path: Path) -> None:
    machine.living, machine.calls.by_cgroup = {"c1": 11}, {11: {READ}}
    machine.slot()
    again = Machine(tmp_path / "syscalls")
    again.living, again.calls.by_cgroup = {"c1": 11}, {11: {WRITE}}
    found = again.slot()
    assert (found.calls, found.containers, found.slots) == ({"read", "write"}, 2, 2)
    assert again.store.find(WEB.key, WEB.version) == found


def test_another_machine_s_recording_is_not_mixed_in(machine: Machine) -> None:
    machine.living, machine.calls.by_cgroup = {"c1": 11}, {11: {READ}}
    machine.slot()
    assert machine.store.take_up(WEB.key, WEB.version, "aarch64").calls == set()


def test_calls_without_room_make_the_recording_incomplete_and_said_so(machine: Machine) -> None:
    machine.living, machine.calls.unplaced = {"c1": 11}, 3
    assert "some calls were not recorded" in machine.slot().sentence


def test_numbers_of_32_bit_programs_have_other_names(machine: Machine) -> None:
    machine.living, machine.calls.compat = {"c1": 11}, {11: {1, 3}}
    assert machine.slot().compat == {"exit", "read"}


def test_only_one_writes_at_a_time(machine: Machine) -> None:
    with machine.store.writing(), pytest.raises(RecordingFileError, match="already"), machine.store.writing():
        pass
    with machine.store.writing():
        pass


def test_a_broken_recording_is_said_and_written_anew(machine: Machine, tmp_path: Path) -> None:
    machine.living, machine.calls.by_cgroup = {"c1": 11}, {11: {READ}}
    machine.slot()
    (file,) = (tmp_path / "syscalls").glob("*.json")
    file.write_bytes(b'{"format": 1')
    with pytest.raises(RecordingFileError, match="record anew"):
        machine.store.find(WEB.key, WEB.version)
    assert Machine(tmp_path / "syscalls").store.take_up(WEB.key, WEB.version, "x86_64").calls == set()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 9}, {"calls": ["read\x1b[0m"]}, {"calls": "read"}, {"calls": [1]}, {"starts": -1}, {"slots": 1.5},
        {"steady": [[1, 2]]}, {"steady": [[1]]}, {"steady": [7]}, {"workload": 3}, {"incomplete": "x" * 2000},
    ],
)  # fmt: skip
def test_a_hostile_recording_is_refused_whole(change: dict[str, object]) -> None:
    good = recording_to_dict(Recording("w", "v", "x86_64", {"read", "#450"}, steady=[[8, 1], [3, 0]]))
    assert recording_to_dict(recording_from_dict(json.loads(json.dumps(good)))) == good
    with pytest.raises(RecordingError):
        recording_from_dict({**good, **change})


def test_the_bound_falls_with_units_that_bring_nothing_new() -> None:
    recording = Recording("w", "v", "x86_64")
    assert recording.bound(recording.steady) == 1.0
    recording.count(recording.steady, novel=True)
    bounds = []
    for _ in range(3):
        for _ in range(100):
            recording.count(recording.steady, novel=False)
        bounds.append(recording.bound(recording.steady))
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 0.02
    assert "no start watched" in recording.sentence


def test_tables_know_the_numbers_of_their_architecture() -> None:
    x86, arm = table_of("x86_64"), table_of("aarch64")
    assert x86 is not None
    assert arm is not None
    assert (x86.native[EXECVE], x86.compat[11], arm.native[221]) == ("execve", "execve", "execve")
    assert (x86.native[PTRACE], arm.native[117]) == ("ptrace", "ptrace")
    assert x86.native[451] == arm.native[451] == "cachestat"
    assert name_of(x86.native, 400) == "#400"
    assert table_of("riscv64") is None
    assert table_of(os.uname().machine) is not None or os.uname().machine not in ("x86_64", "aarch64")
