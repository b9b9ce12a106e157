"""Records of changes of the file tree: every op, every way of giving a path, and damaged records."""

import random

import pytest

from agent.decode import layout
from agent.decode.decode import Decoder
from agent.decode.paths import given_path
from agent.events import FileId, PathChange, PathOp

EXE, FILE, NO_FILE = (7, 266338304, 3), (8, 266338304, 4), (0, 0, 0)
MUTATIONS = 3_000


def change(make, op, path=b"f\0tmp\0", target=b"", text=b"", args=(0, 0), file=NO_FILE, flags=layout.EV_F_USER_PATH):
    """The bytes of one record."""
    body = (*EXE, *file, *args, int(op), 0, len(path), len(target), len(text), 0)
    return make.record(layout.EV_PATH, layout.EV_PATH_FORMAT, body, path + target + text, flags)


def decoded(make, *records: bytes) -> list[PathChange]:
    """The events of records that are all sound."""
    decoder = Decoder()
    events = list(decoder.decode(make.batch(*records)))
    assert decoder.rejected == {}
    return events


def test_every_field(make):
    """Paths resolved by the kernel, identities, arguments and text."""
    record = change(make, PathOp.SETXATTR, b"f\0tmp\0", text=b"user.x", args=(1, 2), file=FILE, flags=0)
    [event] = decoded(make, record)
    assert event[1:] == (FileId(*EXE), FileId(*FILE), PathOp.SETXATTR, 0, (1, 2), "/tmp/f", "", "user.x")


def test_targets_are_paths_where_there_are_two(make):
    """Only rename, link, pivot_root and bind mounts have a second path; a mount's source is text."""
    two = [decoded(make, change(make, op, target=b"../g\0tmp\0"))[0] for op in (PathOp.RENAME, PathOp.LINK)]
    assert [event.target for event in two] == ["/g", "/g"]
    plain, bound = decoded(
        make,
        change(make, PathOp.MOUNT, target=b"/dev/sda1", text=b"ext4"),
        change(make, PathOp.MOUNT, target=b"etc\0", args=(0x1000, 0)),
    )
    assert (plain.target, plain.text, bound.target) == ("/dev/sda1", "ext4", "/etc")
    assert decoded(make, change(make, PathOp.UNLINK))[0].target == ""


def test_a_path_that_could_not_be_read_is_empty_not_the_root(make):
    """ "/" is claimed only where the kernel walked to it."""
    flags = layout.EV_F_USER_PATH | layout.EV_F_READ_FAILED
    assert decoded(make, change(make, PathOp.UNLINK, b"", flags=flags))[0].path == ""


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"/etc/passwd\0", "/etc/passwd"),
        (b"a\0b\0c\0", "/c/b/a"),
        (b"../x\0b\0a\0", "/a/x"),
        (b"./a//b/../c/\0d\0", "/d/a/c"),
        (b"../../../..\0d\0", "/"),
        (b".\0", "/"),
        (b"", "/"),
        (b".hidden\0d\0", "/d/.hidden"),
        (b"../../../x\0leaf\0dir\0\0", "…/x"),
        (b"\xff\n\0", "/\ufffd\n"),
    ],
)
def test_given_paths(raw, shown):
    """The caller's string on top of where it starts; dots are resolved by name and never lead above the root."""
    assert given_path(raw) == shown


def test_an_unknown_op_is_rejected(make):
    """What the contract does not name is counted as such."""
    decoder = Decoder()
    assert list(decoder.decode(make.batch(change(make, 99)))) == []
    assert decoder.rejected == {"op": 1}


def test_damaged_records_are_events_or_counted(make):
    """Whatever the bytes, nothing is raised and nothing is lost between accepted and rejected."""
    rng, decoder = random.Random(3), Decoder()
    whole = change(make, PathOp.RENAME, target=b"g\0tmp\0", text=b"x")
    for _ in range(MUTATIONS):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        for event in decoder.decode(make.batch(bytes(data))):
            repr(event).encode()
    assert decoder.accepted + sum(decoder.rejected.values()) == MUTATIONS
