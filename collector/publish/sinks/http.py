"""Requests to one URL over a kept connection, and what an answer means for delivery."""

import contextlib
import email.utils
import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from collector.errors import ConfigError
from collector.plain import plain
from collector.publish.sinks.config import Tls, read_secret
from collector.publish.sinks.port import RefusedError, RetryError
from collector.publish.sinks.secure import tls_context

_ANSWER = 64 * 1024
# About the record itself. Other 4xx speak of the address, the credentials or the time: those can be mended.
_BAD_RECORD = frozenset({400, 406, 409, 411, 412, 413, 414, 415, 416, 417, 422, 431})


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; at most 64 KiB of its body."""

    status: int
    body: bytes
    retry_after_s: float


class HttpClient:
    """POSTs to one URL. Redirects are not followed: credentials go where they were meant to."""

    def __init__(self, url: str, tls: Tls, authorization: Path | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._secure = parts.hostname or "", parts.port, parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._place = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self._tls = tls
        self._authorization = authorization
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One request; the answer is a 2xx. Raises: RetryError, RefusedError, ConfigError (its files)."""
        if self._authorization is not None:
            (token, *_) = read_secret(self._authorization, "authorization_file")
            if not token.isascii() or not token.isprintable():
                raise ConfigError(f"{self._place}: authorization_file: its first line is not printable ASCII")
            headers = {**headers, "Authorization": token}
        try:
            answer = self._exchange(body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise RetryError(f"{self._place}: {_said(error)}") from None  # the cause may hold a header's value
        return self._judged(answer)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        kept = self._connection is not None
        connection = self._connected()
        try:
            connection.request("POST", self._path, body, {"User-Agent": "vedette", **headers})
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):
            if not kept:
                raise
            self.close()  # an idle connection the far end let go: once more on a new one
            return self._exchange(body, headers)
        found = Answer(response.status, response.read(_ANSWER), _seconds(response.getheader("Retry-After")))
        if response.read(1):
            self.close()
        return found

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._secure:
                context = tls_context(self._tls, self._place)
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_s, context=context
                )
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return self._connection

    def _judged(self, answer: Answer) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        said = plain(answer.body[:300].decode(errors="replace"), 200)
        text = f"{self._place}: HTTP {answer.status} {said}".rstrip()
        if answer.status in _BAD_RECORD:
            raise RefusedError(text)
        raise RetryError(text, answer.retry_after_s)


def _seconds(value: str | None) -> float:
    """Retry-After: seconds or a date (RFC 9110 §10.2.3)."""
    if not value:
        return 0.0
    if value.isdecimal():
        return float(value[:9])
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    return 0.0


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {plain(error.verify_message, 200)}"
    if isinstance(error, OSError):
        return plain(str(error) or type(error).__name__, 200)
    return type(error).__name__
