"""The dead-letter file."""

from pathlib import Path

import orjson

from agent.dead_letter import DeadLetterFile


def test_a_record_is_kept_with_its_cause(tmp_path: Path) -> None:
    DeadLetterFile(tmp_path / "bad").add("length", b"\x00\xff")
    (line,) = (tmp_path / "bad").read_bytes().splitlines()
    kept = orjson.loads(line)
    assert (kept["cause"], kept["record"]) == ("length", "00ff")


def test_the_cap_holds_over_restarts(tmp_path: Path) -> None:
    for _ in range(3):
        letters = DeadLetterFile(tmp_path / "bad", cap_bytes=1000)
        for _ in range(100):
            letters.add("type", bytes(100))
    assert 700 < (tmp_path / "bad").stat().st_size <= 1000


def test_an_unwritable_place_does_not_raise(tmp_path: Path) -> None:
    DeadLetterFile(tmp_path / "missing" / "bad").add("type", b"x")
