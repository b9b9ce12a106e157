"""Google Cloud Pub/Sub, pulled: the messages of a log sink's subscription.

Credentials come from where Google's own libraries take them (`GOOGLE_APPLICATION_CREDENTIALS`, workload identity);
`PUBSUB_EMULATOR_HOST` names an emulator. Unary pull, not the library's streaming one: that acknowledges and extends in
threads of its own, and how much it holds is not ours to bound.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from collector.audit.format import Format
from collector.audit.queue import Connect, Delivery, QueueError, opened_as
from collector.errors import ConfigError
from collector.plain import plain

_WAIT_S = 10.0
_LEASE_S = 60.0
_BATCH = 100
_NAME = re.compile(r"projects/[a-z0-9.:-]{4,100}/subscriptions/[A-Za-z][\w.~+%-]{2,254}")


def pubsub(form: Format, subscription: str) -> Connect:
    """Connects to a subscription by its full name. Raises: ConfigError."""
    try:
        import google.cloud.pubsub_v1  # noqa: PLC0415, F401 - an extra
    except ImportError as error:
        raise ConfigError(
            f"--audit-pubsub {subscription}: google-cloud-pubsub is not installed: pip install 'vedette[gcp]'"
        ) from error
    if not _NAME.fullmatch(subscription):
        raise ConfigError(f"--audit-pubsub {subscription}: give projects/PROJECT/subscriptions/NAME")
    return lambda: (PubSubQueue(subscription), opened_as(form))


class PubSubQueue:
    """A Queue."""

    lease_s = _LEASE_S

    def __init__(self, subscription: str) -> None:
        from google.api_core.exceptions import DeadlineExceeded, GoogleAPIError  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.cloud.pubsub_v1 import SubscriberClient  # noqa: PLC0415

        self._subscription = subscription
        self._errors = (GoogleAPIError, GoogleAuthError, OSError)
        self._nothing = DeadlineExceeded
        try:
            self._client = SubscriberClient()
        except self._errors as error:
            raise QueueError(f"Pub/Sub client: {_said(error)}") from error

    def receive(self) -> list[Delivery]:
        """Up to a hundred messages."""
        try:
            answer = self._client.pull(
                request={"subscription": self._subscription, "max_messages": _BATCH}, timeout=_WAIT_S, retry=None
            )
        except self._nothing:
            return []
        except self._errors as error:
            raise QueueError(f"Pub/Sub {self._subscription}: {_said(error)}") from error
        found = [self._delivery(received) for received in answer.received_messages]
        if found:  # the subscription's own deadline may be ten seconds
            self.hold(found, _LEASE_S)
        return found

    def hold(self, deliveries: Sequence[Delivery], seconds: float) -> None:
        """Ours for that long; 0 gives them back."""
        self._ask(self._client.modify_ack_deadline, deliveries, ack_deadline_seconds=int(seconds))

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge."""
        self._ask(self._client.acknowledge, deliveries)

    def close(self) -> None:
        """Close the channel."""
        self._client.close()

    def _ask(self, call: Callable[..., Any], deliveries: Sequence[Delivery], **fields: Any) -> None:
        if not deliveries:
            return
        request = {"subscription": self._subscription, "ack_ids": [d.handle for d in deliveries], **fields}
        try:
            call(request=request, timeout=_WAIT_S)
        except self._errors as error:
            raise QueueError(f"Pub/Sub {self._subscription}: {_said(error)}") from error

    def _delivery(self, received: Any) -> Delivery:
        message = received.message
        position = f"Pub/Sub message {plain(message.message_id, 64)}"
        # Attempts are counted only where the subscription has a dead-letter topic.
        return Delivery(position, bytes(message.data), received.ack_id, received.delivery_attempt > 0)


def _said(error: Exception) -> str:
    return plain(str(error) or type(error).__name__, 300)
