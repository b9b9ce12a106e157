"""The host's namespaces are known even where its first process hides them."""

from pathlib import Path

import pytest

from agent.identify.addresses import host_namespace


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for pid, comm in ((1, "init"), (2, "kthreadd")):
        (tmp_path / f"{pid}" / "ns").mkdir(parents=True)
        (tmp_path / f"{pid}" / "comm").write_text(f"{comm}\n")
    (tmp_path / "2/ns/mnt").touch()
    return tmp_path


def test_the_first_process_says_it_where_it_may_be_read(proc: Path) -> None:
    (proc / "1/ns/mnt").touch()
    assert host_namespace(str(proc), "mnt") == (proc / "1/ns/mnt").stat().st_ino


def test_the_kernels_threads_say_it_where_the_first_process_does_not(proc: Path) -> None:
    assert host_namespace(str(proc), "mnt") == (proc / "2/ns/mnt").stat().st_ino


def test_another_second_process_is_not_the_host(proc: Path) -> None:
    (proc / "2/comm").write_text("bash\n")
    assert host_namespace(str(proc), "mnt") == 0
