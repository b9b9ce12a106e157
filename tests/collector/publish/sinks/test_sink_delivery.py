"""Each event arrives at least once and in order, whatever the far end does; nobody else is slower for it."""

import threading

import orjson
import pytest

from collector.errors import ConfigError
from collector.metrics import Metrics
from collector.publish.sinks.config import SinkConfig, parse_sinks
from collector.publish.sinks.files import Position
from collector.publish.sinks.port import MemorySink, RetryError
from collector.publish.sinks.sinks import Sinks
from collector.store.backlog import overtaken
from collector.store.store import Batch
from detection.finding import Severity


def ids(sink):
    return [item.subject.id for item in sink.taken]


def wanted(numbers):
    return [f"f-{n:06d}" for n in numbers]


def test_all_arrive_in_order_and_the_position_is_kept(commit, deliver, until, tmp_path):
    newest, sink = commit(range(95)), MemorySink()
    running = deliver(sink)
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted(range(95))
    assert running.count("delivered") == 95
    assert Position(tmp_path / "s.cursor").load() == newest
    running.stop()
    more = commit(range(95, 100))
    again = MemorySink()
    running = deliver(again)
    until(lambda: running.delivery.cursor == more)
    assert ids(again) == wanted(range(95, 100))


def test_what_failed_is_sent_again_before_anything_newer(commit, deliver, until):
    newest = commit(range(30))
    sink = MemorySink(faults=[RetryError("503"), OSError("gone"), RuntimeError("a defect"), RetryError("503")])
    running = deliver(sink)
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted(range(30))
    assert running.count("retried") == 4


