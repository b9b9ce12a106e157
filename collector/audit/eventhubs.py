"""Azure Event Hubs through their Kafka endpoint: what diagnostic settings and log exports stream there.

The position of each partition is kept by the hub, as the committed offset of the consumer group: replicas of the
collector share the partitions, and none of them keeps a file. Any other Kafka that carries audit logs works too.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from collector.audit.format import Format
from collector.audit.queue import Connect, Delivery, QueueError, opened_as
from collector.errors import ConfigError
from collector.plain import plain

_WAIT_S = 1.0
_BATCH = 200
_GROUP = "vedette"
_PORT = 9093


@dataclass(frozen=True, slots=True)
class Hub:
    """Which hub: the namespace's host and port, the hub's (topic's) name, and where its connection string is.

    `session_s`: after that time without a sign of life another replica takes over.
    """

    server: str
    name: str
    secret: Path | None = None
    session_s: float = 30.0


def hub_of(text: str, secret: Path | None) -> Hub:
    """HOST[:PORT]/HUB. Raises: ConfigError."""
    server, slash, name = text.partition("/")
    host, _, port = server.partition(":")
    if not slash or not name or "/" in name or not host or not (port or str(_PORT)).isdecimal():
        raise ConfigError(f"--audit-eventhub {text}: give HOST[:PORT]/HUB, NAMESPACE.servicebus.windows.net/insights")
    if secret is None and not _is_loopback(host):
        raise ConfigError(f"--audit-eventhub {text}: give --audit-eventhub-secret, a file with the connection string")
    return Hub(f"{host}:{port or _PORT}", name, secret)


def eventhub(form: Format, hub: Hub) -> Connect:
    """Connects to a hub. Raises: ConfigError when the client library is not there."""
    try:
        import confluent_kafka  # noqa: PLC0415, F401 - an extra
    except ImportError as error:
        raise ConfigError(
            f"--audit-eventhub {hub.server}/{hub.name}: confluent-kafka is not installed: pip install 'vedette[azure]'"
        ) from error
    return lambda: (HubQueue(hub), opened_as(form))


class HubQueue:
    """A Queue: a consumer whose offsets move only by `done`."""

    lease_s = 0.0

    def __init__(self, hub: Hub) -> None:
        from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415

        self._hub = hub
        self._failed = KafkaException
        self._errors: list[str] = []
        self._lock = threading.Lock()
        try:
            self._consumer = Consumer(self._settings())
            self._consumer.subscribe([hub.name])
        except (KafkaException, ValueError) as error:
            raise QueueError(f"{self._place()}: {_said(error)}") from error

    def receive(self) -> list[Delivery]:
        """The next messages, in order per partition."""
        try:
            messages = self._consumer.consume(_BATCH, _WAIT_S)
        except (self._failed, RuntimeError) as error:
            raise QueueError(f"{self._place()}: {_said(error)}") from error
        sound = [message for message in messages if message.error() is None]
        bad = [str(message.error()) for message in messages if message.error() is not None]
        with self._lock:
            bad, self._errors = bad + self._errors, []
        if bad and not sound:
            raise QueueError(f"{self._place()}: {plain(bad[0], 300)}")
        return [self._delivery(message) for message in sound]

    def hold(self, deliveries: Sequence[Delivery], seconds: float) -> None:
        """A log keeps what was read: nothing to do."""

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Commit, for each partition, the offset after its last message."""
        from confluent_kafka import TopicPartition  # noqa: PLC0415

        after: dict[tuple[str, int], int] = {}
        for delivery in deliveries:
            topic, partition, offset = delivery.handle
            after[topic, partition] = max(offset + 1, after.get((topic, partition), 0))
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in after.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except (self._failed, RuntimeError) as error:
            raise QueueError(f"{self._place()}: the position was not kept: {_said(error)}") from error

    def close(self) -> None:
        """Leave the group, so that others take over the partitions at once."""
        self._consumer.close()

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "bootstrap.servers": self._hub.server,
            "group.id": _GROUP,
            "client.id": _GROUP,
            "session.timeout.ms": int(self._hub.session_s * 1000),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": 16 * 1024,
            "error_cb": self._note,
            "log_level": 0,
        }
        if self._hub.secret is None:
            return settings
        return settings | {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "$ConnectionString",
            "sasl.password": self._connection_string(self._hub.secret),
        }

    def _connection_string(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise QueueError(f"connection string in {path} cannot be read: {type(error).__name__}") from error

    def _note(self, error: Any) -> None:
        with self._lock:
            self._errors = [*self._errors, str(error)][-4:]

    def _delivery(self, message: Any) -> Delivery:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        position = f"{plain(topic, 128)} partition {partition} offset {offset}"
        return Delivery(position, message.value() or b"", (topic, partition, offset))

    def _place(self) -> str:
        return f"event hub {self._hub.server}/{self._hub.name}"


def _said(error: Exception) -> str:
    return plain(str(error), 300)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
