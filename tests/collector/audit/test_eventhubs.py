"""Event Hubs by their Kafka endpoint, against the broker librdkafka carries for tests."""

import asyncio
import sys
import time

import orjson
import pytest

from collector.audit import FORMATS, Detector
from collector.audit.eventhubs import Hub, eventhub, hub_of
from collector.audit.queue import AuditQueue
from collector.errors import ConfigError, StoreError
from detection.finding import Severity
from detection.rules.compile import RuleSet
from detection.rules.ir import And, Named, Op, Rule
from detection.rules.ir import Test as Equal

kafka = pytest.importorskip("confluent_kafka", reason="the extra azure is not installed")
FORM = FORMATS["azure-activity"]


class Broker:
    """A hub with four partitions on loopback."""

    def __init__(self):
        settings = {"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0}
        self.producer = kafka.Producer(settings)
        (broker,) = self.producer.list_topics(timeout=30).brokers.values()
        self.server = f"{broker.host}:{broker.port}"

    def send(self, *bodies, hub="insights"):
        for number, body in enumerate(bodies):
            self.producer.produce(hub, body, partition=number % 4)
        assert self.producer.flush(30) == 0


@pytest.fixture(scope="module")
def broker():
    return Broker()


@pytest.fixture
def detector():
    test = Equal("operationName", Op.EQUALS, ("A",))
    return Detector(RuleSet.from_ir([Rule("a", "A", Severity.LOW, "azure/activitylogs", Named("s", And((test,))))]))


def row(number):
    return {
        "time": "2026-11-21T12:00:03Z",
        "operationName": "A",
        "category": "Administrative",
        "eventDataId": f"r{number}",
    }


def body(*numbers):
    return orjson.dumps({"records": [row(n) for n in numbers]})


def run(broker, hub, detector, emit, until):
    source = AuditQueue("hub", FORM, eventhub(FORM, Hub(broker.server, hub, session_s=6.0)), detector)

    async def serve():
        task = asyncio.create_task(source.run(emit))
        # The test broker gives a partition to another consumer only once the first one's session has run out.
        async with asyncio.timeout(90):
            while not until(source.counters()):
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())
    return source.counters()


def test_every_partition_goes_on_where_the_last_commit_was(broker, detector, store):
    broker.send(body(1, 2), b"<html>", body(3), body(4), hub="h1")
    counts = run(broker, "h1", detector, store, lambda c: c.get("messages_done") == 4)
    assert sorted(len(store.findings) * [1]) == [1] * 4
    assert (counts["records"], counts["messages_dead"]) == (4, 1)
    broker.send(body(5), hub="h1")
    counts = run(broker, "h1", detector, store, lambda c: c.get("messages_done") == 1)
    assert counts["messages"] == 1  # what was committed does not come again


def test_what_was_not_stored_comes_again_to_the_next_consumer(broker, detector, store):
    broker.send(body(11), body(12), hub="h2")

    async def refuse(findings):
        raise StoreError("database is locked")

    run(broker, "h2", detector, refuse, lambda c: c.get("emit_retried", 0) >= 1)
    run(broker, "h2", detector, store, lambda c: c.get("messages_done") == 2)
    assert len(store.findings) == 2


def test_a_broker_that_is_away_is_no_end(detector, store):
    class Nobody:
        server = "127.0.0.1:1"

    began = time.monotonic()
    counts = run(Nobody, "h", detector, store, lambda c: c.get("queue_failed", 0) >= 1)
    assert counts["queue_failed"] >= 1
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("text", ["", "host", "host:x/hub", "/hub", "host/a/b"])
def test_hubs_are_named_by_host_and_name(text):
    with pytest.raises(ConfigError, match="give HOST"):
        hub_of(text, None)


def test_a_hub_elsewhere_needs_its_connection_string(tmp_path):
    with pytest.raises(ConfigError, match="--audit-eventhub-secret"):
        hub_of("n.servicebus.windows.net/insights", None)
    assert hub_of("n.servicebus.windows.net/insights", tmp_path).server == "n.servicebus.windows.net:9093"


def test_a_missing_client_library_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigError, match=r"pip install 'vedette\[azure\]'"):
        eventhub(FORM, hub_of("127.0.0.1/h", None))
