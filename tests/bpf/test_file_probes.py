"""Files as the kernel reports them, and the novelty filter's exactness."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.decode import layout
from agent.events import EventType, Open

pytestmark = pytest.mark.bpf

OPENS, FILES = 100_000, 64


def opened(sensor, path: Path) -> list[Open]:
    """The open events of one path."""
    return sensor.of(Open, lambda e: e.path == str(path))


def test_repeats_are_counted_in_the_kernel_exactly(sensor, run, tmp_path):
    """100,000 opens for writing over 64 files: 64 events, and counts that add up to 100,000."""
    assert run("opens", OPENS, tmp_path, FILES) == 0
    events = sensor.of(Open, lambda e: e.path.startswith(f"{tmp_path}/"))
    assert len(events) == FILES
    assert len({e.path for e in events}) == FILES
    files = {(e.file, e.exe) for e in events}
    counts = {key: count for key, count in sensor.source.behaviours() if _file_of(key) in files}
    assert len(counts) == FILES
    assert sum(counts.values()) == OPENS
    assert sensor.lost() == {}


def _file_of(key) -> tuple[object, object]:
    """(file, exe) of an open behaviour."""
    ino, dev, generation = (int.from_bytes(key.object[a:b], "little") for a, b in ((0, 8), (8, 12), (12, 16)))
    return (type(key.exe)(ino, dev, generation), key.exe) if key.type == EventType.OPEN else (None, None)


def test_two_writers_at_once_lose_nothing(sensor, load, tmp_path):
    """The same program on every CPU, opening the same files: still one event each and exact counts."""
    command = [load, "opens", "20000", tmp_path, "8"]
    writers = [subprocess.Popen(command) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    events = sensor.of(Open, lambda e: e.path.startswith(f"{tmp_path}/"))
    assert len(events) == 8
    files = {(e.file, e.exe) for e in events}
    assert sum(count for key, count in sensor.source.behaviours() if _file_of(key) in files) == 80_000


def test_a_forgotten_behaviour_is_reported_again(sensor, run, tmp_path):
    """After forget, the next time is new."""
    target = tmp_path / "file"
    run("file", os.O_WRONLY | os.O_CREAT, target)
    run("file", os.O_WRONLY, target)
    [first] = opened(sensor, target)
    keys = [key for key, _ in sensor.source.behaviours() if _file_of(key) == (first.file, first.exe)]
    assert sensor.source.forget(keys) == 1
    assert sensor.source.forget(keys) == 0
    run("file", os.O_WRONLY, target)
    assert len(opened(sensor, target)) == 2


def test_created_then_rewritten_is_one_behaviour_and_reading_another(sensor, run, tmp_path):
    """Creating and writing are one behaviour of a file, reading it is another."""
    target = tmp_path / "file"
    run("file", os.O_RDWR | os.O_CREAT, target)
    run("file", os.O_WRONLY | os.O_APPEND, target)
    run("file", os.O_RDONLY, target)
    run("file", os.O_RDONLY, target)
    created, read = opened(sensor, target)
    assert created.file_flags & (layout.FILE_F_CREATED | layout.FILE_F_WRITE) == (
        layout.FILE_F_CREATED | layout.FILE_F_WRITE
    )
    assert not read.file_flags & (layout.FILE_F_CREATED | layout.FILE_F_WRITE)
    assert (created.file, created.mode, read.file) == (read.file, 0o100640, created.file)


def test_a_deleted_and_remade_file_is_new(sensor, run, tmp_path):
    """A file with the name, even the inode number, of an older one is another file."""
    target = tmp_path / "file"
    for _ in range(3):
        run("file", os.O_WRONLY | os.O_CREAT, target)
        target.unlink()
    assert len(opened(sensor, target)) == 3


@pytest.mark.container
def test_a_deleted_and_remade_file_is_new_in_a_container(sensor, container):
    """Overlay inodes have no generation of their own; the file below has."""
    script = "i=0; while [ $i -lt 3 ]; do echo > /tmp/f; /bin/busybox rm /tmp/f; i=$((i+1)); done"
    container.run("/bin/sh", "-c", script)
    events = sensor.of(Open, lambda e: e.path == "/tmp/f" and e.head.task.cgroup_id == container.cgroup_id)
    assert len(events) == 3
    assert all(e.file_flags & layout.FILE_F_UPPER_LAYER for e in events)


def test_path_is_the_opened_files(sensor, run, tmp_path):
    """A relative path through a symbolic link shows as the file it led to."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    run("file", os.O_WRONLY | os.O_CREAT, "./link/../link/file", cwd=tmp_path)
    assert len(opened(sensor, tmp_path / "real/file")) == 1


