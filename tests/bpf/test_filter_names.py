"""Trying to slip past the novelty filter: known files under other names, other files under known names."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.events import Exec, Open

pytestmark = pytest.mark.bpf


@pytest.fixture
def seen(sensor, run, tmp_path) -> Callable[[Path], int]:
    """Read a file twice with the load program; how many records of its path that made."""

    def read_twice(path: Path) -> int:
        before = len(sensor.of(Open, lambda e: e.path == str(path)))
        for _ in range(2):
            assert run("file", os.O_RDONLY, path) == 0
        return len(sensor.of(Open, lambda e: e.path == str(path))) - before

    return read_twice


@pytest.fixture
def known(seen, tmp_path) -> Path:
    """A file the load program was seen to read."""
    path = tmp_path / "known"
    path.write_text("known")
    assert seen(path) == 1
    assert seen(path) == 0
    return path


def test_renamed_file_is_reported_under_its_new_name(seen, known):
    """Same inode, other name; back under the old name it is known."""
    moved = known.rename(known.with_name("moved"))
    assert seen(moved) == 1
    assert seen(moved.rename(known)) == 0


def test_renamed_directory_gives_its_files_other_names(seen, tmp_path):
    """A component far up changed."""
    old, new = tmp_path / "a/b/c", tmp_path / "z/b/c"
    old.mkdir(parents=True)
    (old / "file").write_text("x")
    assert seen(old / "file") == 1
    (tmp_path / "a").rename(tmp_path / "z")
    assert seen(new / "file") == 1


def test_file_renamed_over_a_known_one_is_new(seen, known):
    """Known name, other inode."""
    other = known.with_name("other")
    other.write_text("other")
    other.rename(known)
    assert seen(known) == 1


def test_exchanged_files_are_both_new(seen, known):
    """RENAME_EXCHANGE: each known inode stands under the other's name."""
    other = known.with_name("other")
    other.write_text("other")
    assert seen(other) == 1
    at_fdcwd, rename_exchange = -100, 2
    libc = ctypes.CDLL(None)
    assert libc.renameat2(at_fdcwd, str(known).encode(), at_fdcwd, str(other).encode(), rename_exchange) == 0
    assert (seen(known), seen(other)) == (1, 1)


def test_hard_link_is_new(seen, known):
    """Same inode, second name; the first stays known."""
    link = known.with_name("link")
    os.link(known, link)
    assert seen(link) == 1
    assert seen(known) == 0


def test_bind_mount_is_new(seen, known, tmp_path):
    """Same inode, same dentry, another mount; moved to another place it is new again."""
    where = [tmp_path / "mounted", tmp_path / "again"]
    for path in where:
        path.touch()
    subprocess.run(["mount", "--bind", known, where[0]], check=True)
    try:
        assert seen(where[0]) == 1
        assert seen(known) == 0
    finally:
        subprocess.run(["umount", where[0]], check=True)
    assert seen(where[0]) == 1  # the file below the mount


def test_file_mounted_over_a_known_name_is_new(seen, known):
    """Known name, known file, but never together."""
    other = known.with_name("other")
    other.write_text("other")
    assert seen(other) == 1
    subprocess.run(["mount", "--bind", other, known], check=True)
    try:
        assert seen(known) == 1
    finally:
        subprocess.run(["umount", known], check=True)


def test_same_inode_number_on_another_device_is_new(seen, tmp_path):
    """Two fresh tmpfs give their first file the same inode number."""
    numbers = []
    directory = tmp_path / "fs"
    directory.mkdir()
    for i in range(2):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", f"vt{i}", directory], check=True)
    try:
        for _ in range(2):
            (directory / "file").write_text("x")
            numbers.append((directory / "file").stat().st_ino)
            assert seen(directory / "file") == 1
            subprocess.run(["umount", directory], check=True)
    finally:
        subprocess.run(["umount", directory], check=False, stderr=subprocess.DEVNULL)
    assert numbers[0] == numbers[1]


def test_remade_file_is_new(seen, known):
    """Deleted and made again: the same name, often the same inode number."""
    known.unlink()
    known.write_text("again")
    assert seen(known) == 1


def test_deleted_file_opened_through_a_descriptor_is_new(sensor, load, known):
    """A known file that lost its last name."""
    script = 'exec 3<"$1"; rm "$1"; "$2" file 0 /proc/self/fd/3; "$2" file 0 /proc/self/fd/3'
    subprocess.run(["sh", "-c", script, "sh", known, load], check=True)
    exe = sensor.of(Exec, lambda e: e.path == str(load))[-1].exe
    assert len(sensor.of(Open, lambda e: e.path.startswith(str(known)) and e.exe == exe)) == 2


@pytest.mark.parametrize("how", ["written over", "replaced"])
def test_a_changed_program_starts_unknown(sensor, load, known, tmp_path, how):
    """What the program did before its file changed, the new one has not done: in place, or by rename."""
    program = tmp_path / "program"
    shutil.copy(load, program)
    command = [program, "file", "0", known]
    for _ in range(2):
        subprocess.run(command, check=True)
    first = sensor.of(Open, lambda e: e.path == str(known) and e.exe.ino == program.stat().st_ino)
    assert len(first) == 1
    content = load.read_bytes() + b"changed"
    if how == "replaced":
        (tmp_path / "new").write_bytes(content)
        (tmp_path / "new").chmod(0o755)
        (tmp_path / "new").rename(program)
    else:
        with program.open("r+b") as f:
            f.write(content)
    for _ in range(2):
        subprocess.run(command, check=True)
    changed = sensor.of(Exec, lambda e: e.path == str(program))[-1].exe
    assert len(sensor.of(Open, lambda e: e.path == str(known) and e.exe == changed)) == 1
    assert len({e.exe for e in sensor.of(Exec, lambda e: e.path == str(program))}) == 2


def test_another_mount_namespace_makes_no_new_names(sensor, load, known):
    """The same path in a copy of the mount namespace is the same name: `ip netns exec` is no flood of novelty."""
    before = len(sensor.of(Open, lambda e: e.path == str(known)))
    subprocess.run(["unshare", "-m", load, "file", "0", known], check=True)
    assert len(sensor.of(Open, lambda e: e.path == str(known))) == before


SCRIPT = """
cat /tmp/known; cat /tmp/known
cp /tmp/known /tmp/fresh; /bin/busybox mv /tmp/fresh /tmp/known; cat /tmp/known; cat /tmp/known
/bin/busybox ln /tmp/known /tmp/link; cat /tmp/link; cat /tmp/link; cat /tmp/known
/bin/busybox mv /tmp/link /tmp/moved; cat /tmp/moved; cat /tmp/moved
/bin/busybox rm /tmp/moved /tmp/known; echo again > /tmp/known; cat /tmp/known; cat /tmp/known
"""


@pytest.mark.container
def test_nothing_slips_past_in_a_container(sensor, container):
    """Rename over, hard link, rename, delete and remake, on overlayfs: each read under its name once."""
    (container.image / "tmp/known").write_text("of the image")
    container.run("/bin/sh", "-c", SCRIPT)
    mine = sensor.of(Open, lambda e: e.head.task.cgroup_id == container.cgroup_id and not e.file_flags & 0xC0)
    counts = {name: sum(e.path == f"/tmp/{name}" for e in mine) for name in ("known", "link", "moved")}
    # known: of the image, renamed over, remade
    assert counts == {"known": 3, "link": 1, "moved": 1}
