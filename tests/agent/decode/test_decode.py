"""Bytes to events: every field, every way a record can be wrong, and a flood of damaged records."""

import random
from ipaddress import IPv4Address, IPv6Address
from struct import pack_into

import pytest

from agent.decode import layout
from agent.decode.decode import Decoder
from agent.decode.strings import Memo, arguments, path
from agent.events import (
    Call,
    Cgroup,
    Chmod,
    Connection,
    Dns,
    EventType,
    Exec,
    Exit,
    FileId,
    Fork,
    Open,
    PathChange,
    RawBatch,
    Socket,
    Task,
    Throttle,
)

MUTATIONS = 10_000


def test_every_type_becomes_its_event(make):
    """One record of each type is one event of each class, in order."""
    decoder = Decoder()
    events = list(decoder.decode(make.batch(*make.all())))
    kinds = [Fork, Exec, Exit, Open, Connection, Connection, Chmod, Cgroup, Cgroup]
    kinds += [Call, PathChange, Socket, Dns, Throttle]
    assert [type(event) for event in events] == kinds
    assert [event.head.type for event in events] == list(EventType)
    assert (decoder.accepted, decoder.rejected) == (14, {})


def test_head(make):
    """Times become Unix time; the task's fields keep their order; the name ends at its NUL."""
    [event] = Decoder().decode(make.batch(make.all()[0], shift=1_000_000))
    assert event.head.time_ns == 1_005_000
    assert event.head.task == Task(
        10**12, 9 * 10**11, 4242, 100, 101, 99, 7, 1000, 1001, 0, 1002, 11, 12, 13, 34816, "sh"
    )


def test_exec(make):
    """Strings of the tail, in the order path, argv, cwd, filename."""
    [event] = Decoder().decode(make.batch(make.exec()))
    assert event[1:] == (
        FileId(7, 266338304, 3),
        layout.FILE_F_OVERLAY,
        1,
        2,
        "/bin/sh",
        ("sh", "-c", "id"),
        9,
        "/tmp",
        "/bin/sh",
    )


def test_open_and_chmod(make):
    """The opened file's own path; the path chmod was called with."""
    opened, changed = Decoder().decode(make.batch(make.open(), make.all()[6]))
    assert opened[1:] == (
        FileId(7, 266338304, 3),
        FileId(8, 266338304, 4),
        layout.FILE_F_WRITE,
        1,
        0o100644,
        0xEF53,
        "/etc/passwd",
        77,
    )
    assert (changed.mode, changed.path) == (0o4755, "./suid")


def test_connections(make):
    """Addresses of both families."""
    four, six = Decoder().decode(make.batch(*make.all()[4:6]))
    assert (four.peer, four.peer_port, four.head.type) == (IPv4Address("10.0.0.9"), 443, EventType.CONNECT)
    assert (six.peer, six.local, six.head.type) == (IPv6Address("::1"), IPv6Address("::"), EventType.ACCEPT)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", "/"),
        (b"sh\0bin\0", "/bin/sh"),
        (b"leaf\0dir\0\0", "…/dir/leaf"),
        (b"\xff\xfe\0", "/\ufffd\ufffd"),
        (b"memfd:x\0", "/memfd:x"),
    ],
)
def test_path(raw, shown):
    """Components from the leaf up; an empty last one says that the root was cut off."""
    assert path(raw) == shown


def test_an_empty_path_after_a_failed_read_is_unknown_not_the_root(make):
    """ "/" is claimed only where the kernel walked to it."""
    failed, root = Decoder().decode(make.batch(make.open(b"", flags=layout.EV_F_READ_FAILED), make.open(b"")))
    assert (failed.path, root.path) == ("", "/")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [(b"", ()), (b"a\0", ("a",)), (b"a\0\0b\0", ("a", "", "b")), (b"a\0cut", ("a", "cut")), (b"\0", ("",))],
)
def test_arguments(raw, shown):
    """Empty arguments stay; a last one that was cut stays as far as it goes."""
    assert arguments(raw) == shown


