"""Replay takes from a damaged file what stands before the damage, and names the place."""

import gzip

import orjson
import pytest

from collector.audit import FORMATS
from collector.audit.replay import read
from collector.errors import CollectorError

FORM = FORMATS["kubernetes-audit"]


def ids(parsed):
    return [record.event_id for record in parsed.records]


@pytest.mark.parametrize("option", [0, orjson.OPT_INDENT_2])
def test_a_document_that_is_cut_off_gives_its_whole_records(tmp_path, record, option):
    path = tmp_path / "audit.json"
    path.write_bytes(orjson.dumps({"items": [record(f"e{i}") for i in range(5)]}, option=option)[:-200])
    parsed = read(FORM, path)
    assert ids(parsed) == ["e0", "e1", "e2", "e3"]
    assert [p.position for p in parsed.problems] == [f"{path}, item 5"]
    assert parsed.problems[0].reason.startswith("cut off after 4 whole records, at byte")


def test_a_gzip_that_is_cut_off_gives_its_whole_records(tmp_path, line):
    path = tmp_path / "audit.log.gz"
    whole = gzip.compress(b"".join(line(f"e{i}") for i in range(500)))
    path.write_bytes(whole[: len(whole) // 2])
    parsed = read(FORM, path)
    assert ids(parsed)[:2] == ["e0", "e1"]
    assert "the gzip is cut off" in parsed.problems[-1].reason


def test_what_is_no_log_is_told_as_before(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"<html>")
    assert read(FORM, path).problems[0].reason.startswith("not JSON at character")
    with pytest.raises(CollectorError, match="give an audit log"):
        read(FORM, tmp_path / "absent")
