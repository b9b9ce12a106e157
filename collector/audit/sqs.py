"""Amazon SQS and S3 through boto3: what a queue carries, and the objects its messages tell of.

Credentials and endpoints come from where AWS's own tools take them (environment, profile, role of pod or instance;
`AWS_ENDPOINT_URL` for another endpoint).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from collector.audit.format import Format
from collector.audit.queue import Connect, Delivery, Open, Queue, QueueError, UnusableError
from collector.audit.s3 import S3Object, opened_with
from collector.errors import ConfigError
from collector.plain import plain

_WAIT_S = 10
_LEASE_S = 60.0
_BATCH = 10
_CHUNK = 256 * 1024
_REGION = re.compile(r"https?://(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.")
_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


def sqs(form: Format, url: str) -> Connect:
    """Connects to a queue by its URL. Raises: ConfigError when the client library is not there."""
    try:
        import boto3  # noqa: PLC0415, F401 - an extra: only who configures the source needs it
    except ImportError as error:
        raise ConfigError(f"--audit-sqs {url}: boto3 is not installed: pip install 'vedette[aws]'") from error
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"--audit-sqs {url}: give the queue's URL, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")

    def connect() -> tuple[Queue, Open]:
        clients = _Clients(url)
        return SqsQueue(clients, url), opened_with(form, clients)

    return connect


class _Clients:
    """The clients of both services, and reading of objects (`Objects`)."""

    def __init__(self, url: str) -> None:
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - what a body's stream raises

        self._misnamed = ParamValidationError
        self.errors = (BotoCoreError, ClientError, HTTPError, OSError)
        config = Config(
            connect_timeout=5, read_timeout=2 * _WAIT_S, retries={"total_max_attempts": 3, "mode": "standard"}
        )
        session = boto3.session.Session()
        region = session.region_name or region_of(url)
        try:
            self.sqs = session.client("sqs", region_name=region, config=config)
            self.s3 = session.client("s3", region_name=region, config=config)
        except self.errors as error:
            raise QueueError(f"AWS clients: {_said(error)}") from error

    def read(self, item: S3Object) -> Iterator[bytes]:
        """The object's bytes."""
        try:
            body = self.s3.get_object(Bucket=item.bucket, Key=item.key)["Body"]
            try:
                yield from body.iter_chunks(_CHUNK)
            finally:
                body.close()
        except self.errors as error:
            said = f"s3://{item.bucket}/{item.key}: {_said(error)}"
            hopeless = _code(error) in _GONE or isinstance(error, self._misnamed)
            raise (UnusableError if hopeless else QueueError)(said) from error


class SqsQueue:
    """A Queue."""

    def __init__(self, clients: _Clients, url: str) -> None:
        self._clients = clients
        self._url = url
        self.lease_s, self._redrives = self._settings()

    def receive(self) -> list[Delivery]:
        """Up to ten messages."""
        answer = self._ask(
            self._clients.sqs.receive_message,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=_WAIT_S,
            VisibilityTimeout=int(self.lease_s),
        )
        return [self._delivery(message) for message in answer.get("Messages", ())]

    def hold(self, deliveries: Sequence[Delivery], seconds: float) -> None:
        """Visible to others after that many seconds."""
        for batch in _batches(deliveries):
            entries = [{**entry, "VisibilityTimeout": int(seconds)} for entry in _entries(batch)]
            self._ask_all(self._clients.sqs.change_message_visibility_batch, entries)

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Delete them."""
        for batch in _batches(deliveries):
            self._ask_all(self._clients.sqs.delete_message_batch, _entries(batch))

    def close(self) -> None:
        """Nothing is left open on the other side."""

    def _settings(self) -> tuple[float, bool]:
        """The visibility its owner chose, and whether the queue puts away what was received too often."""
        try:
            answer = self._ask(
                self._clients.sqs.get_queue_attributes, AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
            )
        except QueueError as error:
            if not isinstance(error.__cause__, Exception) or "AccessDenied" not in _code(error.__cause__):
                raise
            return _LEASE_S, False
        given = answer.get("Attributes", {})
        return max(1.0, float(given.get("VisibilityTimeout", _LEASE_S))), bool(given.get("RedrivePolicy"))

    def _delivery(self, message: dict[str, Any]) -> Delivery:
        position = f"SQS message {message['MessageId']}"
        return Delivery(position, message["Body"].encode(), message["ReceiptHandle"], self._redrives)

    def _ask_all(self, call: Callable[..., Any], entries: list[dict[str, Any]]) -> None:
        failed = self._ask(call, Entries=entries).get("Failed", ())
        if failed:
            raise QueueError(f"SQS: {len(failed)} of {len(entries)} messages: {plain(failed[0].get('Message', ''))}")

    def _ask(self, call: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return call(QueueUrl=self._url, **arguments)
        except self._clients.errors as error:
            raise QueueError(f"SQS {self._url}: {_said(error)}") from error


def region_of(url: str) -> str:
    """The region in a queue's URL; the oldest region where it has none."""
    found = _REGION.match(url)
    return found[1] if found else "us-east-1"


def _batches(deliveries: Sequence[Delivery]) -> Iterable[Sequence[Delivery]]:
    return (deliveries[i : i + _BATCH] for i in range(0, len(deliveries), _BATCH))


def _entries(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    return [{"Id": str(i), "ReceiptHandle": delivery.handle} for i, delivery in enumerate(deliveries)]


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _said(error: Exception) -> str:
    return plain(str(error) or type(error).__name__, 300)
