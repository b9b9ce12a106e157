"""AgentService: one stream per agent; nothing is acknowledged before it is committed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from typing import Protocol

import grpc
from vedette.v1 import agent_pb2

from collector.errors import MessageError, StoreError, StreamError
from collector.fleet import Fleet
from collector.metrics import Metrics
from collector.plain import plain
from collector.receive.identity import Identity, Role, peer_identity
from collector.receive.inbox import Inbox
from collector.receive.side import Send, Side, Trainer
from collector.receive.wire import Aside, Hello, Unusable, parse_message
from collector.rulebook import Rulebook
from collector.store.store import Peer
from collector.stream import Record, StreamKey

log = logging.getLogger(__name__)

SERVICE = "vedette.v1.AgentService"
_HELLO_WITHIN_S = 20.0


class RecordSink(Protocol):
    """What ingest offers to a stream."""

    async def open(self, key: StreamKey, oldest_seq: int, newest_seq: int, peer: Peer) -> int:
        """The sequence number after which the stream goes on."""

    async def records(self, key: StreamKey, batch: list[Record]) -> int:
        """Commit; the newest committed sequence number."""


class AgentService:
    """Serves agents. Takes raw messages, so that one that cannot be parsed is counted and answered."""

    def __init__(
        self,
        sink: RecordSink,
        metrics: Metrics,
        fleet: Fleet | None = None,
        trainer: Trainer | None = None,
        rules: Rulebook | None = None,
    ) -> None:
        self._sink = sink
        self._metrics = metrics
        self._fleet = fleet
        self._trainer = trainer
        self._rules = rules
        self._open: set[Inbox] = set()
        self._stopping = False

    def handler(self) -> "grpc.GenericRpcHandler[bytes, bytes]":
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        connect = grpc.stream_stream_rpc_method_handler(self.connect)
        return grpc.method_handlers_generic_handler(SERVICE, {"Connect": connect})

    async def stop(self) -> None:
        """Take no more records; every stream ends once what it sent is committed and acknowledged."""
        self._stopping = True
        for inbox in list(self._open):
            await inbox.close()

    async def connect(self, _requests: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        """The stream of one agent, from hello to its end."""
        self._metrics.add("agents_connected", 1)
        result = "cancelled"
        try:
            await self._converse(context)
            result = "ended"
        except MessageError as error:
            result = "refused"
            self._metrics.count("messages_bad", cause=error.cause)
            code = grpc.StatusCode.PERMISSION_DENIED if error.cause == "identity" else grpc.StatusCode.INVALID_ARGUMENT
            await context.abort(code, str(error))
        except StreamError as error:
            result = "broken"
            log.error("stream broken: %s", error)
            await context.abort(grpc.StatusCode.DATA_LOSS, str(error))
        except StoreError as error:
            result = "unavailable"
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        finally:
            self._metrics.add("agents_connected", -1)
            self._metrics.count("connections", result=result)

    async def _converse(self, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        hello = await self._hello(context)
        if hello is None:
            return
        _check_identity(peer_identity(context), hello.agent_id)
        key = StreamKey(hello.agent_id, hello.stream_id)
        peer = Peer(hello.node, hello.boot_id, hello.version)
        committed = await self._sink.open(key, hello.oldest_seq, hello.newest_seq, peer)
        await context.write(_welcome(committed, self._features()))
        voice = _Voice(context)
        async with self._side(hello, voice.send) as side, self._inbox(context, side) as (inbox, reader):
            while batch := await inbox.take():
                committed = await self._sink.records(key, batch)
                await voice.send(_ack(committed))
            if reader.done():
                reader.result()  # raises what ended it

    def _features(self) -> list[str]:
        beside = self._fleet is not None
        offered = (
            ("profiles", self._fleet),
            ("rates", self._trainer if beside else None),
            ("rules", self._rules if beside else None),
        )
        return [name for name, there in offered if there is not None]

    @contextlib.asynccontextmanager
    async def _side(self, hello: Hello, send: Send) -> AsyncIterator[Side | None]:
        """What this agent's stream carries beside records; None where either side does not know of it."""
        if self._fleet is None or "profiles" not in hello.features:
            yield None
            return
        link = self._fleet.connect(hello.agent_id)
        rules = (self._rules, hello.rules_held) if self._rules is not None and "rules" in hello.features else None
        side = Side(self._fleet, link, self._trainer, send, self._metrics, rules=rules)
        work = asyncio.create_task(side.work())
        try:
            yield side
            await side.settle()
        finally:
            self._fleet.disconnect(link)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _hello(self, context: "grpc.aio.ServicerContext[bytes, bytes]") -> Hello | None:
        """The first message; None when the stream ends before it. Raises: MessageError."""
        try:
            data = await asyncio.wait_for(context.read(), _HELLO_WITHIN_S)
        except TimeoutError as error:
            raise MessageError(f"no hello within {_HELLO_WITHIN_S:.0f} s", "protocol") from error
        if not isinstance(data, bytes) or self._stopping:  # grpc.aio.EOF
            return None
        message = parse_message(data)
        if not isinstance(message, Hello):
            raise MessageError("the first message must be a hello", "protocol")
        return message

    @contextlib.asynccontextmanager
    async def _inbox(
        self, context: "grpc.aio.ServicerContext[bytes, bytes]", side: Side | None
    ) -> AsyncIterator[tuple[Inbox, "asyncio.Task[None]"]]:
        """An inbox and the task that fills it from the network."""
        inbox = Inbox()
        self._open.add(inbox)
        if self._stopping:
            await inbox.close()
        reader = asyncio.create_task(self._fill(inbox, context, side))
        try:
            yield inbox, reader
        finally:
            self._open.discard(inbox)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _fill(self, inbox: Inbox, context: "grpc.aio.ServicerContext[bytes, bytes]", side: Side | None) -> None:
        """Until the agent ends the stream or sends something wrong. Raises: MessageError."""
        try:
            while isinstance(data := await context.read(), bytes):  # until grpc.aio.EOF
                message = parse_message(data)
                if isinstance(message, Hello):
                    raise MessageError("a second hello on one stream", "protocol")
                if not isinstance(message, Record):
                    self._put_aside(message, side)
                elif not await inbox.put(message):
                    return
        finally:
            await inbox.close()

    def _put_aside(self, message: Aside, side: Side | None) -> None:
        if isinstance(message, Unusable):
            self._metrics.count("messages_bad", cause=message.cause)
            log.warning("an agent's message is passed over: %s", plain(message.reason, 300))
        elif side is not None:
            side.put(message)


class _Voice:
    """The one way to write to an agent: gRPC takes one message at a time."""

    def __init__(self, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        self._context = context
        self._lock = asyncio.Lock()

    async def send(self, message: bytes) -> None:
        """Write it, after what is being written."""
        async with self._lock:
            await self._context.write(message)


def _check_identity(peer: Identity | None, agent_id: str) -> None:
    """Raises: MessageError unless the certificate is this agent's (or the peer is on this machine)."""
    if peer is None:
        raise MessageError("the certificate names no Vedette identity; issue one with `vedette pki`", "identity")
    if peer.role is Role.LOCAL or peer == Identity(Role.AGENT, agent_id):
        return
    raise MessageError(f"the certificate is for {peer.role} {peer.name!r}, hello says agent {agent_id!r}", "identity")


def _welcome(committed: int, features: Sequence[str]) -> bytes:
    welcome = agent_pb2.Welcome(committed_seq=committed, version=version("vedette"), features=features)
    return bytes(agent_pb2.CollectorMessage(welcome=welcome).SerializeToString())


def _ack(seq: int) -> bytes:
    return bytes(agent_pb2.CollectorMessage(ack=agent_pb2.Ack(seq=seq)).SerializeToString())
