"""The work directory is the demo's alone, and is emptied only if the demo made it."""

import os
from pathlib import Path

import pytest

from cli.demo import stage
from cli.demo.errors import DemoError


@pytest.fixture(autouse=True)
def sweeps(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Sweeping touches the machine: here it is only noted. And a demo may run meanwhile."""
    seen: list[Path] = []

    def note(path: Path) -> int:
        seen.append(path)
        return 0

    monkeypatch.setattr("cli.demo.sweep.sweep", note)
    monkeypatch.setattr(stage, "_LOCK", f"\0vedette-demo-test-{os.getpid()}")
    return seen


def test_it_is_swept_before_and_after_and_then_gone(tmp_path: Path, sweeps: list[Path]) -> None:
    with stage.work_directory(tmp_path / "w") as work:
        (work / "file").touch()
        assert sweeps == [work]
    assert sweeps == [work, work]
    assert not work.exists()


def test_keep_leaves_the_files_and_the_next_run_empties_it(tmp_path: Path) -> None:
    with stage.work_directory(tmp_path / "w", keep=True) as work:
        (work / "file").touch()
    assert (work / "file").exists()
    with stage.work_directory(work) as again:
        assert not (again / "file").exists()


def test_a_failure_leaves_the_logs(tmp_path: Path, sweeps: list[Path]) -> None:
    def fail() -> None:
        with stage.work_directory(tmp_path / "w") as work:
            (work / "logs" / "agent.log").touch()
            raise DemoError("no")

    with pytest.raises(DemoError, match="no"):
        fail()
    assert (tmp_path / "w" / "logs" / "agent.log").exists()
    assert len(sweeps) == 2


def test_a_directory_of_somebody_else_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(DemoError, match="not made by the demo"), stage.work_directory(tmp_path):
        pass
    assert (tmp_path / "precious").exists()


def test_two_demos_do_not_run_at_once(tmp_path: Path) -> None:
    with (
        stage.work_directory(tmp_path / "a"),
        pytest.raises(DemoError, match="another demo runs"),
        stage.work_directory(tmp_path / "b"),
    ):
        pass


def test_a_path_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="--work-dir"), stage.work_directory(tmp_path / ("x" * 90)):
        pass
