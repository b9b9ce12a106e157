"""One connection to the collector: hello, welcome, records up in a bounded window, acknowledgements down."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import grpc
from vedette.v1 import agent_pb2, agent_pb2_grpc

from agent.errors import SpoolCorruptError
from agent.exchange import Exchange
from agent.spool import Frame
from agent.uplink.side import Side

_POLL_S = 0.2
_BATCH = 64


class SpoolReader(Protocol):
    """The sender's side of the spool."""

    @property
    def stream_id(self) -> str: ...
    @property
    def oldest_seq(self) -> int: ...
    @property
    def newest_seq(self) -> int: ...
    def read(self, after_seq: int, limit: int) -> list[Frame]: ...
    def wait(self, after_seq: int, timeout_s: float) -> bool: ...
    def ack(self, seq: int) -> None: ...
    def recover(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """What the agent says about itself when it connects."""

    agent_id: str
    node: str
    boot_id: str
    version: str
    abi_version: int


class Session:
    """Runs in the uplink's thread; gRPC takes the messages to send from a thread of its own."""

    def __init__(self, spool: SpoolReader, identity: Identity, window: int, exchange: Exchange | None = None) -> None:
        self._spool = spool
        self._identity = identity
        self._window = window
        self._side = Side(exchange or Exchange())
        self._changed = threading.Condition()
        self._over = False
        self._call: grpc.Call | None = None
        self.welcomed = False  # the collector has answered the hello
        self.sent = 0  # newest sequence number given to gRPC
        self.acked = 0
        self.diverged = ""  # why the spool must begin a new stream, "" while it need not

    @property
    def streaming(self) -> bool:
        """Whether records flow."""
        return self.welcomed and not self._over

    def run(self, channel: grpc.Channel) -> None:
        """Until either side ends it. Blocks. Raises: grpc.RpcError."""
        call = agent_pb2_grpc.AgentServiceStub(channel).Connect(self._messages())
        with self._changed:
            self._call = call
            if self._over:
                call.cancel()
        try:
            for message in call:
                self._handle(message)
                if self.diverged:
                    return
        finally:
            self._side.closed()
            self.end()

    def end(self) -> None:
        """Hang up, from any thread."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
            if self._call is not None:
                self._call.cancel()  # type: ignore[no-untyped-call]

    def _handle(self, message: agent_pb2.CollectorMessage) -> None:
        body = message.WhichOneof("body")
        if body == "welcome":
            self._side.welcomed(message.welcome.features)
            self._welcome(message.welcome.committed_seq)
        elif body == "ack":
            self._acknowledge(message.ack.seq)
        else:
            self._side.handle(message)

    def _welcome(self, committed: int) -> None:
        newest = self._spool.newest_seq
        if committed > newest:
            self.diverged = f"the collector has {committed} records of this stream, the spool made {newest}"
            return
        self._acknowledge(committed)
        with self._changed:
            self.sent, self.welcomed = committed, True
            self._changed.notify_all()

    def _acknowledge(self, seq: int) -> None:
        self._spool.ack(seq)
        with self._changed:
            self.acked = max(self.acked, seq)
            self._changed.notify_all()

    def _messages(self) -> Iterator[agent_pb2.AgentMessage]:
        yield agent_pb2.AgentMessage(hello=self._hello())
        with self._changed:
            self._changed.wait_for(lambda: self.welcomed or self._over)
        while (room := self._room()) > 0:
            for frame in self._next(room):
                record = agent_pb2.Record(seq=frame.seq, chain=frame.chain, payload=frame.payload)
                self.sent = frame.seq
                yield agent_pb2.AgentMessage(record=record)
            if (aside := self._side.next()) is not None:
                yield aside

    def _room(self) -> int:
        """How many records may be sent now; waits for at least one. 0: the session is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self.sent - self.acked < self._window)
            return 0 if self._over else self._window - (self.sent - self.acked)

    def _next(self, room: int) -> list[Frame]:
        if not self._spool.wait(self.sent, _POLL_S):
            return []
        try:
            return self._spool.read(self.sent, min(room, _BATCH))
        except SpoolCorruptError as error:
            self.diverged = str(error)
            self.end()
            return []

    def _hello(self) -> agent_pb2.Hello:
        running, held = self._side.rules()
        return agent_pb2.Hello(
            agent_id=self._identity.agent_id,
            stream_id=self._spool.stream_id,
            version=self._identity.version,
            abi_version=self._identity.abi_version,
            node=self._identity.node,
            boot_id=self._identity.boot_id,
            oldest_seq=self._spool.oldest_seq,
            newest_seq=self._spool.newest_seq,
            features=self._side.features(),
            rules_digest=running,
            rules_held=held,
        )