def test_only_what_is_bad_goes_to_the_dead_letter(commit, deliver, until, tmp_path):
    newest, sink = commit(range(40)), MemorySink(poison=frozenset(wanted([3, 17, 18])))
    running = deliver(sink)
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted(n for n in range(40) if n not in (3, 17, 18))
    letters = [orjson.loads(line) for line in (tmp_path / "s.dead.jsonl").read_bytes().splitlines()]
    assert [letter["id"] for letter in letters] == wanted([3, 17, 18])
    assert letters[0]["reason"] == "400: poison"
    assert (running.count("refused"), running.count("delivered")) == (3, 37)
    assert (tmp_path / "s.dead.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_full_dead_letter_holds_the_sink_and_drops_nothing(commit, deliver, until, tmp_path):
    newest, sink = commit(range(5)), MemorySink(poison=frozenset(wanted([1, 3])))
    running = deliver(sink, dead_bytes=200, batch=1)
    until(lambda: running.count("retried") > 2)
    assert ids(sink) == wanted([0, 2])
    (tmp_path / "s.dead.jsonl").unlink()
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted([0, 2, 4])


def test_what_cannot_be_formatted_is_one_letter_and_no_obstacle(commit, deliver, until, tmp_path):
    newest = commit(range(12))
    sink = MemorySink(faults=[RetryError("503"), RetryError("503")])

    def form(subject):
        if subject.id == "f-000005":
            raise ValueError("no such thing")
        return b"{}"

    running = deliver(sink, form=form)
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted(n for n in range(12) if n != 5)
    assert len((tmp_path / "s.dead.jsonl").read_bytes().splitlines()) == 1


def test_severity_and_kind_choose(store, make, deliver, until):
    low, high = make.runtime(1, severity=Severity.LOW), make.runtime(2)
    newest = store.commit(Batch(findings=(low, high), incidents=(make.incident(low, high, severity=Severity.LOW),)))
    newest = store.commit(Batch(incidents=(make.incident(low, high, id="incident-2"),)))
    sink = MemorySink()
    running = deliver(sink, min_severity=4)
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == ["f-000002", "incident-2"]
    running.stop()
    only = MemorySink()
    running = deliver(only, kinds=frozenset({"incident"}))
    assert running.delivery.reached() == newest
    newest = store.commit(Batch(incidents=(make.incident(low, high, id="incident-3"),)))
    until(lambda: running.delivery.cursor == newest)
    assert ids(only) == ["incident-3"]


def test_an_exchange_is_bounded_in_bytes_too(commit, deliver, until):
    newest = commit(range(10))
    sizes = []

    class Measuring(MemorySink):
        def send(self, items):
            sizes.append(sum(len(item.body) for item in items))
            super().send(items)

    sink = Measuring()
    running = deliver(sink, form=lambda _: b"x" * 1_500_000)
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted(range(10))
    assert sizes == [4_500_000, 4_500_000, 4_500_000, 1_500_000]


def test_a_new_sink_begins_with_what_comes_next_unless_told_otherwise(commit, deliver, until):
    newest, sink = commit(range(5)), MemorySink()
    running = deliver(sink, start="newest")
    until(lambda: running.delivery.cursor == newest)
    newest = commit(range(5, 7))
    running.delivery.wake(newest)
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted([5, 6])


def test_a_new_store_is_begun_from_its_beginning(commit, deliver, until, tmp_path):
    Position(tmp_path / "s.cursor").save(1_000_000)
    newest, sink = commit(range(3)), MemorySink()
    running = deliver(sink, start="newest")
    until(lambda: running.delivery.cursor == newest)
    assert ids(sink) == wanted(range(3))


def test_a_broken_position_is_said_not_guessed(tmp_path):
    (tmp_path / "s.cursor").write_bytes(b"{")
    with pytest.raises(ConfigError, match=r"s\.cursor"):
        Position(tmp_path / "s.cursor").load()


def test_what_retention_would_take_is_counted_for_each_reader(store, commit):
    commit(range(10))
    assert overtaken(store, {"far": 9, "near": 2, "done": 10}, 0, 5) == {"far": 0, "near": 3, "done": 0}
    assert overtaken(store, {"near": 2}, 1 << 62, 1_000_000) == {"near": 8}
    assert overtaken(store, {}, 0, 0) == {}


class Hanging(MemorySink):
    """Hangs in `send` until it is let go."""

    def __init__(self):
        super().__init__()
        self.free = threading.Event()
        self.entered = threading.Event()

    def send(self, items):
        self.entered.set()
        assert self.free.wait(60)
        super().send(items)


def config(name: str, path: str = "/nowhere") -> SinkConfig:
    text = f"sinks:\n - {{name: {name}, type: file, path: {path}, start: beginning}}"
    return parse_sinks(text, "test")[0]


def test_a_sink_that_hangs_slows_no_other_and_can_be_exchanged(store, commit, until, tmp_path):
    hanging, fine, next_ = Hanging(), MemorySink(), MemorySink()
    made = iter([hanging, fine, next_])
    metrics = Metrics()
    sinks = Sinks(store, tmp_path / "sinks", metrics, make=lambda _: next(made))
    newest = commit(range(20))
    try:
        sinks.swap([config("a"), config("b")])
        assert hanging.entered.wait(30)
        until(lambda: len(fine.taken) == 20)
        newest = commit(range(20, 25))
        sinks.notify(newest)
        until(lambda: len(fine.taken) == 25)
        assert metrics.value("vedette_collector_sink_lag_events", sink="a") == newest
        until(lambda: metrics.value("vedette_collector_sink_lag_events", sink="b") == 0)
        sinks.swap([config("b"), config("a", "/elsewhere")])
        hanging.free.set()
        until(lambda: len(next_.taken) + len(hanging.taken) >= 25)
        seen = ids(hanging) + ids(next_)
        assert sorted(set(seen)) == wanted(range(25))
        assert ids(fine) == wanted(range(25)), "what did not change was not disturbed"
    finally:
        hanging.free.set()
        sinks.stop()


def test_a_bad_change_changes_nothing(store, commit, until, tmp_path):
    sink = MemorySink()

    def make(wanted_config):
        if wanted_config.name == "bad":
            raise ConfigError("no such library")
        return sink

    sinks = Sinks(store, tmp_path / "sinks", Metrics(), make=make)
    try:
        sinks.swap([config("good")])
        with pytest.raises(ConfigError):
            sinks.swap([config("bad")])
        newest = commit(range(3))
        sinks.notify(newest)
        until(lambda: len(sink.taken) == 3)
    finally:
        sinks.stop()
