"""Whatever the queue: acknowledged after the commit, held while it takes long, nothing lost and nothing twice."""

import asyncio
import stat
import threading

import orjson
import pytest

from collector.audit.dead_letter import DeadLetter
from collector.audit.file import AuditFile
from collector.audit.kubernetes import KubernetesAudit
from collector.audit.queue import AuditQueue, Delivery, QueueError, opened_as
from collector.audit.record import Problem

FORM = KubernetesAudit()


class FakeQueue:
    """A Queue in memory: what is not done comes again after a reset."""

    def __init__(self, *bodies, redrives=False, lease_s=0.0):
        self.lease_s = lease_s
        self.waiting = [Delivery(f"message {i}", body, i, redrives) for i, body in enumerate(bodies)]
        self.acked, self.holds, self.log = [], [], []
        self.refuse = 0
        self.closed = threading.Event()
        self.idle = threading.Event()

    def receive(self):
        if self.refuse:
            self.refuse -= 1
            raise QueueError("the service refuses")
        found, self.waiting = self.waiting[:2], self.waiting[2:]
        if not found:
            self.idle.set()
            self.closed.wait(0.01)
        return found

    def hold(self, deliveries, seconds):
        self.holds.append(([d.handle for d in deliveries], seconds))

    def done(self, deliveries):
        self.acked += [d.handle for d in deliveries]
        self.log.append("acked")

    def close(self):
        self.closed.set()


def _until(condition, queue, detector, store, letter=None, opener=None):
    source = AuditQueue("fake", FORM, lambda: (queue, opener or opened_as(FORM)), detector, letter)

    async def run():
        task = asyncio.create_task(source.run(store))
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return source.counters()


def test_messages_are_acknowledged_only_after_their_findings_are_stored(detector, store, line):
    queue = FakeQueue(line("a"), line("b"), line("c"))
    store_log = store.__call__

    async def emit(findings):
        queue.log.append("stored")
        await store_log(findings)

    counts = _until(lambda: len(queue.acked) == 3, queue, detector, emit)
    assert queue.log == ["stored", "stored", "acked", "stored", "acked"]
    assert (counts["messages"], counts["messages_done"], counts["records"]) == (3, 3, 3)
    assert queue.closed.is_set()


def test_what_could_not_be_stored_is_tried_again_and_held_meanwhile(detector, store, line):
    queue = FakeQueue(line("a"), lease_s=0.06)
    store.refuse = 2
    counts = _until(lambda: queue.acked, queue, detector, store)
    assert store.audit_ids() == ["a", "a"]
    assert counts["emit_retried"] == 2
    assert ([0], 0.06) in queue.holds


def test_a_message_that_comes_twice_gives_no_second_finding(detector, store, line):
    queue = FakeQueue(line("a"), line("a"))
    _until(lambda: len(queue.acked) == 2, queue, detector, store)
    assert store.audit_ids() == ["a", "a"]  # two rules, once each


def test_an_unusable_message_goes_to_the_dead_letter_and_the_rest_goes_on(detector, store, line, tmp_path):
    letter = tmp_path / "dead.jsonl"
    queue = FakeQueue(b'{"password": "hunter2"', line("a"))
    counts = _until(lambda: len(queue.acked) == 2, queue, detector, store, DeadLetter(letter))
    assert store.audit_ids() == ["a", "a"]
    assert (counts["messages_dead"], counts["bad_record"]) == (1, 1)
    (kept,) = [orjson.loads(one) for one in letter.read_bytes().splitlines()]
    assert (kept["source"], kept["position"]) == ("fake", "message 0")
    assert kept["reason"].startswith("not JSON at character")
    assert "hunter2" not in kept["record"]
    assert stat.S_IMODE(letter.stat().st_mode) == 0o600


def test_an_unusable_message_is_given_back_to_a_queue_that_puts_such_aside(detector, store, line):
    queue = FakeQueue(b"<html>", line("a"), redrives=True)
    counts = _until(lambda: queue.acked, queue, detector, store)
    assert (queue.acked, queue.holds) == ([1], [([0], 0)])
    assert (counts["messages_given_back"], counts["messages_done"]) == (1, 1)


