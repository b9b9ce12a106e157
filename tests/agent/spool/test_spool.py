"""The spool: gap-free, chained, safe against crashes, bounded, and honest about what it refuses."""

import hashlib
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import SpoolCorruptError, SpoolError
from agent.spool import Frame, Priority, Spool
from agent.spool.frame import HEADER_BYTES, frames_in, salvage, unpack_header

MIN = 256 << 10


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", MIN, sync_interval_s=0.001)
    yield spool
    spool.close()


def fill(spool: Spool, count: int, size: int = 100) -> list[bytes]:
    payloads = [bytes([i % 251]) * size + str(i).encode() for i in range(count)]
    for payload in payloads:
        assert spool.append(payload, priority=Priority.FINDING) is not None
    return payloads


def read_all(spool: Spool, after: int = 0) -> list[Frame]:
    frames: list[Frame] = []
    newest = spool.newest_seq
    while after < newest:
        assert spool.wait(after, 10)
        frames += spool.read(after, 64)
        after = frames[-1].seq
    return frames


def test_numbers_run_from_one_without_gaps_and_the_chain_covers_every_record(spool: Spool) -> None:
    payloads = fill(spool, 500)
    frames = read_all(spool)
    assert [f.seq for f in frames] == list(range(1, 501))
    assert [f.payload for f in frames] == payloads
    chain = bytes(32)
    for frame in frames:
        chain = hashlib.sha256(chain + frame.seq.to_bytes(8, "big") + frame.payload).digest()
        assert frame.chain == chain


def test_a_new_run_goes_on_with_the_same_stream(tmp_path: Path) -> None:
    first = Spool(tmp_path, MIN)
    payloads = fill(first, 700)
    first.close()
    second = Spool(tmp_path, MIN)
    assert second.stream_id == first_stream(tmp_path)
    assert not second.status().fresh
    assert second.append(b"more", priority=Priority.FINDING) == 701
    assert [f.payload for f in read_all(second)] == [*payloads, b"more"]
    second.close()


def first_stream(directory: Path) -> str:
    header = unpack_header(min(directory.glob("segment-*.log")).read_bytes())
    assert header is not None
    return header.stream_id


def test_a_wiped_directory_begins_a_new_stream(tmp_path: Path) -> None:
    one = Spool(tmp_path / "s", MIN)
    stream = one.stream_id
    assert one.status().fresh
    one.close()
    shutil.rmtree(tmp_path / "s")
    two = Spool(tmp_path / "s", MIN)
    assert two.stream_id != stream
    two.close()


def test_acknowledged_segments_are_deleted_and_numbers_go_on(spool: Spool, tmp_path: Path) -> None:
    fill(spool, 1000)
    assert len(list((tmp_path / "spool").glob("segment-*"))) > 2
    spool.ack(1000)
    assert len(list((tmp_path / "spool").glob("segment-*"))) == 1
    assert (spool.oldest_seq, spool.newest_seq) == (0, 1000)
    assert spool.append(b"next", priority=Priority.FINDING) == 1001
    assert [f.seq for f in read_all(spool, 1000)] == [1001]


def test_reading_may_start_anywhere(spool: Spool) -> None:
    fill(spool, 900)
    assert spool.wait(899, 10)
    rng = random.Random(7)
    for after in (rng.randrange(900) for _ in range(60)):
        assert spool.read(after, 1)[0].seq == after + 1
    spool.ack(600)
    assert spool.read(0, 1)[0].seq == spool.oldest_seq > 1
    assert spool.read(900, 5) == []


@pytest.mark.parametrize("cut", [1, 20, 60, 147])
def test_a_torn_tail_is_cut_and_counted(tmp_path: Path, cut: int) -> None:
    spool = Spool(tmp_path, MIN)
    payloads = fill(spool, 10)
    spool.close()
    path = max(tmp_path.glob("segment-*"))
    os.truncate(path, path.stat().st_size - cut)
    again = Spool(tmp_path, MIN)
    assert [f.payload for f in read_all(again)] == payloads[:9]
    assert again.status().torn_bytes == 48 + 101 - cut
    assert again.append(b"x", priority=Priority.FINDING) == 10
    again.close()


def test_a_segment_whose_header_was_never_finished_is_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIN)
    fill(spool, 3)
    spool.close()
    (tmp_path / "segment-00000000000000000004.log").write_bytes(b"VSPO")
    again = Spool(tmp_path, MIN)
    assert (again.newest_seq, again.status().torn_bytes, again.status().fresh) == (3, 4, False)
    again.close()


