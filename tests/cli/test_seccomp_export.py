"""A seccomp profile allows what was recorded and what the runtime needs; without a recording there is none."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.learn.store import write_profiles
from agent.syscalls.store import RecordingStore
from cli.baseline import command
from cli.baseline.seccomp import EVERYWHERE, RUNTIME, seccomp_of
from detection.baseline.profile import Profile, ProfileConfig
from detection.baseline.recording import Recording

WEB = "k8s/shop/deployment/web/web"


def recorded(**changes: object) -> Recording:
    recording = Recording(WEB, "sha256:1", "x86_64", {"read", "accept4", "sendfile"}, containers=1, starts=2, slots=3)
    for name, value in changes.items():
        setattr(recording, name, value)
    return recording


@pytest.fixture
def state(tmp_path: Path) -> Path:
    write_profiles(tmp_path / "profiles.json", [Profile(WEB, "sha256:1", ProfileConfig())], 1)
    return tmp_path


def export(state: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["export", "web", "--format", "seccomp", "--state-dir", str(state), *options])


def save(state: Path, recording: Recording) -> None:
    store = RecordingStore(state / "syscalls")
    with store.writing():
        store.save(recording)


def test_what_was_recorded_and_what_the_runtime_needs_is_allowed_and_nothing_else(state: Path) -> None:
    save(state, recorded())
    result = export(state)
    profile = json.loads(result.stdout)
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    assert profile["architectures"] == ["SCMP_ARCH_X86_64"]
    own, runtime = profile["syscalls"]
    assert own == {"names": ["accept4", "read", "sendfile"], "action": "SCMP_ACT_ALLOW", "comment": "recorded"}
    assert set(runtime["names"]) | {"read"} == {*RUNTIME, *EVERYWHERE}
    assert not {"ptrace", "mount", "bpf", "unshare", "init_module"} & {*RUNTIME, *EVERYWHERE}
    assert "recorded: 3 different ones" in result.stderr


def test_without_a_recording_it_is_refused_and_says_what_to_do(state: Path) -> None:
    result = export(state)
    assert result.exit_code == 1
    assert "vedette baseline syscalls" in result.output
    save(state, recorded(calls=set()))
    assert export(state).exit_code == 1


def test_what_a_person_must_know_is_told() -> None:
    _, told = seccomp_of(recorded(starts=0, incomplete="calls were lost", calls={"read", "#480"}), "errno")
    assert [line.split(":")[0].split(" ")[0] for line in told] == ["calls", "no", "calls"]
    assert "#480" not in str(seccomp_of(recorded(calls={"read", "#480"}), "errno")[0])


def test_32_bit_programs_are_allowed_by_their_table_and_said() -> None:
    profile, told = seccomp_of(recorded(compat={"socketcall"}), "log")
    assert profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert "socketcall" in profile["syscalls"][0]["names"]
    assert profile["defaultAction"] == "SCMP_ACT_LOG"
    assert "defaultErrnoRet" not in profile
    assert "32-bit programs ran" in told[-1]


def test_a_machine_whose_calls_have_no_names_is_said(state: Path) -> None:
    save(state, recorded(machine="riscv64"))
    assert "recorded on riscv64" in export(state).output


def test_show_says_how_complete_a_recording_is(state: Path) -> None:
    save(state, recorded())
    result = CliRunner().invoke(command, ["show", "web", "--state-dir", str(state)])
    assert "System calls: 3 different ones" in result.stdout
