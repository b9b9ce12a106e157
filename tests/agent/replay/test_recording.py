"""The file format: what was written is read, and nothing a file holds can do harm."""

import io
import random
import struct
import zlib
from pathlib import Path

import pytest

import rules
from agent.errors import AgentError
from agent.events import RawBatch
from agent.recording import (
    MAGIC,
    Fact,
    Kind,
    RecordingError,
    RecordingReader,
    RecordingWriter,
    State,
    Verb,
    batch_of,
    facts_of,
    pack_fact,
)
from agent.replay import Replay
from detection.rules import load_compiled

_HEAD = struct.Struct("<BB2xIII")


def _write(path: Path, *frames: tuple[Kind, bytes]) -> Path:
    out = io.BytesIO()
    writer = RecordingWriter(out)
    for kind, payload in frames:
        writer.write(kind, payload)
    assert writer.size == len(out.getvalue())
    path.write_bytes(out.getvalue())
    return path


def test_frames_are_read_as_they_were_written(tmp_path: Path) -> None:
    frames = [(Kind.ABOUT, b"{}"), (Kind.FACTS, b"x" * 100_000), (Kind.SEEDED, b""), (Kind.BATCH, bytes(range(256)))]
    path = _write(tmp_path / "a", *frames)
    reader = RecordingReader(path)
    assert [(f.kind, f.payload) for f in reader] == frames
    assert reader.problem == ""
    assert path.stat().st_size < 2_000, "repetition is deflated"


def test_batches_and_facts_come_back_equal(tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = RecordingWriter(out)
    batch = RawBatch(b"abc" * 100, 3, -5)
    writer.batch(42, batch)
    facts = [Fact(Verb.READ, "/proc/1/stat", State.SAID, b"x"), Fact(Verb.LINK, "/ä", State.ABSENT, b"")]
    writer.write(Kind.FACTS, *map(pack_fact, facts))
    (tmp_path / "a").write_bytes(out.getvalue())
    first, second = RecordingReader(tmp_path / "a")
    assert batch_of(first.payload) == (42, batch)
    assert list(facts_of(second.payload)) == facts


def test_a_file_cut_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    path = _write(tmp_path / "a", (Kind.ABOUT, b"{}"), (Kind.BATCH, bytes(200)), (Kind.END, b"{}"))
    whole = path.read_bytes()
    ends = [16]
    for frame in RecordingReader(path):
        size = min(len(frame.payload), len(zlib.compress(frame.payload, 1)) if len(frame.payload) >= 128 else 1 << 30)
        ends.append(ends[-1] + _HEAD.size + size)
    assert ends[-1] == len(whole)
    for cut in range(16, len(whole) + 1):
        path.write_bytes(whole[:cut])
        reader = RecordingReader(path)
        assert len(list(reader)) == sum(end <= cut for end in ends[1:])
        assert bool(reader.problem) is (cut not in ends)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = _write(tmp_path / "a", (Kind.ABOUT, b"{}" * 100), (Kind.END, b"{}"))
    whole = bytearray(path.read_bytes())
    good = [(f.kind, f.payload) for f in RecordingReader(path)]
    for at in range(16, len(whole)):
        whole[at] ^= 0x10
        path.write_bytes(whole)
        whole[at] ^= 0x10
        reader = RecordingReader(path)
        found = [(f.kind, f.payload) for f in reader]
        # Bytes 2 and 3 of a frame's head are padding and mean nothing.
        assert found == good[: len(found)]
        assert reader.problem or found == good


def test_a_small_frame_cannot_become_a_large_one(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(64 << 20))
    for claimed in (len(bomb), 1 << 20, 33 << 20, 0xFFFFFFFF):
        head = _HEAD.pack(Kind.FACTS, 1, len(bomb), claimed, 0)
        crc = zlib.crc32(bomb, zlib.crc32(head))
        path = _write(tmp_path / "a")
        path.write_bytes(path.read_bytes() + _HEAD.pack(Kind.FACTS, 1, len(bomb), claimed, crc) + bomb)
        reader = RecordingReader(path)
        assert list(reader) == []
        assert "is damaged" in reader.problem


@pytest.mark.parametrize("start", [b"", b"GIF89a", MAGIC, MAGIC + bytes(8), MAGIC + b"\1\0\xff\0" + bytes(4)])
def test_what_is_no_recording_of_this_version_is_refused_with_what_to_do(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a").write_bytes(start)
    with pytest.raises(RecordingError, match=r"vedette record|with the version that recorded it"):
        list(RecordingReader(tmp_path / "a"))


def test_two_thousand_mutated_recordings_end_in_findings_or_a_clear_error(recording: Path, tmp_path: Path) -> None:
    """Frames are taken apart, their payloads damaged and sealed again: the checksum does not protect what follows."""
    chance = random.Random(7)
    frames = [(f.kind, f.payload) for f in RecordingReader(recording)]
    ruleset = load_compiled(rules.runtime_rules())
    path = tmp_path / "m.rec"
    refused: list[str] = []
    for _ in range(2_000):
        mutated = [list(frame) for frame in frames]
        for _ in range(chance.randint(1, 4)):
            _mutate(mutated, chance)
        _write(path, *((kind, bytes(payload)) for kind, payload in mutated))
        try:
            for finding in Replay(path, ruleset).findings():
                finding.as_dict()
        except AgentError as error:
            refused.append(str(error))
    assert 0 < len(refused) < 2_000
    assert all("\n" not in text for text in refused)


def _mutate(frames: list[list[object]], chance: random.Random) -> None:
    at = chance.randrange(len(frames))
    kind, payload = frames[at]
    assert isinstance(payload, bytes)
    match chance.randrange(6):
        case 0 if payload:
            where = chance.randrange(len(payload))
            frames[at][1] = payload[:where] + bytes([chance.randrange(256)]) + payload[where + 1 :]
        case 1:
            frames[at][1] = payload[: chance.randint(0, len(payload))]
        case 2:
            where = chance.randint(0, len(payload))
            frames[at][1] = payload[:where] + chance.randbytes(chance.randint(1, 40)) + payload[where:]
        case 3:
            frames[at][0] = chance.choice(list(Kind))
        case 4:
            frames.insert(chance.randint(0, len(frames)), [kind, payload])
        case _:
            if len(frames) > 1:
                frames.pop(at)
