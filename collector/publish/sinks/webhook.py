"""A webhook: events as JSON, signed, in batches."""

import hashlib
import hmac
import time
from collections.abc import Sequence

from collector.publish.sinks.config import HttpEnd, read_secret
from collector.publish.sinks.http import HttpClient
from collector.publish.sinks.port import Item


class WebhookSink:
    """POSTs an array of events; one event by itself where `single`, as alert routers want it."""

    def __init__(self, end: HttpEnd, timeout_s: float, *, single: bool) -> None:
        self._secret = end.secret
        self._single = single
        self._client = HttpClient(end.url, end.tls, end.authorization, timeout_s)

    def send(self, items: Sequence[Item]) -> None:
        """One request. Raises: RetryError, RefusedError, ConfigError."""
        body = items[0].body if self._single else b"[" + b",".join(item.body for item in items) + b"]"
        headers = {
            "Content-Type": "application/json",
            "Vedette-Delivery": f"{items[0].cursor}-{items[-1].cursor}",
        }
        if self._secret is not None:
            secrets = read_secret(self._secret, "secret_file")
            headers["Vedette-Signature"] = signature(secrets, int(time.time()), body)
        self._client.post(body, headers)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def signature(secrets: Sequence[str], now_s: int, body: bytes) -> str:
    """`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of `<t>.<body>`; one v1 per secret, so that secrets can be changed."""
    signed = b"%d." % now_s + body
    return ",".join([f"t={now_s}", *(f"v1={_hmac(secret, signed)}" for secret in secrets[:4])])


def verified(header: str, secret: str, body: bytes, now_s: float, tolerance_s: float = 300.0) -> bool:
    """What a receiver does: one of the signatures is right, and the time is near enough to be no replay."""
    parts = [part.partition("=")[::2] for part in header.split(",")[:8]]
    times = [value for name, value in parts if name == "t" and value.isdecimal()]
    if len(times) != 1 or abs(now_s - int(times[0][:12])) > tolerance_s:
        return False
    right = _hmac(secret, times[0].encode() + b"." + body)
    return any(hmac.compare_digest(value.encode(), right.encode()) for name, value in parts if name == "v1")


def _hmac(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
