"""Length, owner, extended attributes and mounts, changed in a real container on overlayfs."""

from pathlib import Path

import pytest

from agent.decode import layout
from agent.events import FileId, Open, PathChange, PathOp

pytestmark = [pytest.mark.bpf, pytest.mark.container]

HERE = -100  # AT_FDCWD
O_TRUNC, O_WRONLY, O_CREAT = 0o1000, 0o1, 0o100
MS_BIND, MS_REMOUNT, MS_RDONLY = 0x1000, 0x20, 0x1


def told(event: PathChange) -> tuple[object, ...]:
    """What a change says of itself."""
    return event.op, event.path, event.target, event.text, event.args


def file_id(path: Path) -> tuple[int, int]:
    """Inode and device as stat gives them, in the kernel's encoding."""
    stat = path.stat()
    return stat.st_ino, (stat.st_dev >> 8 & 0xFFF) << 20 | stat.st_dev & 0xFF


def test_truncation_by_name_and_by_descriptor(change):
    """The name the caller gave, or the file the kernel knows; the length is told and is no part of the behaviour."""
    made = change(
        *("ftruncate", "+/tmp/f", 4096, "--", "ftruncate", "+/tmp/f", 100, "--"),
        *("chdir", "=/tmp", "--", "truncate", "=f", 7, "--", "truncate", "=f", 0),
    )
    assert [told(e) for e in made] == [
        (PathOp.TRUNCATE, "/tmp/f", "", "", (4096, 0)),
        (PathOp.TRUNCATE, "/tmp/f", "", "", (7, 0)),
    ]
    by_file, by_name = made
    assert by_file.head.flags == 0
    assert (by_file.file.ino, by_file.file.dev) == file_id(change.container.root / "tmp/f")
    assert by_file.file_flags == layout.FILE_F_OVERLAY | layout.FILE_F_UPPER_LAYER
    assert (by_name.file, by_name.head.flags) == (FileId(0, 0, 0), layout.EV_F_USER_PATH)


def test_owners(change):
    """Owners are part of the behaviour; -1 stays what it is."""
    made = change(
        *("ftruncate", "+/tmp/f", 0, "--", "chown", "=/tmp/f", 5, 6, "--", "chown", "=/tmp/f", 7, 6, "--"),
        *("lchown", "=/tmp/f", -1, 8, "--", "fchownat", "@/tmp", "=f", 9, 9, 0, "--", "fchown", "+/tmp/f", 0, 0),
        capabilities=("CAP_CHOWN", "CAP_DAC_OVERRIDE"),
    )
    assert [told(e) for e in made[1:]] == [
        (PathOp.CHOWN, "/tmp/f", "", "", (5, 6)),
        (PathOp.CHOWN, "/tmp/f", "", "", (7, 6)),
        (PathOp.CHOWN, "/tmp/f", "", "", (0xFFFFFFFF, 8)),
        (PathOp.CHOWN, "/tmp/f", "", "", (9, 9)),
        (PathOp.CHOWN, "/tmp/f", "", "", (0, 0)),
    ]


def test_a_descriptor_names_its_file_when_renamed_and_when_deleted(change):
    """The path is the one the file has at that moment, or had last."""
    made = change(
        *("ftruncate", "+/tmp/f", 1, "--", "rename", "=/tmp/f", "=/tmp/g", "--", "fchown", 3, 0, 0, "--"),
        *("unlink", "=/tmp/g", "--", "fsetxattr", 3, "=trusted.x", "=y", 1, 0),
        capabilities=("CAP_SYS_ADMIN",),
    )
    by_file = [e for e in made if e.op in (PathOp.TRUNCATE, PathOp.CHOWN, PathOp.SETXATTR)]
    assert [e.path for e in by_file] == ["/tmp/f", "/tmp/g", "/tmp/g"]
    assert len({e.file for e in by_file}) == 1
    assert [e.file_flags & layout.FILE_F_UNLINKED for e in by_file] == [0, 0, layout.FILE_F_UNLINKED]


