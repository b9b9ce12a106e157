"""A followed log loses nothing: rotation, truncation, restarts, half-written lines."""

import asyncio
import gzip
import os

import orjson
import pytest

from collector.audit import FORMATS, AuditFile, Detector
from collector.audit.checkpoint import Checkpoint
from collector.audit.follow import LineFollower


def _all(follower):
    lines = []
    while (batch := follower.read()) is not None:
        lines += batch.lines
    return lines


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.log"


@pytest.fixture
def follower(log):
    follower = LineFollower(log)
    yield follower
    follower.close()


def _append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_an_absent_file_is_waited_for(log, follower):
    assert follower.read() is None
    log.write_bytes(b"a\n")
    assert _all(follower) == [b"a"]


def test_a_last_line_without_its_end_waits(log, follower):
    log.write_bytes(b"a\nhal")
    assert _all(follower) == [b"a"]
    _append(log, b"f\n")
    assert _all(follower) == [b"half"]


def test_after_rename_the_old_file_is_read_to_its_end_first(log, follower):
    log.write_bytes(b"a\n")
    assert _all(follower) == [b"a"]
    log.rename(log.with_name("audit.log.1"))
    _append(log.with_name("audit.log.1"), b"b\nlast")
    assert _all(follower) == [b"b"]
    log.write_bytes(b"c\n")
    assert _all(follower) == [b"last", b"c"]
    assert follower.counters() == {"rotated": 1}


@pytest.mark.parametrize("new", [b"x\n", b"a long first line, longer than everything that was there before\nx\n"])
def test_a_file_truncated_in_place_is_read_from_its_start(log, follower, new):
    log.write_bytes(b"aaaa\nbbbb\n")
    assert len(_all(follower)) == 2
    with log.open("r+b") as file:
        file.truncate(0)
        file.write(new)
    assert _all(follower) == new.splitlines()
    assert follower.counters() == {"truncated": 1}


def test_a_line_too_long_is_skipped_and_counted_and_the_next_is_read(log):
    follower = LineFollower(log, max_line=300_000)
    log.write_bytes(b"a\n" + b"x" * 2_000_000 + b"\nb\n" + b"y" * 299_999 + b"\n")
    assert [len(line) for line in _all(follower)] == [1, 1, 299_999]
    assert follower.counters() == {"line_too_long": 1}
    follower.close()


def test_a_restart_goes_on_after_the_saved_position(log):
    log.write_bytes(b"a\nb\nhalf")
    first = LineFollower(log)
    position = first.read().position
    first.close()
    _append(log, b"-done\nc\n")
    second = LineFollower(log, position)
    assert _all(second) == [b"half-done", b"c"]
    second.close()


def test_a_restart_after_two_rotations_reads_what_was_missed_in_order(log):
    log.write_bytes(b"a\nb\n")
    first = LineFollower(log)
    position = first.read().position
    first.close()
    _append(log, b"c\n")
    for age, (name, data) in enumerate([("audit.log.2", None), ("audit-2026-11-21T12-00-00.000.log", b"d\n")]):
        if data:
            log.write_bytes(data)
        log.rename(log.with_name(name))
        os.utime(log.with_name(name), (1000 + age, 1000 + age))
    log.write_bytes(b"e\n")
    log.with_name("audit-policy.yaml").write_bytes(b"not a log\n")
    second = LineFollower(log, position)
    assert _all(second) == [b"c", b"d", b"e"]
    second.close()


def test_a_position_whose_file_is_gone_is_counted_and_the_new_file_read_whole(log):
    log.write_bytes(b"a\n")
    first = LineFollower(log)
    position = first.read().position
    first.close()
    log.unlink()
    log.write_bytes(b"other\n")
    second = LineFollower(log, position)
    assert _all(second) == [b"other"]
    assert second.counters() == {"rotated_away": 1}
    second.close()


@pytest.mark.parametrize("name", ["audit.log.1.gz", "audit-2026-11-21T12-00-00.000.log.gz"])
def test_a_file_that_was_rotated_and_zipped_meanwhile_is_read_on_where_it_was_left(log, name):
    log.write_bytes(b"a\nb\n")
    first = LineFollower(log)
    position = first.read().position
    first.close()
    zipped = log.with_name(name)
    zipped.write_bytes(gzip.compress(log.read_bytes() + b"c\nlast"))
    os.utime(zipped, (1000, 1000))
    log.unlink()
    log.write_bytes(b"d\n")
    second = LineFollower(log, position)
    batch = second.read()
    assert batch.lines == [b"c"]
    second.close()
    third = LineFollower(log, batch.position)  # killed in the middle of the zipped file
    assert _all(third) == [b"last", b"d"]
    third.close()


