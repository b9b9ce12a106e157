"""EventService: the resumable stream of events, and incidents on request.

Every reader is served from the store, page by page and at its own pace: a slow one holds one page and holds up
nobody.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from vedette.v1 import event_pb2

from collector.errors import CollectorError, MessageError, QueryError, StoreError
from collector.incident import Incident
from collector.metrics import Metrics
from collector.publish.feed import Feed
from collector.publish.wire import finding_message, incident_message
from collector.receive.identity import Role, peer_identity
from collector.store.store import Store
from detection.finding import Finding

log = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=Message)

SERVICE = "vedette.v1.EventService"
_PAGE = 200
_READERS = (Role.READER, Role.ADMIN, Role.LOCAL)
_MAX_LIST = 1000


class EventService:
    """Serves readers; `heartbeat_s` of silence are followed by a heartbeat."""

    def __init__(
        self, store: Store, feed: Feed, metrics: Metrics, *, heartbeat_s: float, max_readers: int = 100
    ) -> None:
        self._store = store
        self._feed = feed
        self._metrics = metrics
        self._heartbeat_s = heartbeat_s
        self._max_readers = max_readers
        self._readers = 0
        self._stopping = False
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="store-reader")

    def handler(self) -> "grpc.GenericRpcHandler[bytes, bytes]":
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        methods = {
            "Subscribe": grpc.unary_stream_rpc_method_handler(self.subscribe),
            "ListIncidents": grpc.unary_unary_rpc_method_handler(self.list_incidents),
            "GetIncident": grpc.unary_unary_rpc_method_handler(self.get_incident),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def stop(self) -> None:
        """End every subscription after the events that are committed now."""
        self._stopping = True

    def close(self) -> None:
        """Let the reading threads go."""
        self._pool.shutdown()

    async def subscribe(self, data: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> AsyncIterator[bytes]:
        """Events from a position on."""
        request = await self._admit(data, event_pb2.SubscribeRequest, context)
        if self._readers >= self._max_readers:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._max_readers} readers are connected")
        self._readers += 1
        self._metrics.set("subscribers", self._readers)
        try:
            async for event in self._follow(request):
                yield event.SerializeToString()
                self._metrics.count("events_sent")
        except CollectorError as error:
            await context.abort(_status_of(error), str(error))
        finally:
            self._readers -= 1
            self._metrics.set("subscribers", self._readers)

    async def _follow(self, request: event_pb2.SubscribeRequest) -> AsyncIterator[event_pb2.Event]:
        cursor = await self._start(request)
        while True:
            after = cursor
            entries, cursor = await self._read(partial(self._store.events, after, _PAGE, int(request.min_severity)))
            for position, subject in entries:
                yield _event(position, subject)
            if cursor > after:
                continue
            if request.end_at_newest or self._stopping:
                return
            if not await self._wait(cursor):
                yield event_pb2.Event(cursor=cursor, heartbeat=event_pb2.Heartbeat())

    async def _wait(self, cursor: int) -> bool:
        """Wait for news, at most one heartbeat long; short steps, to notice a stop."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._heartbeat_s
        while not self._stopping and (left := end - loop.time()) > 0:
            if await self._feed.wait(cursor, min(left, 0.5)):
                return True
        return self._stopping

    async def _start(self, request: event_pb2.SubscribeRequest) -> int:
        newest = await self._read(self._store.newest_cursor)
        if request.tail:
            return newest
        if request.cursor > newest:
            raise QueryError(
                f"cursor {request.cursor} is ahead of the newest event, {newest}: "
                "the collector has a new store; start from 0"
            )
        return int(request.cursor)

    async def list_incidents(self, data: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        """Incidents, newest first, without findings."""
        request = await self._admit(data, event_pb2.ListIncidentsRequest, context)
        limit = min(request.limit or 100, _MAX_LIST)
        found = await self._answer(lambda: self._store.incidents(limit, int(request.min_severity)), context)
        answer = event_pb2.ListIncidentsResponse(incidents=[incident_message(i, brief=True) for i in found])
        return bytes(answer.SerializeToString())

    async def get_incident(self, data: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        """One incident with its findings and joins."""
        request = await self._admit(data, event_pb2.GetIncidentRequest, context)
        incident = await self._answer(lambda: _only(self._store.incident(request.id[:128]), request.id[:128]), context)
        return bytes(incident_message(incident).SerializeToString())

    async def _admit(self, data: bytes, kind: type[M], context: "grpc.aio.ServicerContext[bytes, bytes]") -> M:
        """The request of a peer that may read; ends the call otherwise."""
        peer = peer_identity(context)
        if peer is None or peer.role not in _READERS:
            self._metrics.count("messages_bad", cause="identity")
            text = "reading events needs a reader certificate; issue one with `vedette pki issue-reader`"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, text)
        try:
            return kind.FromString(data)
        except (DecodeError, UnicodeDecodeError):
            self._metrics.count("messages_bad", cause="malformed")
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"request is not a {kind.DESCRIPTOR.full_name}")

    async def _answer(self, work: Callable[[], T], context: "grpc.aio.ServicerContext[bytes, bytes]") -> T:
        try:
            return await self._read(work)
        except CollectorError as error:
            await context.abort(_status_of(error), str(error))

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _only(found: list[Incident], prefix: str) -> Incident:
    if not found:
        raise QueryError(f"no incident begins with {prefix!r}; `vedette incidents` lists them")
    exact = [incident for incident in found if incident.id == prefix]
    if len(found) > 1 and not exact:
        raise MessageError(f"more than one incident begins with {prefix!r}; give more of its id")
    return exact[0] if exact else found[0]


def _status_of(error: CollectorError) -> grpc.StatusCode:
    if isinstance(error, MessageError):
        return grpc.StatusCode.INVALID_ARGUMENT
    return grpc.StatusCode.UNAVAILABLE if isinstance(error, StoreError) else grpc.StatusCode.NOT_FOUND


def _event(cursor: int, subject: Finding | Incident) -> event_pb2.Event:
    if isinstance(subject, Finding):
        return event_pb2.Event(cursor=cursor, finding=finding_message(subject))
    return event_pb2.Event(cursor=cursor, incident=incident_message(subject))