def test_openat2(sensor, run, tmp_path):
    """openat2 relative to a directory descriptor is seen."""
    assert run("openat2", tmp_path, "file") == 0
    [event] = opened(sensor, tmp_path / "file")
    assert event.file_flags & layout.FILE_F_CREATED


NO_SYMLINKS, BENEATH, IN_ROOT = 4, 8, 16  # RESOLVE_*


@pytest.mark.parametrize(
    ("resolve", "name", "found"),
    [
        (BENEATH, "inside/../file", "file"),
        (BENEATH, "inside/file", "inside/file"),
        (IN_ROOT, "/file", "file"),
        (IN_ROOT, "../../file", "file"),
        (IN_ROOT, "link/file", "inside/file"),
        (BENEATH, "link/file", None),
        (BENEATH, "../file", None),
        (BENEATH, "/file", None),
        (NO_SYMLINKS, "link/file", None),
    ],
)
def test_openat2_is_seen_as_it_was_resolved(sensor, run, tmp_path, resolve, name, found):
    """The record names the file the kernel's rules led to; what they forbid, and the call refused, makes none."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "link").symlink_to("/inside")
    assert run("openat2", tmp_path, name, resolve) == (found is None)
    seen = [event.path for event in sensor.of(Open, lambda e: e.path.startswith(str(tmp_path)))]
    assert seen == ([str(tmp_path / found)] if found else [])


def test_failed_opens_and_directories_are_no_behaviour(sensor, run, tmp_path):
    """Neither an open that failed nor one of a directory makes a record."""
    run("file", os.O_RDONLY, tmp_path / "absent")
    run("file", os.O_RDONLY | os.O_DIRECTORY, tmp_path)
    assert sensor.of(Open, lambda e: e.path.startswith(str(tmp_path))) == []


def test_pseudo_files_are_reported_when_written_only(sensor, run):
    """Reading below /proc is no behaviour; writing there is. Terminals and /dev/null are none."""
    target = Path("/proc/sys/kernel/core_pattern")
    run("file", os.O_RDONLY, target)
    run("file", os.O_WRONLY, "/dev/null")
    assert opened(sensor, target) == []
    run("file", os.O_WRONLY, target)
    assert len(opened(sensor, target)) == 1
    mine = opened(sensor, target)[0].exe
    assert sensor.of(Open, lambda e: e.path == "/dev/null" and e.exe == mine) == []


def test_the_agents_own_opens_are_not_reported(sensor, run, tmp_path):
    """The agent is not watched; what it starts is."""
    (tmp_path / "own").write_text("x")
    run("file", os.O_WRONLY | os.O_CREAT, tmp_path / "childs")
    assert opened(sensor, tmp_path / "own") == []
    assert len(opened(sensor, tmp_path / "childs")) == 1


def test_deep_path_is_cut_at_its_root_and_says_so(sensor, run, tmp_path):
    """A path beyond the bound keeps its leaf, begins with an ellipsis, and is flagged."""
    deep = tmp_path
    for _ in range(7):
        deep = deep / ("d" * 200)
        deep.mkdir()
    run("file", os.O_WRONLY | os.O_CREAT, "leaf", cwd=deep)
    [event] = sensor.of(Open, lambda e: e.path.endswith("/leaf") and "d" * 200 in e.path)
    assert event.path.startswith("…/ddd")
    assert event.head.flags == layout.EV_F_TRUNCATED
