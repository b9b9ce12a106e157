"""Pub/Sub by Google's client, against a server that speaks its published protocol."""

import asyncio
import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import orjson
import pytest

from collector.audit import FORMATS, Detector
from collector.audit.pubsub import pubsub
from collector.audit.queue import AuditQueue
from collector.errors import ConfigError
from detection.finding import Severity
from detection.rules.compile import RuleSet
from detection.rules.ir import And, Named, Op, Rule
from detection.rules.ir import Test as Equal

pytest.importorskip("google.cloud.pubsub_v1", reason="the extra gcp is not installed")
TYPES = pytest.importorskip("google.pubsub_v1").types
FORM = FORMATS["gcp-audit"]
NAME = "projects/shop/subscriptions/audit"


class Server:
    """One subscription: Pull, ModifyAckDeadline and Acknowledge, with leases that run out."""

    def __init__(self, lease_s=10.0, dead_letters=False):
        self.types, self.lease_s, self.dead_letters = TYPES, lease_s, dead_letters
        self.lock = threading.Condition()
        self.messages = {}  # id -> [body, hidden until, attempts]
        self.aside, self.extended, self.unavailable = [], 0, 0
        self.ids = itertools.count()
        methods = {
            "Pull": (self._pull, TYPES.PullRequest, TYPES.PullResponse),
            "ModifyAckDeadline": (self._modify, TYPES.ModifyAckDeadlineRequest, None),
            "Acknowledge": (self._acknowledge, TYPES.AcknowledgeRequest, None),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                call, request.deserialize, answer.serialize if answer else lambda _: b""
            )
            for name, (call, request, answer) in methods.items()
        }
        self.server = grpc.server(ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", handlers),)
        )
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def send(self, *values):
        with self.lock:
            for value in values:
                body = value if isinstance(value, bytes) else orjson.dumps(value)
                self.messages[str(next(self.ids))] = [body, 0.0, 0]
            self.lock.notify_all()

    def _pull(self, request, context):
        if self.unavailable:
            self.unavailable -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        assert request.subscription == NAME
        with self.lock:
            self.lock.wait_for(self._ready, timeout=0.2)
            return self.types.PullResponse(received_messages=[self._give(i) for i in self._ready()])

    def _ready(self):
        return [i for i, (_, until, _) in self.messages.items() if until <= time.monotonic()]

    def _give(self, name):
        message = self.messages[name]
        message[1], message[2] = time.monotonic() + self.lease_s, message[2] + 1
        sent = self.types.PubsubMessage(data=message[0], message_id=name)
        attempt = message[2] if self.dead_letters else 0
        return self.types.ReceivedMessage(ack_id=name, message=sent, delivery_attempt=attempt)

    def _modify(self, request, context):
        with self.lock:
            for name in set(request.ack_ids) & self.messages.keys():
                self.extended += request.ack_deadline_seconds > 0
                self.messages[name][1] = time.monotonic() + request.ack_deadline_seconds
                if self.dead_letters and request.ack_deadline_seconds == 0 and self.messages[name][2] >= 3:
                    self.aside.append(self.messages.pop(name)[0])
        return b""

    def _acknowledge(self, request, context):
        with self.lock:
            for name in request.ack_ids:
                self.messages.pop(name, None)
        return b""


@pytest.fixture
def serve(monkeypatch):
    made = []

    def start(**options):
        made.append(Server(**options))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{made[-1].port}")
        return made[-1]

    yield start
    for server in made:
        server.server.stop(None).wait(5)


@pytest.fixture
def detector():
    test = Equal("protoPayload.methodName", Op.EQUALS, ("A",))
    return Detector(RuleSet.from_ir([Rule("a", "A", Severity.LOW, "gcp/gcp.audit", Named("s", And((test,))))]))


def entry(number):
    payload = {"serviceName": "iam.googleapis.com", "methodName": "A"}
    return {"insertId": f"i{number}", "timestamp": "2026-11-21T12:00:03Z", "protoPayload": payload}


def run(detector, emit, until):
    source = AuditQueue("pubsub", FORM, pubsub(FORM, NAME), detector)

    async def serve():
        task = asyncio.create_task(source.run(emit))
        async with asyncio.timeout(60):
            while not until(source.counters()):
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())
    return source.counters()


def test_messages_are_acknowledged_after_the_commit(serve, detector, store):
    server = serve()
    server.send(entry(1), entry(2), b"<html>", {"textPayload": "no audit entry"}, entry(1))
    seen = []

    async def emit(findings):
        seen.append(len(server.messages))
        await store(findings)

    counts = run(detector, emit, lambda c: not server.messages)
    assert len(store.findings) == 2
    assert min(seen) == 5  # none was acknowledged while findings waited
    assert (counts["messages"], counts["records"], counts["messages_dead"]) == (5, 3, 2)


def test_the_deadline_is_extended_when_they_are_received(serve, detector, store):
    server = serve(lease_s=0.5)
    server.send(entry(1))
    begun = []

    async def emit(findings):
        begun.append(1)
        await asyncio.sleep(1.5)
        await store(findings)

    run(detector, emit, lambda c: not server.messages)
    assert (len(store.findings), begun, server.extended) == (1, [1], 1)


def test_what_is_not_acknowledged_comes_again_after_the_end_of_its_consumer(serve, detector, store):
    server = serve(lease_s=0.2)
    server.send(entry(1))

    async def hang(findings):
        await asyncio.Event().wait()

    run(detector, hang, lambda c: c.get("records"))
    with server.lock:
        server.messages["0"][1] = 0.0  # the lease has run out
    run(detector, store, lambda c: not server.messages)
    assert len(store.findings) == 1


def test_an_unusable_message_is_left_to_a_subscription_with_a_dead_letter_topic(serve, detector, store):
    server = serve(dead_letters=True)
    server.send(b"<html>", entry(1))
    counts = run(detector, store, lambda c: not server.messages)
    assert (server.aside, len(store.findings), counts["messages_given_back"]) == ([b"<html>"], 1, 3)


def test_a_service_that_is_unavailable_is_asked_again(serve, detector, store):
    server = serve()
    server.unavailable = 2
    server.send(entry(1))
    counts = run(detector, store, lambda c: not server.messages)
    assert (len(store.findings), counts["queue_failed"]) == (1, 2)


@pytest.mark.parametrize("name", ["audit", "projects/p/subscriptions/s", "projects/shop/topics/audit", "x" * 400])
def test_subscriptions_are_named_in_full(name):
    with pytest.raises(ConfigError, match="give projects/PROJECT/subscriptions/NAME"):
        pubsub(FORM, name)


def test_a_missing_client_library_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.cloud.pubsub_v1", None)
    with pytest.raises(ConfigError, match=r"pip install 'vedette\[gcp\]'"):
        pubsub(FORM, NAME)
