"""What docs/siem.md tells people to write and to run works."""

import json
import re
import time
from pathlib import Path

from collector.publish.sinks.config import parse_sinks
from collector.publish.sinks.webhook import signature

PAGE = (Path(__file__).parents[4] / "docs/siem.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_file_is_read(tmp_path):
    (text,) = blocks("yaml")
    for path in set(re.findall(r"/etc/vedette/[\w.-]+", text)):
        (tmp_path / Path(path).name).write_text("x\n")
    sinks = parse_sinks(text.replace("/etc/vedette", str(tmp_path)), "siem.md")
    assert [sink.type for sink in sinks] == ["file", "syslog", "webhook", "webhook", "kafka", "otlp"]


def test_the_receiver_s_code_accepts_ours_and_nothing_else():
    (code,) = blocks("python")
    scope = {}
    exec(code, scope)
    now = int(time.time())
    assert scope["is_ours"](signature(["s3", "old"], now, b"[]"), b"s3", b"[]")
    assert scope["is_ours"](signature(["s3", "old"], now, b"[]"), b"old", b"[]")
    assert not scope["is_ours"](signature(["s3"], now, b"[]"), b"s3", b"[] ")
    assert not scope["is_ours"](signature(["s3"], now - 301, b"[]"), b"s3", b"[]")


def test_the_examples_are_json():
    assert all(json.loads(block) for block in blocks("json"))
    assert len(blocks("json")) == 4