def test_a_damaged_middle_is_detected_and_the_sound_records_move_to_a_new_stream(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIN)
    payloads = fill(spool, 600)
    stream = spool.stream_id
    spool.close()
    path = min(tmp_path.glob("segment-*"))
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 5 * 149 + 60] ^= 1  # inside the sixth payload (one digit: 48 + 101 bytes a frame)
    path.write_bytes(data)
    again = Spool(tmp_path, MIN)
    assert again.stream_id != stream
    assert [f.payload for f in read_all(again)] == payloads[:5] + payloads[6:]
    assert again.status().corruptions == 1
    assert not list(tmp_path.glob("old-*"))
    again.close()


def test_damage_while_running_is_detected_on_reading_and_recover_saves_the_rest(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIN, sync_interval_s=0.001)
    payloads = fill(spool, 10)
    assert spool.wait(9, 10)
    path = max(tmp_path.glob("segment-*"))
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + 2 * 149 + 70)
        file.write(b"\xff")
    assert [f.payload for f in spool.read(0, 10)] == payloads[:2]
    with pytest.raises(SpoolCorruptError, match="record 3 is damaged"):
        spool.read(2, 10)
    spool.recover()
    assert [f.payload for f in read_all(spool)] == payloads[:2] + payloads[3:]
    assert [f.seq for f in read_all(spool)] == list(range(1, 10))
    spool.close()


def test_at_the_cap_low_findings_go_first_then_findings_and_ledgers_last(spool: Spool) -> None:
    accepted = dict.fromkeys(Priority, 0)
    for priority in Priority:
        while spool.append(b"x" * 1000, priority=priority) is not None:
            accepted[priority] += 1
    assert all(accepted.values())
    status = spool.status()
    assert status.refused == {"spool_cap_low": 1, "spool_cap_finding": 1, "spool_cap_ledger": 1}
    assert status.size_bytes <= MIN
    assert spool.newest_seq == sum(accepted.values())
    spool.ack(spool.newest_seq)
    assert spool.append(b"room again", priority=Priority.LOW) == sum(accepted.values()) + 1


def test_a_record_too_large_for_the_wire_is_refused(spool: Spool) -> None:
    assert spool.append(bytes((1 << 20) + 1), priority=Priority.LEDGER) is None
    assert spool.status().refused == {"spool_too_large": 1}
    assert spool.append(bytes(1000), priority=Priority.LEDGER) == 1


def test_only_one_agent_may_use_a_directory(tmp_path: Path, spool: Spool) -> None:
    with pytest.raises(SpoolError, match="another agent uses it"):
        Spool(tmp_path / "spool", MIN)


def test_one_thread_appends_while_another_reads_and_acknowledges(spool: Spool) -> None:
    seen: list[int] = []

    def reader() -> None:
        while len(seen) < 3000 and spool.wait(len(seen), 20):
            seen.extend(frame.seq for frame in spool.read(len(seen), 50))
            spool.ack(len(seen))

    thread = threading.Thread(target=reader)
    thread.start()
    appended = 0
    while appended < 3000:
        appended += spool.append(b"y" * 200, priority=Priority.LEDGER) is not None
    thread.join(30)
    assert seen == list(range(1, 3001))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mount], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("cannot mount a small tmpfs here (needs root)")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_full_disk_is_counted_and_leaves_no_gap(small_disk: Path) -> None:
    spool = Spool(small_disk, MIN, sync_interval_s=0.001)
    results = [spool.append(b"z" * 1000, priority=Priority.FINDING) for _ in range(100)]
    accepted = [seq for seq in results if seq is not None]
    assert accepted == list(range(1, len(accepted) + 1))
    assert spool.status().refused == {"spool_disk_full": 100 - len(accepted)}
    assert [f.seq for f in read_all(spool)] == accepted
    spool.ack(len(accepted))
    assert spool.append(b"z" * 1000, priority=Priority.FINDING) == len(accepted) + 1
    spool.close()


def test_ten_thousand_mutations_of_a_segment_never_crash_the_decoder(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MIN)
    fill(spool, 20, size=30)
    spool.close()
    good = min(tmp_path.glob("segment-*")).read_bytes()
    sound = {frame for _, frame in frames_in(good)}
    rng = random.Random(2)
    for _ in range(10_000):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        bad = bytes(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)
        unpack_header(bad)
        assert {frame for _, frame in frames_in(bad)} <= sound
    for _ in range(100):
        data = bytearray(good)
        data[rng.randrange(HEADER_BYTES, len(data))] ^= 0x55
        assert len(list(salvage(bytes(data)))) >= 19
