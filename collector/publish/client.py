"""A reader of EventService: what `vedette tail`, `vedette incidents` and the demo use."""

import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
from google.protobuf.json_format import MessageToDict
from vedette.v1 import event_pb2, event_pb2_grpc

from collector.config import TlsFiles
from collector.errors import ConfigError, MessageError, QueryError
from collector.incident import Incident
from collector.plain import plain
from collector.publish.wire import incident_from_message, severity_name
from collector.receive.wire import entity_from_message, finding_from_message
from detection.finding import Finding, Severity

_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.enable_http_proxy", 0),
)


class UnreachableError(QueryError):
    """No collector answers there now; trying again may help."""


class Entry(NamedTuple):
    """One event; `body` is None for a heartbeat."""

    cursor: int
    body: Finding | Incident | None


def open_channel(target: str, tls: TlsFiles | None) -> grpc.Channel:
    """A channel to a collector. Raises: ConfigError where the options can never work."""
    if target.startswith("unix:"):
        return grpc.insecure_channel(target, options=_OPTIONS)
    if tls is None:
        raise ConfigError(
            f"collector {target}: plaintext over TCP is refused; give --cert, --key and --ca "
            "(`vedette pki issue-reader` makes them), or use unix:/path on this machine"
        )
    try:
        ssl.create_default_context(cafile=str(tls.ca)).load_cert_chain(tls.certificate, tls.key)
        credentials = grpc.ssl_channel_credentials(
            tls.ca.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes()
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"certificate files {tls.certificate}, {tls.key}, {tls.ca}: {error.strerror or error}"
        ) from error
    return grpc.secure_channel(target, credentials, options=_OPTIONS)


class EventClient:
    """Blocking calls over one channel. All raise QueryError (UnreachableError where trying again may help)."""

    def __init__(self, channel: grpc.Channel, timeout_s: float = 10.0) -> None:
        self._stub = event_pb2_grpc.EventServiceStub(channel)
        self._timeout_s = timeout_s

    def subscribe(
        self, cursor: int, *, tail: bool = False, min_severity: int = 0, end_at_newest: bool = False
    ) -> Iterator[Entry]:
        """Events after `cursor`, until the stream ends."""
        request = event_pb2.SubscribeRequest(
            cursor=cursor,
            tail=tail,
            min_severity=_severity(min_severity),
            end_at_newest=end_at_newest,
        )
        try:
            for event in self._stub.Subscribe(request):
                yield _entry(event)
        except grpc.RpcError as error:
            raise query_error(error) from error

    def summaries(self, limit: int = 100, min_severity: int = 0) -> list[dict[str, Any]]:
        """Incidents that stand, newest first, in the form of `Incident.as_dict` with a count instead of findings."""
        request = event_pb2.ListIncidentsRequest(limit=limit, min_severity=_severity(min_severity))
        try:
            answer = self._stub.ListIncidents(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise query_error(error) from error
        return [_summary(incident) for incident in answer.incidents]

    def incident(self, id_prefix: str) -> Incident:
        """One whole incident, by its id or a unique prefix of it."""
        try:
            answer = self._stub.GetIncident(event_pb2.GetIncidentRequest(id=id_prefix), timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise query_error(error) from error
        return incident_from_message(answer)


def _severity(value: int) -> str:
    return severity_name(value) if value else "SEVERITY_UNSPECIFIED"


def _entry(event: event_pb2.Event) -> Entry:
    try:
        match event.WhichOneof("body"):
            case "finding":
                return Entry(event.cursor, finding_from_message(event.finding))
            case "incident":
                return Entry(event.cursor, incident_from_message(event.incident))
            case _:
                return Entry(event.cursor, None)
    except (MessageError, ValueError) as error:
        raise QueryError(f"event {event.cursor} is in no form this version knows: {error}") from error


def _summary(message: event_pb2.Incident) -> dict[str, Any]:
    raw = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    raw |= {
        "severity": Severity(message.severity).label,
        "first_ns": message.first_ns,
        "last_ns": message.last_ns,
        "actors": [
            {"kind": a.kind.value, "id": a.id, "role": a.role.value, "name": a.name}
            for a in map(entity_from_message, message.actors)
        ],
    }
    del raw["findings"], raw["joins"]
    return raw


def query_error(error: grpc.RpcError) -> QueryError:
    """What a failed call means."""
    if not isinstance(error, grpc.Call):
        return UnreachableError(str(error))
    code = error.code()
    text = plain(error.details() or code.name, 400)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return UnreachableError(f"no collector answers: {text}")
    return QueryError(text)
