"""SIGKILL the real collector process mid-stream: every finding is in the store exactly once."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.publish.client import EventClient, open_channel
from detection.finding import Finding

TOTAL = 6000


class Process:
    """`vedette collector` as users start it."""

    def __init__(self, directory: Path) -> None:
        self.address = f"unix:{directory}/c.sock"
        self.log = directory / "collector.log"
        options = ("--listen", self.address, "--store", str(directory / "c.db"), "--metrics-listen", "127.0.0.1:0")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from cli.main import main; main()", "collector", *options],
                stdout=log,
                stderr=log,
            )

    def ready(self, times: int) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self.log.read_text().count("collector ready on") >= times

    def kill(self, number: int = signal.SIGKILL) -> int:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait(30)


@pytest.fixture
def start(tmp_path: Path, wait_until: Any) -> Iterator[Any]:
    made: list[Process] = []

    def starter() -> Process:
        made.append(Process(tmp_path))
        wait_until(lambda: made[-1].ready(len(made)), made[-1].log)
        return made[-1]

    yield starter
    for process in made:
        process.kill()


def committed(path: Path) -> int:
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        row = connection.execute("SELECT max(committed_seq) FROM streams").fetchone()
    return row[0] or 0


def test_killed_twice_mid_stream_the_collector_has_every_finding_exactly_once(
    start: Any, make_agent: Any, make_finding: Any, tmp_path: Path, wait_until: Any
) -> None:
    database = tmp_path / "c.db"
    collector = start()
    agent = make_agent(collector.address)
    agent.report([make_finding(i, entities=()) for i in range(TOTAL)])
    for part in (1, 2):
        wait_until(lambda p=part: committed(database) > p * TOTAL // 5, "a part is committed")
        collector.kill()
        at_kill = committed(database)
        assert at_kill < TOTAL, "killed too late to show anything"
        collector = start()
    agent.wait_acked(TOTAL)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT finding_id) FROM records").fetchone() == (
            TOTAL,
            TOTAL,
        )
        assert connection.execute("SELECT count(*) FROM findings").fetchone() == (TOTAL,)
        assert connection.execute("SELECT count(*) FROM events WHERE kind = 'finding'").fetchone() == (TOTAL,)
    with open_channel(collector.address, None) as channel:
        seen = [e.body for e in EventClient(channel).subscribe(0, end_at_newest=True)]
    assert [f.id for f in seen if isinstance(f, Finding)] == [f"finding-{i:06d}" for i in range(TOTAL)]


def test_sigterm_commits_what_is_under_way_and_ends_with_0(
    start: Any, make_agent: Any, make_finding: Any, tmp_path: Path
) -> None:
    collector = start()
    agent = make_agent(collector.address)
    agent.report([make_finding(i, entities=()) for i in range(500)])
    agent.wait_acked(1)
    assert collector.kill(signal.SIGTERM) == 0
    assert committed(tmp_path / "c.db") >= agent.uplink.status().acked_seq > 0
    assert not (tmp_path / "c.sock").exists()
    start()
    agent.wait_acked(500)