def test_bad_records_of_a_good_message_cost_only_themselves(detector, store, record, tmp_path):
    letter = tmp_path / "dead.jsonl"
    queue = FakeQueue(orjson.dumps({"items": [record("a"), {"kind": "Pod"}, record("b")]}))
    counts = _until(lambda: queue.acked, queue, detector, store, DeadLetter(letter))
    assert store.audit_ids() == ["a", "a", "b", "b"]
    assert (counts["bad_record"], counts["records"]) == (1, 2)
    assert orjson.loads(letter.read_bytes())["position"] == "message 0, item 2"


def test_a_service_that_refuses_is_asked_again(detector, store, line):
    queue = FakeQueue(line("a"))
    queue.refuse = 2
    counts = _until(lambda: queue.acked, queue, detector, store)
    assert (store.audit_ids(), counts["queue_failed"]) == (["a", "a"], 2)


def test_after_many_failures_it_connects_anew(detector, store, line, monkeypatch):
    monkeypatch.setattr("collector.audit.queue._RETRY_S", (0.001,))
    queues = [FakeQueue(), FakeQueue(line("a"))]
    queues[0].refuse = 100
    waiting = list(queues)
    source = AuditQueue("fake", FORM, lambda: (waiting.pop(0), opened_as(FORM)), detector)

    async def run():
        task = asyncio.create_task(source.run(store))
        async with asyncio.timeout(20):
            while not queues[1].acked:
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert (queues[0].closed.is_set(), 100 - queues[0].refuse, source.counters()["queue_failed"]) == (True, 8, 8)


def test_a_message_whose_content_cannot_be_had_now_comes_again(detector, store, line):
    queue = FakeQueue(b"x", line("a"))
    plain = opened_as(FORM)

    def opener(delivery):
        if delivery.body == b"x":
            raise QueueError("S3 is slow")
        return plain(delivery)

    counts = _until(lambda: queue.acked, queue, detector, store, opener=opener)
    assert (queue.acked, queue.holds, counts["message_failed"]) == ([1], [([0], 30.0)], 1)


def test_a_service_that_hangs_stops_neither_the_loop_nor_the_end(detector, store):
    hanging = threading.Event()

    class Hanging(FakeQueue):
        def receive(self):
            hanging.set()
            threading.Event().wait(30)
            return []

    _until(hanging.is_set, Hanging(), detector, store)


def test_a_source_that_hangs_does_not_stop_the_others(detector, store, line, tmp_path):
    log = tmp_path / "audit.log"
    log.write_bytes(line("file"))
    queue = FakeQueue(line("queue"))
    hung = threading.Event()

    def hang():
        hung.set()
        threading.Event().wait(30)

    sources = (
        AuditQueue("hangs", FORM, hang, detector),
        AuditQueue("works", FORM, lambda: (queue, opened_as(FORM)), detector),
        AuditFile(FORM, log, tmp_path / "checkpoint", detector, poll_s=0.01),
    )

    async def run():
        tasks = [asyncio.create_task(source.run(store)) for source in sources]
        async with asyncio.timeout(20):
            while not (hung.is_set() and len(store.findings) == 4):
                await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    assert sorted(store.audit_ids()) == ["file", "file", "queue", "queue"]


def test_the_dead_letter_has_a_cap(tmp_path):
    letter = DeadLetter(tmp_path / "below" / "dead.jsonl", cap_bytes=400)
    kept = [letter.add("s", Problem(f"line {i}", "bad", b"x" * 100)) for i in range(5)]
    assert kept == [True, False, False, False, False] or kept == [True, True, False, False, False]
    assert (tmp_path / "below" / "dead.jsonl").stat().st_size <= 400


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb\u202e"])
def test_the_dead_letter_shows_no_control_characters_of_position_or_reason(tmp_path, text):
    path = tmp_path / "dead.jsonl"
    DeadLetter(path).add("s", Problem(text, text, b"\xff\x00"))
    kept = orjson.loads(path.read_bytes())
    assert kept["position"].isprintable()
    assert kept["reason"].isprintable()
