"""All sinks of a collector: started, woken, exchanged and stopped together."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.errors import CollectorError, ConfigError
from collector.metrics import Metrics
from collector.publish.sinks.config import SinkConfig
from collector.publish.sinks.delivery import Delivery, Events
from collector.publish.sinks.files import DeadLetter, Position
from collector.publish.sinks.formats import format_of
from collector.publish.sinks.make import make_sink
from collector.publish.sinks.port import Sink

log = logging.getLogger(__name__)

_STOP_S = 2.0
Make = Callable[[SinkConfig], Sink]


@dataclass(frozen=True, slots=True)
class _Running:
    config: SinkConfig
    delivery: Delivery
    thread: threading.Thread


class Sinks:
    """Runs one thread per sink. For any thread.

    `directory` holds NAME.cursor and NAME.dead.jsonl of each sink; what belongs to a sink that is gone stays.
    """

    def __init__(self, events: Events, directory: Path, metrics: Metrics, make: Make = make_sink) -> None:
        self._events = events
        self._directory = directory
        self._metrics = metrics
        self._make = make
        self._running: dict[str, _Running] = {}
        self._leaving: dict[str, threading.Thread] = {}
        self._changing = threading.Lock()
        self._stopped = False

    def swap(self, configs: Iterable[SinkConfig]) -> None:
        """Run these sinks from now on; those that did not change go on undisturbed.

        Raises: CollectorError when one cannot be made; then nothing was changed. Waits at most 2 s for what goes: a
        successor with the same name begins when its predecessor's last exchange has ended.
        """
        with self._changing:
            if not self._stopped:
                self._swap({config.name: config for config in configs})

    def _swap(self, wanted: dict[str, SinkConfig]) -> None:
        changed = {n: c for n, c in wanted.items() if n not in self._running or self._running[n].config != c}
        made = {name: self._make(config) for name, config in changed.items()}
        self._end([n for n in self._running if n not in wanted or n in changed])
        for name, sink in made.items():
            self._start(changed[name], sink)
        log.info("%d sinks: %s", len(self._running), ", ".join(sorted(self._running)) or "none")

    def notify(self, cursor: int) -> None:
        """Something up to this position is committed."""
        for running in list(self._running.values()):
            running.delivery.wake(cursor)

    def cursors(self) -> dict[str, int]:
        """Up to where each sink has delivered; those that never began, or cannot say, are left out."""
        found: dict[str, int] = {}
        for name, running in list(self._running.items()):
            with contextlib.suppress(ConfigError):  # the sink itself says so, again and again; retention goes on
                if (cursor := running.delivery.reached()) is not None:
                    found[name] = cursor
        return found

    def overtaken(self, counts: Mapping[str, int]) -> None:
        """Retention deleted so many events before these sinks delivered them."""
        for name, count in counts.items():
            if count:
                self._metrics.count("sink_events", count, sink=name, result="overtaken")
                log.error("sink %s: retention deleted %d events before they were delivered", name, count)

    def stop(self) -> None:
        """End all; what is under way may arrive once more after the next start."""
        with self._changing:
            self._stopped = True
            self._end(list(self._running))

    def _start(self, config: SinkConfig, sink: Sink) -> None:
        delivery = Delivery(
            config.rules,
            sink,
            format_of(config.format, config.ocsf_version),
            self._events,
            position=Position(self._directory / f"{config.name}.cursor"),
            dead=DeadLetter(self._directory / f"{config.name}.dead.jsonl"),
            metrics=self._metrics,
        )
        before = self._leaving.pop(config.name, None)
        name = f"sink-{config.name}"
        thread = threading.Thread(target=_run, args=(delivery, before), name=name, daemon=True)
        self._running[config.name] = _Running(config, delivery, thread)
        thread.start()

    def _end(self, names: Iterable[str]) -> None:
        ending = [self._running.pop(name) for name in names]
        for running in ending:
            running.delivery.stop()
        for running in ending:
            running.thread.join(_STOP_S / len(ending))
            if running.thread.is_alive():
                log.warning("sink %s: its far end hangs; leaving it", running.config.name)
            self._leaving[running.config.name] = running.thread
            self._metrics.drop("sink_lag_events", sink=running.config.name)
        self._leaving = {name: thread for name, thread in self._leaving.items() if thread.is_alive()}


def _run(delivery: Delivery, before: threading.Thread | None) -> None:
    if before is not None:
        before.join()
    try:
        delivery.run()
    except CollectorError:
        log.exception("sink %s ended", delivery.rules.name)
