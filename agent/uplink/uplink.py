"""The sender thread: connects, sends what the spool holds, and comes back whenever the collector goes away."""

import logging
import random
import threading
import time
from dataclasses import dataclass, replace
from enum import StrEnum

import grpc

from agent.errors import SpoolError, UplinkError
from agent.exchange import Exchange
from agent.uplink.channel import Credentials, check_target, open_channel
from agent.uplink.session import Identity, Session, SpoolReader

log = logging.getLogger(__name__)


class LinkState(StrEnum):
    """Where the uplink stands."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    STREAMING = "streaming"
    ABSENT = "absent"  # no collector answers: normal, the spool keeps the records
    REFUSED = "refused"  # a collector answers, and will not have this agent or this stream


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pause before the n-th retry in a row: base · 2ⁿ up to `longest_s`, times a random 0.5..1."""

    base_s: float = 0.25
    longest_s: float = 30.0

    def pause(self, failures: int) -> float:
        """Seconds."""
        longest = min(self.longest_s, self.base_s * 2.0 ** min(failures, 20))
        return longest * random.uniform(0.5, 1)  # noqa: S311 (jitter, not a secret)


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """For the status file and metrics. Counters are since start."""

    state: LinkState = LinkState.STOPPED
    target: str = ""
    connects: int = 0
    failures: int = 0
    recoveries: int = 0  # times the spool had to begin a new stream
    sent_seq: int = 0
    acked_seq: int = 0
    last_error: str = ""


_REFUSALS = (
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.DATA_LOSS,
)


class Uplink:
    """Raises: UplinkError at once where the target or the certificate files can never work."""

    def __init__(
        self,
        spool: SpoolReader,
        target: str,
        credentials: Credentials | None,
        identity: Identity,
        *,
        window: int = 512,
        backoff: Backoff = Backoff(),
        exchange: Exchange | None = None,
    ) -> None:
        check_target(target, credentials)
        self._spool = spool
        self._target = target
        self._credentials = credentials
        self._identity = identity
        self._window = window
        self._backoff = backoff
        self._exchange = exchange
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._status = UplinkStatus(target=target)
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def stop(self, flush_s: float = 5.0) -> bool:
        """Stop. Waits up to `flush_s` for the newest record's acknowledgement while a collector is there.

        Returns whether everything was acknowledged.
        """
        flushed = self._flush(time.monotonic() + flush_s)
        self._stopping.set()
        if self._session is not None:
            self._session.end()
        if self._thread.is_alive():
            self._thread.join(5)
        self._status = replace(self.status(), state=LinkState.STOPPED)
        return flushed

    def status(self) -> UplinkStatus:
        """How it stands now."""
        session, status = self._session, self._status
        if session is None:
            return status
        state = LinkState.STREAMING if session.streaming else status.state
        acked = max(status.acked_seq, session.acked)
        return replace(status, state=state, sent_seq=max(status.sent_seq, session.sent), acked_seq=acked)

    def _flush(self, deadline: float) -> bool:
        pause = threading.Event()
        while (flushed := self.status().acked_seq >= self._spool.newest_seq) is False:
            waiting = self.status().state in (LinkState.CONNECTING, LinkState.STREAMING)
            if not waiting or time.monotonic() > deadline:
                break
            pause.wait(0.02)
        return flushed

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._set(state=LinkState.CONNECTING if failures == 0 else self._status.state)
            session = Session(self._spool, self._identity, self._window, self._exchange)
            self._session = session
            if self._stopping.is_set():
                break
            error = self._converse(session)
            failures = 1 if session.welcomed else failures + 1
            self._close(session, error)
            if not self._stopping.is_set():
                self._stopping.wait(self._backoff.pause(failures))

    def _converse(self, session: Session) -> grpc.RpcError | UplinkError | None:
        try:
            with open_channel(self._target, self._credentials) as channel:
                self._set(connects=self._status.connects + 1)
                session.run(channel)
        except (grpc.RpcError, UplinkError) as error:
            return error
        return None

    def _close(self, session: Session, error: grpc.RpcError | UplinkError | None) -> None:
        """Take over what the session reached, and decide what its end means."""
        self._set(
            state=_state_after(error),
            failures=self._status.failures + 1,
            sent_seq=session.sent,
            acked_seq=max(self._status.acked_seq, session.acked),
            last_error=_describe(error) or session.diverged,
        )
        self._session = None
        if not self._stopping.is_set():
            log.log(logging.INFO, "collector %s: %s", self._target, self._status.last_error or "connection ended")
        if session.diverged or _code(error) is grpc.StatusCode.DATA_LOSS:
            self._recover(session.diverged or _describe(error))

    def _recover(self, why: str) -> None:
        log.error("uplink: %s; the spool begins a new stream", why)
        try:
            self._spool.recover()
        except SpoolError as error:
            self._set(last_error=str(error))
            return
        self._set(recoveries=self._status.recoveries + 1, acked_seq=0, sent_seq=0)

    def _set(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]


def _code(error: grpc.RpcError | UplinkError | None) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call) else None


def _state_after(error: grpc.RpcError | UplinkError | None) -> LinkState:
    refused = isinstance(error, UplinkError) or _code(error) in _REFUSALS
    return LinkState.REFUSED if refused else LinkState.ABSENT


def _describe(error: grpc.RpcError | UplinkError | None) -> str:
    """One bounded, printable line: the text comes from the network."""
    if error is None:
        return ""
    text = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
    return "".join(c if c.isprintable() else "?" for c in text)[:300]
