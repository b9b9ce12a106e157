"""Kafka: one record per event. The key is the incident's id, or the workload's, so that order within it is kept."""

import time
from collections.abc import Sequence
from typing import Any

from collector.errors import ConfigError
from collector.plain import plain
from collector.publish.sinks.config import KafkaEnd, read_secret
from collector.publish.sinks.port import Item, RefusedError, RetryError, Subject
from detection.finding import EntityKind, Finding

_BAD_RECORD = ("MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_MSG_SIZE", "INVALID_RECORD", "_BAD_MSG")


class KafkaSink:
    """An idempotent producer that waits for all replicas. Raises: ConfigError when the library is not there."""

    def __init__(self, end: KafkaEnd, timeout_s: float) -> None:
        try:
            import confluent_kafka  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigError("sink of type kafka: confluent-kafka is missing: pip install 'vedette[kafka]'") from error
        self._kafka: Any = confluent_kafka
        self._end = end
        self._timeout_s = timeout_s
        self._producer: Any = None
        self._place = f"kafka {end.servers}, topic {end.topic}"

    def send(self, items: Sequence[Item]) -> None:
        """Produce all and wait. Raises: RetryError, RefusedError, ConfigError."""
        failed: list[Any] = []
        try:
            producer = self._connected()
            for item in items:
                producer.produce(
                    self._end.topic,
                    item.body,
                    key=key_of(item.subject),
                    headers={"vedette-id": item.subject.id[:256], "vedette-cursor": str(item.cursor)},
                    on_delivery=lambda error, _: failed.append(error) if error is not None else None,
                )
            self._flush(producer)
        except (self._kafka.KafkaException, BufferError, ValueError) as error:
            self.close()
            raise self._meaning(error.args[0] if error.args else None, error) from error
        if failed:
            self.close()  # what is still queued must not go out behind the next batch
            raise self._meaning(failed[0], None)

    def close(self) -> None:
        """Drop what is queued and let go of the producer."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = None

    def _flush(self, producer: Any) -> None:
        end = time.monotonic() + self._timeout_s
        while len(producer) and (left := end - time.monotonic()) > 0:
            producer.flush(left)
        if len(producer):
            self.close()
            raise RetryError(f"{self._place}: not taken within {self._timeout_s:g} s")

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = self._kafka.Producer(self._settings())
        return self._producer

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "bootstrap.servers": self._end.servers,
            "client.id": "vedette",
            "enable.idempotence": True,
            "message.timeout.ms": int(self._timeout_s * 1000),
            "socket.timeout.ms": max(int(self._timeout_s * 1000), 1000),
            "log_level": 0,
        }
        if self._end.tls is None:
            return settings
        tls = self._end.tls
        named = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
        settings |= {f"ssl.{name}.location": path for name, path in named.items() if path}
        settings["security.protocol"] = "SASL_SSL" if self._end.user else "SSL"
        if self._end.password is not None:
            (password, *_) = read_secret(self._end.password, "password_file")
            settings |= {"sasl.mechanism": self._end.mechanism}
            settings |= {"sasl.username": self._end.user, "sasl.password": password}
        return settings

    def _meaning(self, said: Any, error: Exception | None) -> RetryError | RefusedError:
        """What an error means for the batch; librdkafka's own words hold no secrets, settings do."""
        name = said.name() if hasattr(said, "name") else type(error).__name__
        text = said.str() if hasattr(said, "str") else ""
        whole = f"{self._place}: {name} {plain(text, 200)}".rstrip()
        return RefusedError(whole) if name in _BAD_RECORD else RetryError(whole)


def key_of(subject: Subject) -> bytes:
    """What stays in order."""
    if isinstance(subject, Finding):
        workload = subject.entity(EntityKind.WORKLOAD)
        return (workload.id if workload is not None else subject.id).encode(errors="replace")[:512]
    return subject.id.encode(errors="replace")
