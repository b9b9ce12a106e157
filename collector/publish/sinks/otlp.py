"""OpenTelemetry logs over HTTP (OTLP/HTTP, JSON encoding): `url` is the whole address, …/v1/logs."""

from collections.abc import Sequence

import orjson

from collector.plain import plain
from collector.publish.sinks.config import HttpEnd
from collector.publish.sinks.formats.otlp import request_of
from collector.publish.sinks.http import HttpClient
from collector.publish.sinks.port import Item, RefusedError


class OtlpSink:
    """One ExportLogsServiceRequest per batch."""

    def __init__(self, end: HttpEnd, timeout_s: float) -> None:
        self._client = HttpClient(end.url, end.tls, end.authorization, timeout_s)

    def send(self, items: Sequence[Item]) -> None:
        """Export. Raises: RetryError, RefusedError (also for a partial success: which part is found by halving)."""
        body = request_of(item.body for item in items)
        answer = self._client.post(body, {"Content-Type": "application/json"})
        if (rejected := _rejected(answer.body)) is not None:
            raise RefusedError(rejected)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def _rejected(body: bytes) -> str | None:
    """What the far end says of records it rejected; None where it took all."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return None
    part = answer.get("partialSuccess") if isinstance(answer, dict) else None
    if not isinstance(part, dict) or str(part.get("rejectedLogRecords", 0)) in ("0", "", "None"):
        return None
    return f"rejected: {plain(part.get('errorMessage', ''), 200)}"
