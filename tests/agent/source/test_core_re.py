"""What the CO-RE sensor decides before it touches the kernel, and the fake that stands in for it."""

from pathlib import Path

import pytest

from agent.errors import SourceError
from agent.events import EventType, FileId, RawBatch
from agent.source.fake import FakeSource
from agent.source.hooks import Hooks, Security, find_security
from agent.source.port import BehaviourKey, ProbeState, Source
from agent.source.programs import PROGRAMS, Program, missing_for

BTF = Program("p", EventType.EXIT, "btf:sched_process_exit", "exits go unseen", parameters=2)


class Types:
    """A kernel whose tracepoints all have `count` arguments. `lacks`: why it has no security hook."""

    def __init__(self, count: int, lacks: str = "") -> None:
        self._count, self._lacks = count, lacks

    def parameters(self, tracepoint: str) -> int:
        return self._count

    def lacks(self, hook: str) -> str:
        return self._lacks


@pytest.mark.parametrize(
    ("count", "newer", "older"), [(2, None, ""), (1, "", None), (-1, "no BTF tracepoint", "no BTF tracepoint")]
)
def test_one_of_two_variants_is_chosen_by_the_tracepoints_arguments(count, newer, older):
    """The program for the newer kernel where it has the argument, else the one for the older; never both."""
    old = BTF._replace(below=True)
    for program, expected in ((BTF, newer), (old, older)):
        missing = missing_for(program, Types(count), None)
        assert missing is None if expected is None else missing.startswith(expected)
        assert missing != "" or expected == ""


def test_a_classic_tracepoint_must_be_in_tracefs(tmp_path: Path):
    """Without tracefs, or without the tracepoint, the program says what is missing."""
    program = Program("p", EventType.OPEN, "syscalls:sys_exit_open", "opens go unseen")
    (tmp_path / "events/syscalls").mkdir(parents=True)
    assert missing_for(program, Types(0), None) == "tracefs is not mounted or not readable"
    assert "no tracepoint sys_exit_open" in missing_for(program, Types(0), tmp_path)
    (tmp_path / "events/syscalls/sys_exit_open").mkdir()
    assert missing_for(program, Types(0), tmp_path) is None


def test_a_security_hook_takes_the_place_of_system_calls(tmp_path: Path):
    """With the hook, its program and its companion run and no stand-in; without, the stand-in alone, and why."""
    for call in ("sys_exit_unlink", "sys_exit_x"):
        (tmp_path / "events/syscalls" / call).mkdir(parents=True)
    hook = Program("hook", EventType.PATH, "lsm:path_unlink", "io_uring goes unseen")
    stand_in = Program("exit", EventType.PATH, "syscalls:sys_exit_unlink", "unseen", without=hook.hook)
    companion = Program("done", EventType.PATH, "syscalls:sys_exit_unlink", "unseen", beside=hook.hook)
    rows = (hook, companion, stand_in)
    assert [missing_for(row, Types(0), tmp_path) for row in rows] == [None, None, ""]
    assert [missing_for(row, Types(0, "refused"), tmp_path) for row in rows] == ["refused", "", None]


def test_fentry_where_lsm_is_refused_and_neither_says_why():
    """BPF LSM first, fentry next, else both reasons."""
    yes, no = ("yes", "tried"), ("no", "refused")
    assert find_security(None, lambda _: yes, lambda _: no) == Security("lsm")
    assert find_security(None, lambda _: no, lambda _: yes) == Security("fentry", "refused")
    assert find_security(None, lambda _: no, lambda _: no) == Security(
        "", "neither BPF LSM nor fentry can be used (refused)"
    )


def test_a_refused_hook_takes_its_group_with_it():
    """Where one program of the file tree is refused, stand-ins see what all of them would have; others go alone."""

    class Known:
        def function(self, name: str) -> int:
            return 1 if name.startswith("bpf_lsm_") else -1

    hooks = Hooks(Known(), Security("lsm"), ["path_mkdir"])
    assert [bool(hooks.lacks(name)) for name in ("path_unlink", "path_chown", "file_open")] == [True, False, False]
    assert "security_file_open" in Hooks(Known(), Security("fentry")).lacks("file_open")


def test_every_program_is_in_a_probe_file_and_says_what_goes_unseen():
    """The table and the C sources name the same programs."""
    probes = Path(__file__).resolve().parents[3] / "bpf/probes"
    text = "".join(path.read_text() for path in probes.glob("*.bpf.c"))
    names = {program.function for program in PROGRAMS}
    assert text.count("\nSEC(") == len(names)
    assert all(f"{name}(" in text or f"({name}," in text for name in names)
    assert all(program.unseen for program in PROGRAMS)


def test_probe_files_keep_their_bound():
    """A probe file has at most 150 lines, a file of the library beside them at most 250."""
    bpf = Path(__file__).resolve().parents[3] / "bpf"
    assert all(len(path.read_text().splitlines()) <= 150 for path in bpf.glob("probes/*.c"))
    assert all(len(path.read_text().splitlines()) <= 250 for path in bpf.glob("ring/*.c"))


def test_fake_source_keeps_the_ports_promises():
    """Batches in order and then None; forget counts; nothing is read after stop."""
    key = BehaviourKey(1, EventType.OPEN, FileId(1, 2, 3), b"x")
    batch = RawBatch(b"", 0, 0)
    source: Source = FakeSource([batch, batch], known={key: 3})
    assert source.read(0) is None
    source.start()
    assert source.read(0) == batch
    assert (source.forget([key]), source.forget([key]), list(source.behaviours())) == (1, 0, [])
    assert source.probes() == (ProbeState("fake", True),)
    source.stop()
    assert source.read(0) is None


def test_fake_source_can_refuse():
    """For tests of what the agent does without a sensor."""
    with pytest.raises(SourceError, match="no BTF"):
        FakeSource(refuses="no BTF").start()
