"""What an agent's stream carries beside its records: profiles and rates up, the fleet's knowledge and forests down.

Records never wait for it: what comes is put aside at once, and what does not fit is dropped and counted (the agent
sends a profile again that is not confirmed). All that goes down shares one lock with the acknowledgements.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from vedette.v1 import agent_pb2

from collector.errors import CollectorError
from collector.fleet.fleet import Fleet
from collector.fleet.link import Link
from collector.metrics import Metrics
from collector.receive.profiles import ack_message, decided_message
from collector.receive.rates import forest_message
from collector.receive.rules import rule_set_messages
from collector.rulebook import Rulebook
from collector.store.rates import ForestBlob
from detection.baseline.decision import Decisions
from detection.baseline.parts import Assembler, Part, PartError
from detection.rates.window import RateWindow

log = logging.getLogger(__name__)

Send = Callable[[bytes], Awaitable[None]]
RulesDue = tuple[Rulebook, str]  # and the digest of what the agent keeps
_SETTLE_S = 2.0
_PARTS = 64  # that wait; one agent sends one after the other


class Trainer(Protocol):
    """Learns from rates."""

    async def add(self, agent_id: str, windows: Sequence[RateWindow]) -> None:
        """Take windows to train from."""

    async def forest(self, key: tuple[str, str]) -> ForestBlob | None:
        """The newest forest of a workload."""

    def newest(self, key: tuple[str, str]) -> int:
        """Its revision; 0: none."""


class Side:
    """Of one connection. `work` runs beside the records until it is cancelled."""

    def __init__(
        self,
        fleet: Fleet,
        link: Link,
        trainer: Trainer | None,
        send: Send,
        metrics: Metrics,
        *,
        rules: RulesDue | None = None,
    ) -> None:
        self._fleet = fleet
        self._link = link
        self._trainer = trainer
        self._send = send
        self._metrics = metrics
        self._rules = rules
        self._assembler = Assembler()
        self._came: asyncio.Queue[Part | list[RateWindow]] = asyncio.Queue(_PARTS)
        self._revisions: dict[tuple[str, str], int] = {}

    def put(self, message: Part | list[RateWindow]) -> None:
        """Something came that is no record."""
        try:
            self._came.put_nowait(message)
        except asyncio.QueueFull:
            self._metrics.count("profiles", result="dropped")

    async def work(self) -> None:
        """Take in and send out, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._take_in())
                tasks.create_task(self._send_out())
                if self._rules is not None:
                    tasks.create_task(self._send_rules(*self._rules))
        except* Exception:  # a fault here must not be silent, and records go on without it
            log.exception("agent %s: profiles are not exchanged until it connects again", self._link.agent_id)

    async def settle(self) -> None:
        """The stream ends: finish what came, as long as that is soon."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._came.join(), _SETTLE_S)

    async def _take_in(self) -> None:
        while True:
            message = await self._came.get()
            try:
                if isinstance(message, Part):
                    await self._part(message)
                elif self._trainer is not None:
                    for key in {(window.workload, window.version) for window in message}:
                        self._link.announce(key)
                    await self._trainer.add(self._link.agent_id, message)
            except PartError as error:
                self._metrics.count("messages_bad", cause="profile")
                log.warning("agent %s: %s", self._link.agent_id, error)
            except CollectorError as error:  # the agent tells it again
                log.error("agent %s: %s", self._link.agent_id, error)
            except Exception:  # whatever this message did, the next one is another
                self._metrics.count("messages_bad", cause="profile")
                log.exception("agent %s: a profile could not be taken", self._link.agent_id)
            finally:
                self._came.task_done()

    async def _part(self, part: Part) -> None:
        update = self._assembler.add(part)
        if update is None:
            return
        number = await self._fleet.take(self._link, update)
        await self._send(ack_message(*update.key, number))

    async def _send_out(self) -> None:
        while True:
            key = await self._link.next()
            try:
                await self._decisions(key)
                await self._profile(key)
                await self._forest(key)
            except CollectorError as error:
                log.error("agent %s: %s", self._link.agent_id, error)

    async def _send_rules(self, book: Rulebook, held: str) -> None:
        """Whenever the agent's are not the newest; part by part, so that acknowledgements are not kept waiting."""
        while True:
            offer = await book.other_than(held)
            for message in rule_set_messages(offer):
                await self._send(message)
            held = offer.digest
            self._metrics.count("fleet_sent", kind="rules")

    async def _decisions(self, key: tuple[str, str]) -> None:
        decided = self._fleet.decided(key)
        if decided is None and key not in self._link.decided:
            return
        self._link.decided.add(key)
        about = Decisions(*key) if decided is None else decided
        await self._send(decided_message(about))
        self._metrics.count("fleet_sent", kind="decisions")

    async def _profile(self, key: tuple[str, str]) -> None:
        merged = await self._fleet.merged(key)
        if self._link.sent.get(key) == merged.print or not self._fleet.tells_more(key, self._link.agent_id):
            return
        for message in merged.messages:
            await self._send(message)
        self._link.sent[key] = merged.print
        self._metrics.count("fleet_sent", kind="profile")

    async def _forest(self, key: tuple[str, str]) -> None:
        if self._trainer is None or self._trainer.newest(key) <= self._revisions.get(key, 0):
            return
        blob = await self._trainer.forest(key)
        if blob is None:
            return
        self._revisions[key] = blob.revision
        message = agent_pb2.CollectorMessage(rate_forest=forest_message(blob))
        await self._send(message.SerializeToString())
        self._metrics.count("fleet_sent", kind="forest")