def test_a_zipped_file_is_read_once_and_another_in_its_place_anew(tmp_path):
    path = tmp_path / "trail.json.gz"
    path.write_bytes(gzip.compress(b"a\nb"))
    follower = LineFollower(path)
    assert _all(follower) == [b"a", b"b"]
    assert _all(follower) == []
    path.write_bytes(gzip.compress(b"c\n"))
    assert _all(follower) == [b"c"]
    follower.close()


def test_a_file_that_is_being_zipped_is_read_once(log):
    log.write_bytes(b"a\n")
    first = LineFollower(log)
    position = first.read().position
    first.close()
    log.rename(log.with_name("audit.log.1"))
    log.with_name("audit.log.1.gz").write_bytes(gzip.compress(b"a\n"))
    log.write_bytes(b"b\n")
    second = LineFollower(log, position)
    assert _all(second) == [b"b"]
    second.close()


def test_a_damaged_zip_gives_what_stands_before_the_damage_and_is_told(log, detector, store, line):
    whole = gzip.compress(b"".join(line(f"e{i}") for i in range(300)))
    log.write_bytes(whole[: len(whole) // 2])
    source = _source(log, detector)
    asyncio.run(_while_running(source, store, lambda: _until(lambda: source.counters().get("gzip_damaged"))))
    asyncio.run(_while_running(source, store, lambda: _until(lambda: store.findings)))
    assert store.audit_ids()[:4] == ["e0", "e0", "e1", "e1"]


def test_envelopes_in_lines_are_opened(log, detector, store, record):
    log.write_bytes(orjson.dumps({"items": [record("e1"), record("e2")]}) + b"\n")
    source = _source(log, detector)
    asyncio.run(_while_running(source, store, lambda: _until(lambda: len(store.findings) == 4)))
    assert store.audit_ids() == ["e1", "e1", "e2", "e2"]


async def _until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def _while_running(source, store, body):
    task = asyncio.create_task(source.run(store))
    try:
        await body()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _source(log, detector):
    return AuditFile(FORMATS["kubernetes-audit"], log, log.with_name("checkpoint.json"), detector, poll_s=0.005)


def test_findings_are_committed_then_the_position_is_saved(log, detector, store, line):
    checkpoint = Checkpoint(log.with_name("checkpoint.json"))
    source = _source(log, detector)

    async def body():
        log.write_bytes(line("e1") + b"{broken\n" + line("e2"))
        await _until(lambda: checkpoint.load() is not None)

    asyncio.run(_while_running(source, store, body))
    assert store.audit_ids() == ["e1", "e1", "e2", "e2"]
    assert checkpoint.load().offset == log.stat().st_size
    assert source.counters() == {"lines": 3, "records": 2, "bad_record": 1}


def test_a_store_that_refuses_is_tried_again_and_nothing_is_lost(log, detector, store, line):
    store.refuse = 2
    log.write_bytes(line("e1"))
    source = _source(log, detector)
    asyncio.run(_while_running(source, store, lambda: _until(lambda: len(store.findings) == 2)))
    assert store.audit_ids() == ["e1", "e1"]
    assert source.counters()["emit_retried"] == 2


def test_a_restart_repeats_no_committed_line_and_loses_none(log, rules, store, line):
    log.write_bytes(line("e1"))
    checkpoint = Checkpoint(log.with_name("checkpoint.json"))
    asyncio.run(_while_running(_source(log, Detector(rules)), store, lambda: _until(checkpoint.load)))
    _append(log, line("e2"))
    second = _source(log, Detector(rules))
    asyncio.run(_while_running(second, store, lambda: _until(lambda: len(store.findings) == 4)))
    assert store.audit_ids() == ["e1", "e1", "e2", "e2"]


def test_an_unreadable_checkpoint_is_counted_and_the_file_read_from_its_start(log, detector, store, line):
    log.with_name("checkpoint.json").write_bytes(b'{"inode": "x"}')
    log.write_bytes(line("e1"))
    source = _source(log, detector)
    asyncio.run(_while_running(source, store, lambda: _until(lambda: len(store.findings) == 2)))
    assert source.counters()["checkpoint_unreadable"] == 1
