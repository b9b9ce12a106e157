"""Changes of the file tree by name, made in a real container on overlayfs: which file, of which directory."""

import os

import pytest

from agent.decode import layout
from agent.events import EventType, PathChange, PathOp
from agent.learn.links import kin_of, kin_of_key

pytestmark = [pytest.mark.bpf, pytest.mark.container]

HERE = -100  # AT_FDCWD


def told(event: PathChange) -> tuple[object, ...]:
    """What a change says of itself."""
    return event.op, event.path, event.target, event.text, event.args


def test_the_learner_knows_the_kin_of_a_changes_key(change, sensor):
    """The kernel's hash apart, the learner makes the key the kernel counts under."""
    [made] = change("mkdir", "=/tmp/kin", "0750")
    [removed] = change("rmdir", "=/tmp/kin")
    assert change("mkdir", "=/tmp/kin", "0750") == []
    counts = {kin_of_key(key): count for key, count in sensor.source.behaviours() if key.type == EventType.PATH}
    assert (counts[kin_of(made)], counts[kin_of(removed)]) == (2, 1)


def test_rename_link_symlink_and_removal(change):
    """The classic calls, by absolute path."""
    made = change(
        *("mkdir", "=/tmp/d", "0750", "--", "openat", "+/tmp/d/a", "="),
        works=False,
    )
    assert [told(e) for e in made] == [(PathOp.MKDIR, "/tmp/d", "", "", (0o750, 0))]
    made = change(
        *("rename", "=/tmp/d/a", "=/tmp/b", "--", "link", "=/tmp/b", "=/tmp/d/c", "--"),
        *("symlink", "=../etc/shadow", "=/tmp/s", "--", "unlink", "=/tmp/b", "--", "unlink", "=/tmp/d/c", "--"),
        *("rmdir", "=/tmp/d"),
    )
    assert [told(e) for e in made] == [
        (PathOp.RENAME, "/tmp/d/a", "/tmp/b", "", (0, 0)),
        (PathOp.LINK, "/tmp/b", "/tmp/d/c", "", (0, 0)),
        (PathOp.SYMLINK, "/tmp/s", "", "../etc/shadow", (0, 0)),
        (PathOp.UNLINK, "/tmp/b", "", "", (0, 0)),
        (PathOp.UNLINK, "/tmp/d/c", "", "", (0, 0)),
        (PathOp.RMDIR, "/tmp/d", "", "", (0, 0)),
    ]
    assert {e.head.flags for e in made} == {layout.EV_F_USER_PATH}


def test_paths_start_at_the_directory_they_are_relative_to(change):
    """Working directory, directory descriptors (O_PATH), and "..": all become absolute."""
    made = change(
        *("mkdirat", HERE, "=tmp/one", "0700", "--", "chdir", "=/tmp/one", "--", "mkdirat", HERE, "=two", "0700", "--"),
        *("mkdirat", "@/tmp/one/two", "=./three//", "0700", "--"),
        *("renameat2", "@/tmp/one/two", "=three", HERE, "=../moved", "1", "--"),
        *("symlinkat", "=x", "@/tmp", "=s", "--", "linkat", HERE, "=/tmp/s", "@/tmp/one", "=h", 0, "--"),
        *("unlinkat", "@/tmp/one", "=h", 0, "--", "unlinkat", HERE, "=/tmp/moved", "0x200"),
    )
    assert [told(e)[:4] for e in made] == [
        (PathOp.MKDIR, "/tmp/one", "", ""),
        (PathOp.MKDIR, "/tmp/one/two", "", ""),
        (PathOp.MKDIR, "/tmp/one/two/three", "", ""),
        (PathOp.RENAME, "/tmp/one/two/three", "/tmp/moved", ""),
        (PathOp.SYMLINK, "/tmp/s", "", "x"),
        (PathOp.LINK, "/tmp/s", "/tmp/one/h", ""),
        (PathOp.UNLINK, "/tmp/one/h", "", ""),
        (PathOp.RMDIR, "/tmp/moved", "", ""),
    ]
    assert made[3].args == (1, 0)  # RENAME_NOREPLACE


def test_a_changed_root_and_a_deleted_working_directory(change):
    """chroot does not hide where a path really starts; a working directory that is gone keeps its name."""
    made = change(
        *("mkdir", "=/tmp/gone", "0700", "--", "chdir", "=/tmp/gone", "--", "rmdir", "=/tmp/gone", "--"),
        *("chroot", "=/tmp", "--", "mkdir", "=/inside", "0700", "--", "mkdir", "=../x", "0700"),
        capabilities=("CAP_SYS_CHROOT",),
    )
    assert [told(e)[:2] for e in made] == [
        (PathOp.MKDIR, "/tmp/gone"),
        (PathOp.RMDIR, "/tmp/gone"),
        (PathOp.MKDIR, "/tmp/inside"),
        (PathOp.MKDIR, "/tmp/x"),
    ]


