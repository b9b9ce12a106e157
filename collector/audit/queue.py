"""Audit records that wait in somebody's queue: received, taken in, and only then acknowledged."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from collector.audit.dead_letter import DeadLetter
from collector.audit.detector import Detector
from collector.audit.envelope import parse
from collector.audit.format import Format
from collector.audit.intake import take_in
from collector.audit.port import Emit
from collector.audit.problems import ProblemLog
from collector.audit.record import AuditRecord, Parsed, Problem
from collector.audit.worker import Worker
from collector.errors import CollectorError

_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
_AGAIN_S = 30.0
_LEAVE_S = 1.0
_ANEW = 8  # failures in a row


class QueueError(CollectorError):
    """The service could not be asked, or refused; it may work again later."""


class UnusableError(CollectorError):
    """This message can never be taken in; the message says why."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message: where it stood, its content, and what the queue needs to know it by.

    `redrives`: the queue itself puts away what was delivered too often.
    """

    position: str
    body: bytes
    handle: Any
    redrives: bool = False


class Queue(Protocol):
    """A queue of some service. Blocking; called from two threads: `hold` from its own. All raise QueueError."""

    @property
    def lease_s(self) -> float:
        """How long a delivery is ours unless held; 0: always."""

    def receive(self) -> list[Delivery]:
        """The next messages; waits some seconds for the first."""

    def hold(self, deliveries: Sequence[Delivery], seconds: float) -> None:
        """They are ours for that long from now; 0: give them back."""

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """They need not come again."""

    def close(self) -> None:
        """Leave; never raises."""


# The pieces of a message. Blocking. Raises: UnusableError, QueueError.
Open = Callable[[Delivery], Iterator[Parsed]]
# Makes the queue and what opens its messages. Blocking. Raises: QueueError.
Connect = Callable[[], tuple[Queue, Open]]


def opened_as(form: Format) -> Open:
    """For queues whose messages are the records, or envelopes of them."""

    def pieces(delivery: Delivery) -> Iterator[Parsed]:
        parsed = parse(form, delivery.body, delivery.position)
        if parsed.problems and not parsed.records and not parsed.other:
            raise UnusableError(parsed.problems[0].reason)
        yield parsed

    return pieces


class AuditQueue:
    """An AuditSource over one queue.

    A message is acknowledged after its findings are committed, so what is under way when the process dies comes
    again; repeats have the same finding ids. Bad records in a good message cost only themselves. A message that is
    bad as a whole is given back if the queue puts such aside by itself, else it goes to the dead letter.
    `connect` is called in the queue's own thread, again after several failures in a row.
    """

    def __init__(
        self,
        name: str,
        form: Format,
        connect: Connect,
        detector: Detector,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        self._name = name
        self._form = form
        self._connect = connect
        self._detector = detector
        self._problems = ProblemLog(name, dead_letter)
        self._worker = Worker(f"audit-{name}"[:15])
        self._keeper = Worker(f"hold-{name}"[:15])
        self._queue: Queue | None = None
        self._open: Open = opened_as(form)
        self._held: list[Delivery] = []
        self._failures = 0  # in a row

    async def run(self, emit: Emit) -> None:
        """Take in messages until cancelled; what is not acknowledged then comes again."""
        try:
            while True:
                await self._serve(emit)
                await asyncio.sleep(_RETRY_S[min(self._failures, len(_RETRY_S)) - 1])
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_S):
                    await self._worker.call(self._leave)
            self._worker.close()
            self._keeper.close()

    def counters(self) -> Mapping[str, int]:
        """Messages by what became of them, records, bad records, failures by cause."""
        return self._problems.counts()

    async def _serve(self, emit: Emit) -> None:
        """Until the service fails."""
        try:
            queue = await self._connected()
            while True:
                deliveries = await self._worker.call(queue.receive)
                if deliveries:
                    self._failures = 0  # an empty answer proves little: a consumer without rights gives them too
                    await self._take(queue, deliveries, emit)
        except QueueError as error:
            self._failures += 1
            if self._failures % _ANEW == 0:
                await self._forget()
            self._problems.note("queue_failed", f"audit source {self._name}: {error}; trying again")

    async def _connected(self) -> Queue:
        if self._queue is not None:
            return self._queue
        queue, self._open = await self._worker.call(self._connect)
        self._queue = queue
        return queue

    async def _forget(self) -> None:
        """Connect anew: credentials may have changed."""
        await self._worker.call(self._leave)
        self._queue = None

    def _leave(self) -> None:
        if self._queue is not None:
            self._queue.close()

    async def _take(self, queue: Queue, deliveries: list[Delivery], emit: Emit) -> None:
        self._problems.count("messages", len(deliveries))
        done: list[Delivery] = []
        async with self._holding(queue, deliveries):
            for delivery in deliveries:
                if await self._is_done(queue, delivery, emit):
                    done.append(delivery)
                else:
                    self._held.remove(delivery)
            if done:
                await self._worker.call(lambda: queue.done(done))
        self._problems.count("messages_done", len(done))

    async def _is_done(self, queue: Queue, delivery: Delivery, emit: Emit) -> bool:
        """Take in one message; False when it is to come again."""
        try:
            pieces = self._open(delivery)
            while (parsed := await self._worker.call(lambda: next(pieces, None))) is not None:
                self._problems.took(parsed)
                await self._commit(parsed.records, emit)
            return True
        except UnusableError as error:
            return await self._put_aside(queue, delivery, Problem(delivery.position, str(error), delivery.body[:2048]))
        except QueueError as error:
            self._problems.note("message_failed", f"{delivery.position}: {error}; it comes again")
            await self._hold(queue, [delivery], _AGAIN_S)
            return False

    async def _put_aside(self, queue: Queue, delivery: Delivery, problem: Problem) -> bool:
        if not delivery.redrives:
            self._problems.count("messages_dead")
            self._problems.report((problem,))
            return True
        self._problems.note("messages_given_back", f"{problem.position}: {problem.reason}; left to the queue's redrive")
        await self._hold(queue, [delivery], 0)
        return False

    async def _commit(self, records: tuple[AuditRecord, ...], emit: Emit) -> None:
        for attempt in itertools.count():
            try:
                await take_in(self._form, records, self._detector, emit)
                return
            except CollectorError as error:
                self._problems.note("emit_retried", f"audit findings wait, they could not be stored: {error}")
                await asyncio.sleep(_RETRY_S[min(attempt, 4)])

    @contextlib.asynccontextmanager
    async def _holding(self, queue: Queue, deliveries: list[Delivery]) -> AsyncIterator[None]:
        """Keep the deliveries ours for as long as it takes."""
        self._held = list(deliveries)
        keeping = asyncio.create_task(self._keep(queue)) if queue.lease_s else None
        try:
            yield
        finally:
            self._held = []
            if keeping is not None:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self, queue: Queue) -> None:
        while True:
            await asyncio.sleep(queue.lease_s / 3)
            await self._hold(queue, list(self._held), queue.lease_s)

    async def _hold(self, queue: Queue, deliveries: list[Delivery], seconds: float) -> None:
        try:
            await self._keeper.call(lambda: queue.hold(deliveries, seconds))
        except QueueError as error:  # then they come again at worst, and are known
            self._problems.note("hold_failed", f"audit source {self._name}: {error}")