def test_attributes_and_their_names(change):
    """Names of attributes; those of security.* each time, others once."""
    made = change(
        *("ftruncate", "+/tmp/f", 0, "--"),
        *(
            "setxattr",
            "=/tmp/f",
            "=trusted.one",
            "=x",
            1,
            0,
            "--",
            "setxattr",
            "=/tmp/f",
            "=trusted.one",
            "=y",
            1,
            0,
            "--",
        ),
        *("fsetxattr", "+/tmp/f", r"=trusted.\1b[2J", "=x", 1, 0, "--"),
        *("lsetxattr", "=/tmp/f", "=security.a", "=x", 1, 0, "--"),
        *("lsetxattr", "=/tmp/f", "=security.a", "=x", 1, 0),
        capabilities=("CAP_SYS_ADMIN",),
    )
    assert [told(e) for e in made[1:]] == [
        (PathOp.SETXATTR, "/tmp/f", "", "trusted.one", (0, 0)),
        (PathOp.SETXATTR, "/tmp/f", "", "trusted.\x1b[2J", (0, 0)),
        (PathOp.SETXATTR, "/tmp/f", "", "security.a", (0, 0)),
        (PathOp.SETXATTR, "/tmp/f", "", "security.a", (0, 0)),
    ]


def test_mounts(change):
    """tmpfs by its type, a bind mount by where it came from, remounting by its flags; each time."""
    made = change(
        *("mkdir", "=/tmp/m", "0700", "--", "mount", "=none", "=/tmp/m", "=tmpfs", 0, 0, "--", "chdir", "=/tmp", "--"),
        *("mount", "=../etc", "=m", "0", MS_BIND, 0, "--"),
        *("mount", "0", "=m", "0", MS_BIND | MS_REMOUNT | MS_RDONLY, 0, "--"),
        *("umount2", "=/tmp/m", 2, "--", "umount2", "=/tmp/m", 0, "--", "umount2", "=/tmp/m", 0),
        capabilities=("CAP_SYS_ADMIN",),
        works=False,
    )
    assert [told(e) for e in made[1:]] == [
        (PathOp.MOUNT, "/tmp/m", "none", "tmpfs", (0, 0)),
        (PathOp.MOUNT, "/tmp/m", "/etc", "", (MS_BIND, 0)),
        (PathOp.MOUNT, "/tmp/m", "", "", (MS_BIND | MS_REMOUNT | MS_RDONLY, 0)),
        (PathOp.UMOUNT, "/tmp/m", "", "", (2, 0)),
        (PathOp.UMOUNT, "/tmp/m", "", "", (0, 0)),
    ]


def test_the_other_way_to_mount(change):
    """fsopen, fsmount, move_mount: type and source are those of the mount itself."""
    made = change(
        *(
            "mkdir",
            "=/tmp/m",
            "0700",
            "--",
            "fsopen",
            "=tmpfs",
            0,
            "--",
            "fsconfig",
            "?",
            1,
            "=source",
            "=evil",
            0,
            "--",
        ),
        *("fsconfig", "??", 6, 0, 0, 0, "--", "fsmount", "???", 0, 0, "--"),
        *("move_mount", "?", "=", HERE, "=/tmp/m", 4),
        capabilities=("CAP_SYS_ADMIN",),
    )
    assert [told(e) for e in made[1:]] == [(PathOp.MOUNT, "/tmp/m", "evil", "tmpfs", (0, 0))]


def test_pivot_root_of_a_container(sensor, container):
    """A container runtime's own start shows as a change of root, after the mounts it made."""
    container.runc("delete", "--force", container.name)
    sensor.drain()
    container.start()
    inside = sensor.of(PathChange, lambda e: e.op in (PathOp.PIVOT_ROOT, PathOp.MOUNT))
    assert [e.op for e in inside].count(PathOp.PIVOT_ROOT) >= 1
    assert any(told(e)[1:4] == ("/proc", "proc", "proc") or e.text == "proc" for e in inside)


def test_an_open_that_truncates_is_its_own_behaviour(sensor, run, tmp_path):
    """O_TRUNC stands in open_flags, and writing after truncating is known only where that was."""
    target = tmp_path / "log"
    target.write_text("x")
    for flags in (O_WRONLY, O_WRONLY | O_TRUNC, O_WRONLY, O_WRONLY | O_TRUNC):
        run("file", flags, target)
    plain, cut = sensor.of(Open, lambda e: e.path == str(target))
    assert (plain.open_flags & O_TRUNC, cut.open_flags & O_TRUNC) == (0, O_TRUNC)
