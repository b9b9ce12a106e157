"""SIGKILL the real collector while it delivers: every event reaches every far end, duplicates have the same id."""

import http.server
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from collector.config import Retention

TOTAL = 1500
SINKS = """\
sinks:
  - {{name: archive, type: file, path: {directory}/events.jsonl, start: beginning, batch: 25}}
  - name: hook
    type: webhook
    url: {url}
    secret_file: {directory}/secret
    kinds: [finding]
    format: ecs
    batch: 25
    retry_cap: 0.05
    start: beginning
  - {{name: stuck, type: syslog, transport: tcp, address: "127.0.0.1:{port}", timeout: 600, start: beginning}}
"""


class Receiver:
    """Takes batches; every third is answered with 503 after it was taken."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.requests = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests += 1
                outer.ids += [event["event"]["id"] for event in orjson.loads(body)]
                self.send_response(503 if outer.requests % 3 == 0 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


class Process:
    """`vedette collector --sinks`, as users start it."""

    def __init__(self, directory: Path) -> None:
        self.address = f"unix:{directory}/c.sock"
        self.log = directory / "collector.log"
        options = ("--listen", self.address, "--store", str(directory / "c.db"), "--sinks", str(directory / "s.yaml"))
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


def reached(directory: Path, sink: str) -> int:
    path = directory / "sinks" / f"{sink}.cursor"
    return int(orjson.loads(path.read_bytes())["cursor"]) if path.exists() else 0


def delivered(directory: Path) -> list[str]:
    path = directory / "events.jsonl"
    events = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return [e["metadata"]["uid"] for e in events if e["metadata"]["log_name"] == "finding"]


def test_killed_twice_while_delivering_nothing_is_lost(
    start: Any, make_agent: Any, make_finding: Any, receiver: Receiver, tmp_path: Path, wait_until: Any
) -> None:
    """The third sink's far end takes the connection and never reads: the other two do not notice."""
    wanted = {f"finding-{number:06d}" for number in range(TOTAL)}
    (tmp_path / "secret").write_text("hunter2")
    with socket.create_server(("127.0.0.1", 0)) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # accepted connections inherit it
        text = SINKS.format(directory=tmp_path, url=receiver.url, port=stuck.getsockname()[1])
        (tmp_path / "s.yaml").write_text(text)
        collector = start()
        agent = make_agent(collector.address)
        agent.report([make_finding(i, entities=()) for i in range(TOTAL)])
        for part in (1, 2):
            wait_until(lambda p=part: len(set(receiver.ids)) > p * TOTAL // 5, "a part is delivered")
            collector.kill()
            collector = start()
        agent.wait_acked(TOTAL)
        with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
            (newest,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        for sink in ("archive", "hook"):
            wait_until(lambda s=sink: reached(tmp_path, s) >= newest, f"{sink} has delivered all")
        assert reached(tmp_path, "stuck") < newest, "it is stuck indeed"
        assert collector.kill(signal.SIGTERM) == 0
    in_file = delivered(tmp_path)
    assert set(in_file) == wanted
    assert set(receiver.ids) == wanted
    assert list(dict.fromkeys(in_file)) == sorted(wanted), "the first of each are in order"
    assert list(dict.fromkeys(receiver.ids)) == sorted(wanted)
    assert len(in_file) <= TOTAL + 2 * 25, "at most one batch twice per kill"
    assert "hunter2" not in collector.log.read_text()


def test_sighup_exchanges_sinks_and_a_broken_file_changes_nothing(
    start: Any, make_agent: Any, make_finding: Any, tmp_path: Path, wait_until: Any
) -> None:
    sink = "  - {{name: {0}, type: file, path: {1}/{0}.jsonl, start: beginning, kinds: [finding]}}\n"
    lines = {name: sink.format(name, tmp_path) for name in ("a", "b")}
    (tmp_path / "s.yaml").write_text("sinks:\n" + lines["a"])
    collector = start()
    agent = make_agent(collector.address)
    agent.report([make_finding(1)])
    agent.wait_acked(1)

    def count(name: str) -> int:
        path = tmp_path / f"{name}.jsonl"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    wait_until(lambda: count("a") == 1, "delivered")
    (tmp_path / "s.yaml").write_text("sinks:\n  - {name: c, type: fiel}\n")
    collector.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "s.yaml:2: type: give one of" in collector.log.read_text(), "refused")
    (tmp_path / "s.yaml").write_text("sinks:\n" + lines["a"] + lines["b"])
    collector.process.send_signal(signal.SIGHUP)
    wait_until(lambda: count("b") == 1, "a new sink begins at the beginning")
    agent.report([make_finding(2)])
    agent.wait_acked(2)
    wait_until(lambda: count("a") == count("b") == 2, "both have all")
    assert collector.kill(signal.SIGTERM) == 0


def test_events_that_retention_takes_from_a_sink_are_counted(
    make_collector: Any, make_agent: Any, make_finding: Any, tmp_path: Path, wait_until: Any
) -> None:
    """A sink that nobody answers keeps 10 of 40 events, and says that 30 are gone."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    (tmp_path / "s.yaml").write_text(
        f'sinks:\n  - {{name: gone, type: syslog, transport: tcp, address: "127.0.0.1:{port}", start: beginning}}\n'
    )
    collector = make_collector(
        sinks=tmp_path / "s.yaml", state_dir=tmp_path, retention=Retention(events=10, every_s=0.05)
    )
    agent = make_agent(collector.address)
    agent.report([make_finding(i) for i in range(40)])
    agent.wait_acked(40)
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:

        def kept() -> int:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

        wait_until(lambda: kept() <= 10, "retention ran")
    name = "vedette_collector_sink_events_total"
    overtaken = collector.metrics.value(name, sink="gone", result="overtaken")
    assert 30 <= overtaken <= 30 + 40, "findings, and incident updates where one was deleted between two others"
    assert collector.metrics.value(name, sink="gone", result="delivered") == 0
