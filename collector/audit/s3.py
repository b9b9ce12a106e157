"""S3 objects that messages tell of, and everything else a queue of AWS carries.

Formats: "Event message structure" of S3 notifications (keys are URL-encoded there), S3 events of EventBridge and
CloudTrail's own SNS messages (keys as they are), each also inside an SNS notification; other messages hold records.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote_plus

import orjson

from collector.audit.envelope import parse
from collector.audit.format import Format
from collector.audit.packages import PackageError, opened
from collector.audit.queue import Delivery, Open, UnusableError
from collector.audit.record import Parsed
from collector.audit.stream import parse_stream
from collector.audit.values import items, mapping, text

_MOST_OBJECTS = 1000
# Beside the logs in the same bucket: hashes of them, and findings of CloudTrail's own without an API call.
_NO_LOGS = ("/CloudTrail-Digest/", "/CloudTrail-Insight/")


@dataclass(frozen=True, slots=True)
class S3Object:
    """Where an object is."""

    bucket: str
    key: str

    @property
    def is_log(self) -> bool:
        """Not a folder, a digest or an insight."""
        return not self.key.endswith("/") and not any(part in f"/{self.key}" for part in _NO_LOGS)


class Objects(Protocol):
    """What reads objects."""

    def read(self, item: S3Object) -> Iterable[bytes]:
        """Its bytes in chunks. Blocking. Raises: UnusableError (it is not there), QueueError."""


def opened_with(form: Format, objects: Objects) -> Open:
    """For queues of AWS: the records of the objects a message tells of, or those in the message."""

    def pieces(delivery: Delivery) -> Iterator[Parsed]:
        told = objects_in(delivery.body)
        if told is None:
            parsed = parse(form, delivery.body, delivery.position)
            if parsed.problems and not parsed.records and not parsed.other:
                raise UnusableError(parsed.problems[0].reason)
            yield parsed
            return
        for item in told:
            if item.is_log:
                yield from parse_stream(form, objects.read(item), f"s3://{item.bucket}/{item.key}")
            else:
                yield Parsed((), (), other=1)

    return pieces


def objects_in(body: bytes) -> list[S3Object] | None:
    """The new objects a message tells of; None when it is not that kind of message."""
    try:
        value = orjson.loads(body)
        if mapping(value).get("Type") == "Notification":
            value = opened(value)
    except (orjson.JSONDecodeError, PackageError):
        return None
    if not isinstance(value, dict):
        return None
    if value.get("Event") == "s3:TestEvent":
        return []
    if value.get("source") == "aws.s3" and "bucket" in mapping(value.get("detail")):
        return _of_event_bridge(value)
    if isinstance(value.get("s3Bucket"), str) and "s3ObjectKey" in value:
        keys = value["s3ObjectKey"]
        return _objects((value["s3Bucket"], key) for key in (keys if isinstance(keys, list) else [keys]))
    return _of_notification(items(value.get("Records")))


def _of_notification(records: list[Any]) -> list[S3Object] | None:
    told = [mapping(record) for record in records]
    if not told or any(one.get("eventSource") != "aws:s3" or "s3" not in one for one in told):
        return None
    created = [mapping(one["s3"]) for one in told if text(one.get("eventName")).startswith("ObjectCreated:")]
    places = ((mapping(s3.get("bucket")).get("name"), mapping(s3.get("object")).get("key")) for s3 in created)
    return _objects((bucket, unquote_plus(text(key, 8192))) for bucket, key in places)


def _of_event_bridge(value: dict[str, Any]) -> list[S3Object]:
    if value.get("detail-type") != "Object Created":
        return []
    detail = mapping(value["detail"])
    return _objects([(mapping(detail.get("bucket")).get("name"), mapping(detail.get("object")).get("key"))])


def _objects(places: Iterable[tuple[Any, Any]]) -> list[S3Object]:
    found = [S3Object(text(bucket, 256), text(key, 2048)) for bucket, key in places]
    return [item for item in found if item.bucket and item.key][:_MOST_OBJECTS]
