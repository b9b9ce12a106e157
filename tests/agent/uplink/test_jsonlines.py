"""Findings as JSON lines: whole lines or counted refusals, never an exception."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from agent.errors import UplinkError
from agent.uplink import JsonLines
from detection.finding import Finding, Kind, Severity, Source


def finding(number: int, **fields: str | int | float | bool | tuple[str, ...]) -> Finding:
    return Finding(
        id=f"f{number}",
        time_ns=number + 1,
        source=Source.RUNTIME,
        kind=Kind.RULE,
        rule_id="r",
        title="t",
        severity=Severity.LOW,
        reason="because",
        fields=fields,
    )


def test_one_line_per_finding_in_the_form_every_command_prints(tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "f.jsonl")
    assert all(out.write(finding(i, CommandLine="a\nb\x1b[2J")) for i in range(3))
    out.close()
    lines = (tmp_path / "f.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == [finding(i, CommandLine="a\nb\x1b[2J").as_dict() for i in range(3)]
    assert (tmp_path / "f.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_json_cannot_carry_becomes_text(tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "f")
    assert out.write(finding(1, path="\udce4", mask=1 << 70))
    out.close()
    assert orjson.loads((tmp_path / "f").read_bytes())["fields"] == {"path": "?", "mask": str(1 << 70)}


def test_a_closed_pipe_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        out = JsonLines(None)
        assert [out.write(finding(i)) for i in range(2)] == [False, False]
        assert out.counters() == {"output_closed": 2}


def test_the_file_is_rotated_at_its_bound(tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "f", rotate_bytes=1000)
    for i in range(20):
        assert out.write(finding(i))
    out.close()
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 2
    assert max(sizes) <= 1000


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", mount], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("cannot mount a small tmpfs here (needs root)")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_full_disk_is_counted_and_leaves_whole_lines_only(tiny_disk: Path) -> None:
    out = JsonLines(tiny_disk / "f")
    written = [out.write(finding(i)) for i in range(50)]
    out.close()
    assert out.counters() == {"written": sum(written), "output_error": 50 - sum(written)}
    assert 0 < sum(written) < 50
    lines = (tiny_disk / "f").read_bytes().splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == [f"f{i}" for i in range(sum(written))]


def test_a_place_that_cannot_be_written_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UplinkError, match="give a file this user can write"):
        JsonLines(tmp_path)
