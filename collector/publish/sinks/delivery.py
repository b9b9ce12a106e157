"""Delivery to one sink, in a thread of its own: read from the store, send, remember how far.

The store's event log is the queue: nothing is copied, and what a slow sink has not taken waits there. The position
moves only after the far end took everything before it, so each event arrives at least once and in order.
"""

import logging
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.errors import CollectorError
from collector.metrics import Metrics
from collector.plain import plain
from collector.publish.sinks.files import DeadLetter, Position
from collector.publish.sinks.port import Format, Item, RefusedError, RetryError, Sink, Subject
from detection.finding import Finding

log = logging.getLogger(__name__)

_EXCHANGE = 4 * 1024 * 1024  # bytes after which an exchange takes no more
_BASE_S = 0.5
_IDLE_S = 5.0  # the wake-up is a hint; this bounds what a lost one costs
_SAY_EVERY = 20  # retries between two lines in the log


class Events(Protocol):
    """The part of the store a sink reads; any thread."""

    def events(self, after: int, limit: int, min_severity: int) -> tuple[list[tuple[int, Subject]], int]:
        """Events after a position, and the position up to which this looked."""

    def newest_cursor(self) -> int:
        """Position of the newest event ever."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one sink gets, and how. Times in seconds; `start`: newest or beginning, for a sink that is new."""

    name: str
    kinds: frozenset[str] = frozenset({"finding", "incident"})
    min_severity: int = 1
    batch: int = 100
    start: str = "newest"
    retry_cap_s: float = 60.0


class Delivery:
    """Moves events to one sink until stopped. All its waiting ends at once when it is."""

    def __init__(
        self,
        rules: Rules,
        sink: Sink,
        form: Format,
        events: Events,
        *,
        position: Position,
        dead: DeadLetter,
        metrics: Metrics,
        chance: random.Random | None = None,
    ) -> None:
        self.rules = rules
        self._sink = sink
        self._form = form
        self._events = events
        self._position = position
        self._dead = dead
        self._metrics = metrics
        self._chance = chance or random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._stop = threading.Event()
        self._news = threading.Event()
        self._failures = 0
        self._newest = 0
        self.cursor = 0

    def run(self) -> None:
        """Deliver until `stop`. Blocks; the thread's whole life."""
        begun = False
        while not self._stop.is_set():
            try:
                if not begun:
                    self._begin()
                    begun = True
                elif not self.step():
                    self._news.wait(_IDLE_S)
                    self._news.clear()
                self._failures = 0
            except RetryError as error:
                self._pause(str(error), error.after_s)
            except (CollectorError, OSError) as error:
                self._pause(plain(error, 300))
            except Exception:  # whatever it is, the other sinks and the collector go on
                log.exception("sink %s failed", self.rules.name)
                self._pause("unexpected failure")
        self._sink.close()

    def stop(self) -> None:
        """End after the exchange under way, or at once while waiting. Any thread."""
        self._stop.set()
        self._news.set()

    def wake(self, newest: int) -> None:
        """Something up to this position was committed. Any thread."""
        self._newest = newest
        self._tell_lag()
        self._news.set()

    def reached(self) -> int | None:
        """Up to where everything is delivered; None where that is not decided yet. Raises: ConfigError."""
        return self.cursor or self._position.load()

    def step(self) -> bool:
        """Deliver one page; False when there was nothing. Raises: RetryError, CollectorError, OSError."""
        entries, looked = self._events.events(self.cursor, self.rules.batch, 1)
        if looked <= self.cursor:
            return False
        sound: list[Item] = []
        bad: list[tuple[Item, str]] = []
        size = 0
        for cursor, subject in entries:
            if self._wants(subject):
                size += self._form_one(Item(cursor, subject, b""), sound, bad)
            if size > _EXCHANGE:
                looked = cursor
                break
        if sound:
            self._deliver(sound)
        for item, why in bad:  # after the others: those may have to be sent again, these are written once
            self._bury(item, why)
        self._moved(looked)
        return True

    def _begin(self) -> None:
        saved, newest = self._position.load(), self._events.newest_cursor()
        if saved is not None and saved > newest:
            log.warning("sink %s: the store is a new one; starting from its beginning", self.rules.name)
            saved = 0
        if saved is None:
            saved = newest if self.rules.start == "newest" else 0
        self._newest = max(self._newest, newest)
        self._moved(saved)

    def _wants(self, subject: Subject) -> bool:
        kind = "finding" if isinstance(subject, Finding) else "incident"
        return kind in self.rules.kinds and subject.severity >= self.rules.min_severity

    def _form_one(self, item: Item, sound: list[Item], bad: list[tuple[Item, str]]) -> int:
        """Format one, or note why not; its size."""
        try:
            body = self._form(item.subject)
        except Exception as error:  # noqa: BLE001 - one event nobody can tell must not hold up all others
            bad.append((item, f"cannot be formatted: {type(error).__name__}: {error}"))
            return 0
        sound.append(item._replace(body=body))
        return len(body)

    def _deliver(self, items: Sequence[Item]) -> None:
        """Send all; what is refused is halved until the bad ones stand alone."""
        if self._stop.is_set():
            raise RetryError("stopping")
        try:
            self._sink.send(items)
        except RefusedError as error:
            if len(items) == 1:
                self._bury(items[0], str(error))
                return
            half = len(items) // 2
            self._deliver(items[:half])
            self._moved(items[half - 1].cursor)
            self._deliver(items[half:])
        else:
            self._count("delivered", len(items))

    def _bury(self, item: Item, reason: str) -> None:
        if not self._dead.add(self.rules.name, item, reason):
            raise RetryError(f"dead letter {self._dead.path} is full: look into it and delete it; nothing is dropped")
        self._count("refused")
        log.warning("sink %s: event %d refused: %s", self.rules.name, item.cursor, plain(reason, 300))

    def _moved(self, cursor: int) -> None:
        self._position.save(cursor)
        self.cursor = cursor
        self._tell_lag()

    def _tell_lag(self) -> None:
        self._metrics.set("sink_lag_events", max(self._newest - self.cursor, 0), sink=self.rules.name)

    def _pause(self, why: str, after_s: float = 0.0) -> None:
        """Full jitter: any time up to a bound that doubles (Brooker, Exponential Backoff And Jitter, 2015)."""
        if self._stop.is_set():
            return
        self._failures += 1
        self._count("retried")
        if self._failures % _SAY_EVERY == 1:
            log.warning("sink %s: %s; trying again, %d so far", self.rules.name, plain(why, 300), self._failures)
        bound = min(self.rules.retry_cap_s, _BASE_S * 2.0 ** min(self._failures, 20))
        pause = max(self._chance.uniform(0, bound), min(after_s, self.rules.retry_cap_s))
        self._sink.close()
        self._stop.wait(pause)

    def _count(self, result: str, amount: int = 1) -> None:
        self._metrics.count("sink_events", amount, sink=self.rules.name, result=result)
