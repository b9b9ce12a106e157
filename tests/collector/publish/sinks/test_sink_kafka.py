"""Kafka, against the broker librdkafka carries for tests."""

import time

import pytest

from collector.publish.sinks.config import KafkaEnd
from collector.publish.sinks.kafka import KafkaSink
from collector.publish.sinks.port import Item, RefusedError, RetryError

kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")


class Broker:
    """A cluster of three brokers on loopback."""

    def __init__(self):
        settings = {"test.mock.num.brokers": 3, "bootstrap.servers": "none", "log_level": 0}
        self._owner = kafka.Producer(settings)
        brokers = self._owner.list_topics(timeout=30).brokers.values()
        self.servers = ",".join(f"{b.host}:{b.port}" for b in brokers)

    def read(self, topic, count):
        """(key, value, id) of the first records, by partition in order."""
        consumer = kafka.Consumer(
            {"bootstrap.servers": self.servers, "group.id": "test", "auto.offset.reset": "earliest", "log_level": 0}
        )
        parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([kafka.TopicPartition(topic, n, 0) for n in parts])
        found, end = [], time.monotonic() + 30
        while len(found) < count and time.monotonic() < end:
            found += [m for m in consumer.consume(500, 0.2) if m.error() is None]
        consumer.close()
        return [(m.key(), m.value(), dict(m.headers())["vedette-id"].decode()) for m in found]


@pytest.fixture(scope="module")
def broker():
    return Broker()


def test_records_arrive_in_order_within_a_workload(broker, commit, deliver, until):
    newest = commit(range(120))
    sink = KafkaSink(KafkaEnd(broker.servers, "events", None), 30.0)
    running = deliver(sink, batch=50)
    until(lambda: running.delivery.cursor == newest)
    found = broker.read("events", 120)
    assert [id_ for _, _, id_ in found] == [f"f-{n:06d}" for n in range(120)]
    assert {key for key, _, _ in found} == {b"k8s/shop/deployment/web/web"}


def test_an_incident_is_keyed_by_its_id(broker, make):
    sink = KafkaSink(KafkaEnd(broker.servers, "incidents", None), 30.0)
    sink.send([Item(1, make.incident(), b"{}")])
    sink.close()
    assert broker.read("incidents", 1) == [(b"incident-1", b"{}", "incident-1")]


def test_a_record_too_large_is_refused_and_the_sink_goes_on(broker, make):
    sink = KafkaSink(KafkaEnd(broker.servers, "large", None), 30.0)
    with pytest.raises(RefusedError, match="MSG_SIZE_TOO_LARGE"):
        sink.send([Item(1, make.runtime(1), b"x" * 2_000_000)])
    sink.send([Item(2, make.runtime(2), b"fine")])
    sink.close()
    assert [value for _, value, _ in broker.read("large", 1)] == [b"fine"]


def test_no_broker_means_later(make):
    sink = KafkaSink(KafkaEnd("127.0.0.1:1", "events", None), 0.5)
    with pytest.raises(RetryError, match=r"kafka 127.0.0.1:1, topic events"):
        sink.send([Item(1, make.runtime(), b"{}")])
    sink.close()