def test_rename_over_a_file_and_failures(change):
    """A rename onto a file that is there succeeds and is one record; calls that fail make none."""
    change("openat", "+/tmp/a", "=", "--", "openat", "+/tmp/b", "=", works=False)
    made = change(
        *("rename", "=/tmp/a", "=/tmp/b", "--", "rename", "=/tmp/a", "=/tmp/b", "--", "unlink", "=/tmp/absent", "--"),
        *("rmdir", "=/bin", "--", "mkdir", "=/bin", "0700"),
        works=False,
    )
    assert [told(e)[:3] for e in made] == [(PathOp.RENAME, "/tmp/a", "/tmp/b")]


def test_hostile_names_print_and_stay_apart(change):
    """Newlines, terminal escapes and bytes that are not UTF-8 arrive, and encode again."""
    [made] = change("mkdir", r"=/tmp/a\0ab\1b[31m\ff\c3", "0700")
    assert made.path == "/tmp/a\nb\x1b[31m\ufffd\ufffd"
    made.path.encode()


def test_a_long_path_keeps_its_directory_and_says_it_was_cut(change):
    """A string beyond the bound is cut at its end, and flagged."""
    [made] = change("mkdir", "=/tmp/" + "./" * 600 + "deep", "0700")
    assert made.path == "/tmp"
    assert made.head.flags == layout.EV_F_USER_PATH | layout.EV_F_TRUNCATED | layout.EV_F_UNFILTERED


def test_devices_made(change):
    """mknod carries type, permissions and the device in the kernel's encoding."""
    made = change(
        *("mknod", "=/tmp/null", "0x21b6", "0x103", "--", "mknodat", "@/tmp", "=pipe", "0x1180", 0),
        capabilities=("CAP_MKNOD",),
    )
    assert [told(e) for e in made] == [
        (PathOp.MKNOD, "/tmp/null", "", "", (0o020666, 1 << 20 | 3)),
        (PathOp.MKNOD, "/tmp/pipe", "", "", (0o010600, 0)),
    ]


def test_repeats_in_a_directory_are_one_behaviour(sensor, change):
    """Temporary files of changing names: one record for each directory and kind of change, the rest counted."""
    words = []
    for name in range(40):
        words += ["--", "mkdir", f"=/tmp/t{name}", "0700", "--", "rmdir", f"=/tmp/t{name}"]
    made = change("mkdir", "=/tmp/sub", "0700", *words, "--", "mkdir", "=/tmp/sub/t", "0700")
    assert [told(e)[:2] for e in made] == [
        (PathOp.MKDIR, "/tmp/sub"),
        (PathOp.RMDIR, "/tmp/t0"),
        (PathOp.MKDIR, "/tmp/sub/t"),
    ]
    assert sensor.lost() == {}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs the older calls")
def test_files_moved_between_directories_are_told_apart(change):
    """The target's directory is part of the behaviour: a file that leaves its directory is new."""
    change("openat", "+/tmp/a", "=", "--", "mkdir", "=/tmp/x", "0700", works=False)
    made = change(
        *("rename", "=/tmp/a", "=/tmp/b", "--", "rename", "=/tmp/b", "=/tmp/a", "--", "rename", "=/tmp/a", "=/tmp/x/a"),
    )
    assert [told(e)[1:3] for e in made] == [("/tmp/a", "/tmp/b"), ("/tmp/a", "/tmp/x/a")]


def test_what_tries_to_pass_for_a_known_directory_is_new(change):
    """Another directory by the same string, by a bind mount's name or with a longer one: never the known behaviour."""
    made = change(
        *("mkdir", "=/tmp/a", "0700", "--", "mkdir", "=/tmp/b", "0700", "--"),
        *("chdir", "=/tmp/a", "--", "mkdir", "=x", "0700", "--", "chdir", "=/tmp/b", "--", "mkdir", "=x", "0700", "--"),
        *("mkdirat", "@/tmp/a", "=y", "0700", "--", "mkdirat", "@/tmp/b", "=y", "0700", "--"),
        *("mkdir", "=/tmp/b/./y2", "0700", "--", "symlink", "=one", "=/tmp/l1", "--", "symlink", "=two", "=/tmp/l2"),
    )
    assert [told(e)[:2] for e in made] == [
        (PathOp.MKDIR, "/tmp/a"),
        (PathOp.MKDIR, "/tmp/a/x"),
        (PathOp.MKDIR, "/tmp/b/x"),
        (PathOp.MKDIR, "/tmp/b/y2"),
        (PathOp.SYMLINK, "/tmp/l1"),
        (PathOp.SYMLINK, "/tmp/l2"),
    ]
