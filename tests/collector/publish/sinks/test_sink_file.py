"""The file holds whole lines only, is rotated by size, and is found again when somebody moves it away."""

import pytest

from collector.publish.sinks.config import FileEnd
from collector.publish.sinks.file import FileSink
from collector.publish.sinks.port import Item, RetryError


@pytest.fixture
def items(make):
    return [Item(n, make.runtime(n), b'{"n":%d}' % n) for n in range(1, 10)]


def test_lines_are_appended_and_rotated(items, tmp_path):
    path = tmp_path / "out" / "e.jsonl"
    sink = FileSink(FileEnd(path, 20, 2))
    sink.send(items)
    sink.close()
    assert path.read_text() == '{"n":9}\n'
    assert [(tmp_path / f"out/e.jsonl.{n}").read_text() for n in (1, 2)] == ['{"n":7}\n{"n":8}\n', '{"n":5}\n{"n":6}\n']
    assert not (tmp_path / "out/e.jsonl.3").exists()


def test_a_line_cut_off_by_a_crash_is_removed(items, tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"n":0}\n{"n":')
    sink = FileSink(FileEnd(path, 1000, 1))
    sink.send(items[:1])
    sink.close()
    assert path.read_text() == '{"n":0}\n{"n":1}\n'


def test_a_file_that_was_moved_away_is_begun_anew(items, tmp_path):
    path = tmp_path / "e.jsonl"
    sink = FileSink(FileEnd(path, 1000, 1))
    sink.send(items[:1])
    path.replace(tmp_path / "moved")
    sink.send(items[1:2])
    sink.close()
    assert (path.read_text(), (tmp_path / "moved").read_text()) == ('{"n":2}\n', '{"n":1}\n')


def test_no_link_is_followed_and_no_directory_written(items, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("link", "."):
        sink = FileSink(FileEnd(tmp_path / name, 1000, 1))
        with pytest.raises(RetryError):
            sink.send(items)
    assert not (tmp_path / "target").exists()