def test_hostile_strings_print_and_encode(make):
    """Whatever bytes a process passes, the result is text that encodes again."""
    [event] = Decoder().decode(make.batch(make.exec(argv=bytes(range(1, 256)) + b"\0")))
    assert len(event.argv) == 1
    event.argv[0].encode()


@pytest.mark.parametrize(
    ("offset", "form", "value", "cause"),
    [
        (0, "=H", 99, "type"),
        (0, "=H", layout.EV_EXIT, "length"),
        (4, "=I", 3, "unreachable"),
        (4, "=I", 1 << 30, "unreachable"),
        (layout.EV_OPEN_OFFSETS["path_len"], "=H", 5, "length"),
        (layout.EV_OPEN_OFFSETS["pad"], "=H", 1, "padding"),
        (layout.EV_OPEN_SIZE + 10, "=B", 65, "path"),
    ],
)
def test_each_fault_is_counted_by_its_cause(make, offset, form, value, cause):
    """A damaged record is rejected for what is wrong with it, and handed on as evidence."""
    kept = []
    decoder = Decoder(lambda *item: kept.append(item))
    damaged = bytearray(make.open())
    pack_into(form, damaged, offset, value)
    assert list(decoder.decode(make.batch(bytes(damaged)))) == []
    assert decoder.rejected == {cause: 1}
    assert kept == [(cause, bytes(damaged))]


def test_address_family(make):
    """Only the two families the contract knows."""
    decoder = Decoder()
    assert list(decoder.decode(make.batch(make.conn(family=1)))) == []
    assert decoder.rejected == {"family": 1}


def test_a_bad_record_does_not_take_its_neighbours(make):
    """With a sane size the next record is found; without one the rest is given up, and counted."""
    good, wrong = make.all()[0], bytearray(make.all()[0])
    pack_into("=H", wrong, 0, 77)
    decoder = Decoder()
    assert len(list(decoder.decode(make.batch(good, bytes(wrong), good)))) == 2
    pack_into("=I", wrong, 4, 0)
    assert len(list(decoder.decode(make.batch(good, bytes(wrong), good, good)))) == 1
    assert decoder.rejected == {"type": 1, "unreachable": 3}


def test_evidence_is_bounded(make):
    """A dead letter is never longer than the longest honest record."""
    kept = []
    list(Decoder(lambda _, data: kept.append(len(data))).decode(RawBatch(b"\xff" * 100_000, 400, 0)))
    assert kept == [8192]


def _mutate(rng: random.Random, original: bytes) -> bytes:
    """Flip, overwrite, cut, extend or splice."""
    data = bytearray(original)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at : at + 4] = rng.randbytes(4)
            case 2:
                del data[max(at, 1) :]
            case 3:
                data += rng.randbytes(rng.randint(1, 64))
            case 4:
                data[rng.randrange(min(8, len(data)))] = rng.choice((0, 1, 255, rng.randrange(256)))
    return bytes(data)


@pytest.mark.parametrize("per_batch", [1, 50])
def test_damaged_records_never_crash_and_are_all_accounted_for(make, per_batch):
    """10,000 mutated records: each becomes an event or a counted rejection, none both, none neither."""
    rng, dead = random.Random(per_batch), []
    decoder = Decoder(lambda cause, data: dead.append((cause, len(data))))
    originals = make.all()
    for _ in range(MUTATIONS // per_batch):
        records = [_mutate(rng, rng.choice(originals)) for _ in range(per_batch)]
        for event in decoder.decode(make.batch(*records)):
            repr(event).encode()
    assert decoder.accepted + sum(decoder.rejected.values()) == MUTATIONS
    assert sum(decoder.rejected.values()) > MUTATIONS // 4
    assert set(decoder.rejected) <= {
        *("type", "length", "padding", "path", "family", "unreachable", "call", "op", "dns", "class"),
    }
    assert all(size <= 8192 for _, size in dead)


def test_memory_of_strings_is_bounded():
    """The cache forgets rather than grow, and never keeps long strings."""
    memo = Memo(bytes.hex)
    for i in range(20_000):
        assert memo[i.to_bytes(4)] == i.to_bytes(4).hex()
    assert memo[b"x" * 1000] == "78" * 1000
    assert len(memo) <= 8192
    assert b"x" * 1000 not in memo
