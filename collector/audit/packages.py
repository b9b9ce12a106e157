"""What carriers wrap audit records in, whatever the records are: taken off before a Format looks.

Formats: the subscription data of CloudWatch Logs (`awslogs.data`, and `data` of a Kinesis event: base64 of gzip of
`{"messageType", "logEvents"}`), SNS notifications (`Message` is the text of what was published), and the messages of
Pub/Sub, pulled or pushed (`message.data`, base64).
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from collector.audit.values import mapping

MOST_UNPACKED = 32 * 1024 * 1024  # CloudWatch Logs sends at most 1 MiB, Pub/Sub 10
_GZIP = b"\x1f\x8b"
PACKED = b"H4sI"  # how base64 of a gzip begins


class PackageError(ValueError):
    """A package that cannot be opened; the message says why."""


def opened(value: Any) -> Any:
    """What the package holds; what is none, as it is. An empty list for a package that only says it works.

    Raises: PackageError.
    """
    if isinstance(value, str) and value.startswith(PACKED.decode()):
        return _log_events(_json(_bytes(value)))
    if not isinstance(value, dict):
        return value
    packed = mapping(value.get("awslogs")).get("data") or mapping(value.get("kinesis")).get("data")
    if isinstance(packed, str):
        return _log_events(_json(_bytes(packed)))
    if value.get("Type") == "Notification" and isinstance(value.get("Message"), str):
        return _json(value["Message"].encode())
    return _published(value)


def _published(value: Mapping[str, Any]) -> Any:
    """The content of a Pub/Sub message: told from other objects by what stands beside `data`."""
    message = value.get("message", value)
    packed = mapping(message).get("data")
    if not isinstance(packed, str) or not (message is not value or "messageId" in value or "attributes" in value):
        return value
    return _json(_bytes(packed))


def _log_events(value: Any) -> Any:
    return [] if mapping(value).get("messageType") == "CONTROL_MESSAGE" else value


def _bytes(packed: str) -> bytes:
    """Base64, and gzip in it."""
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PackageError(f"data is not base64: {error}") from error
    return unzipped(data) if data.startswith(_GZIP) else data


def unzipped(data: bytes, most: int = MOST_UNPACKED) -> bytes:
    """The content of a gzip, at most `most` bytes. Raises: PackageError."""
    unpacker = zlib.decompressobj(31)
    try:
        content = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise PackageError(f"broken gzip: {error}") from error
    if len(content) > most:
        raise PackageError(f"over {most >> 20} MiB when unpacked")
    if not unpacker.eof:
        raise PackageError(f"the gzip is cut off after {len(content)} bytes of content")
    return content


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise PackageError(f"its content is not JSON at character {error.pos}: {error.msg}") from error
