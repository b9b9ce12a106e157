"""Records of calls to events: every field, and every way a record can be wrong."""

import random

import pytest

from agent.decode import layout
from agent.decode.decode import Decoder
from agent.events import CallKind, FileId

MUTATIONS = 5_000


def attempt(make, kind: int = 7, text: bytes = b"", pad: bytes = bytes(6)) -> bytes:
    """The bytes of a refused attempt to attach to process 55."""
    body = (7, 266338304, 3, 16, 0, 0, 2**63, -1, 10**11, 4343, 55, kind, len(text), pad)
    return make.record(layout.EV_CALL, layout.EV_CALL_FORMAT, body, text)


def test_every_field(make):
    """Arguments are unsigned, the result is signed."""
    [call] = Decoder().decode(make.batch(attempt(make, text=b"a\xffb")))
    assert call[1:] == (
        FileId(7, 266338304, 3),
        CallKind.PTRACE,
        (16, 0, 0, 2**63),
        -1,
        55,
        10**11,
        4343,
        "a\ufffdb",
    )


def test_every_kind_of_the_contract(make):
    """All of enum ev_call_kind, and nothing beside it."""
    decoder = Decoder()
    calls = list(decoder.decode(make.batch(*(attempt(make, kind) for kind in range(24)))))
    assert [call.call for call in calls] == list(CallKind)
    assert decoder.rejected == {"call": 2}


@pytest.mark.parametrize(
    ("cause", "damage"),
    [("padding", {"pad": b"\1" + bytes(5)}), ("call", {"kind": 23})],
)
def test_broken_records_are_counted_by_cause(make, cause, damage):
    """What breaks the contract is no event."""
    decoder = Decoder()
    assert list(decoder.decode(make.batch(attempt(make, **damage)))) == []
    assert decoder.rejected == {cause: 1}


def test_a_text_longer_than_the_record(make):
    """Its length must add up."""
    decoder, raw = Decoder(), bytearray(attempt(make, text=b"abc"))
    raw[184] = 200
    assert list(decoder.decode(make.batch(bytes(raw)))) == []
    assert decoder.rejected == {"length": 1}


def test_damaged_records_are_accepted_or_counted(make):
    """Any byte may be anything: never an exception, never a record lost from the count."""
    chance = random.Random(3)
    for _ in range(MUTATIONS):
        decoder, raw = Decoder(), bytearray(attempt(make, text=b"text"))
        raw[chance.randrange(len(raw))] = chance.randrange(256)
        list(decoder.decode(make.batch(bytes(raw))))
        assert decoder.accepted + sum(decoder.rejected.values()) == 1
