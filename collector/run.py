"""One collector process: everything wired, started from the far end backwards, stopped from the near end forwards."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server

from collector.audit.port import AuditSource, Emit
from collector.config import DAY_NS, Config
from collector.errors import CollectorError, ConfigError
from collector.fleet import Fleet
from collector.ingest import Correlator, Ingest
from collector.metrics import Metrics
from collector.principals import Keeper, PrincipalWatch
from collector.publish import baselines
from collector.publish import service as publish
from collector.publish.feed import Feed
from collector.publish.sinks import Sinks, read_sinks
from collector.receive import service as receive
from collector.receive.profiles import fleet_messages
from collector.receive.server import Server
from collector.rulebook import Rulebook
from collector.store.backlog import overtaken
from collector.store.principals import PrincipalRows
from collector.store.profiles import ProfileStore
from collector.store.rates import RateStore
from collector.store.store import Store
from collector.train import Trainer

log = logging.getLogger(__name__)

SourceFactory = Callable[[], AuditSource]

_RESTART_S = (0.5, 30.0)


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a started collector is reached; ports that were given as 0 are real here."""

    listen: tuple[str, ...]
    metrics: str = ""


class Collector:
    """`start`, then `stop`, once each, in one event loop.

    `sources` makes each audit source by name; it is called again when a source has failed. `behaviour` is what their
    detector learns with: kept in the store.
    """

    def __init__(
        self,
        config: Config,
        correlator: Correlator,
        sources: Mapping[str, SourceFactory],
        behaviour: PrincipalWatch | None = None,
        *,
        rules: Rulebook | None = None,
    ) -> None:
        self._config = config
        self.metrics = Metrics()
        self._store = Store(config.store)
        self._feed = Feed()
        self._ingest = Ingest(self._store, correlator, self._notify, self.metrics)
        profiles = ProfileStore(self._store)
        self._fleet = Fleet(profiles, self._ingest.write, fleet_messages, self.metrics, config.fleet)
        self._trainer = Trainer(RateStore(self._store), self._ingest.write, self.metrics, config.rates)
        self._trainer.listen(self._fleet.tell)
        self._rules = rules or Rulebook(config.rules)
        self._rules.show_in(self.metrics)
        watch = behaviour or PrincipalWatch()
        self._keeper = Keeper(watch, PrincipalRows(self._store), self._ingest.write, self.metrics)
        self._agents = receive.AgentService(self._ingest, self.metrics, self._fleet, self._trainer, self._rules)
        self._people = baselines.BaselineService(self._fleet, self.metrics)
        self._readers = publish.EventService(self._store, self._feed, self.metrics, heartbeat_s=config.heartbeat_s)
        self._sinks = Sinks(self._store, config.state_dir / "sinks", self.metrics)
        self._sources = {name: make() for name, make in sources.items()}
        self._factories = dict(sources)
        self._intake: list[asyncio.Task[None]] = []
        self._chores: list[asyncio.Task[None]] = []
        self._exporter: tuple[WSGIServer, Thread] | None = None
        self.metrics.mirror("audit", self._audit_counters)

    async def start(self) -> Ready:
        """Serve. Raises: CollectorError when something cannot work; call `stop` then too."""
        await self._ingest.restore(self._config.window_days * DAY_NS, self._config.restore_findings)
        await self._fleet.restore()
        await self._trainer.restore()
        await self._keeper.restore()
        services = (
            (receive.SERVICE, self._agents.handler()),
            (publish.SERVICE, self._readers.handler()),
            (baselines.SERVICE, self._people.handler()),
        )
        self._server = Server(services, self._config.tls)
        listen = tuple(self._server.listen(address) for address in self._config.listen)
        metrics = self._export()
        await self.reload_sinks()
        await self._server.start()
        work = (self._trim_forever(), self._fleet.run(), self._trainer.run(), self._keeper.run())
        self._chores += [asyncio.create_task(one) for one in work]
        for name in self._sources:
            self._intake.append(asyncio.create_task(self._supervise(name, self._ingest.findings)))
        return Ready(listen, metrics)

    async def reload(self) -> None:
        """Read the rules again; what is under way goes on, and each record meets one set."""
        await self._rules.reload()
        try:
            await self.reload_sinks()
        except CollectorError as error:
            log.error("sinks stay as they were: %s", error)

    async def reload_sinks(self) -> None:
        """Read the file of sinks again and run what it says. Raises: ConfigError; then all stays as it was."""
        if self._config.sinks is not None:
            await asyncio.to_thread(self._sinks.swap, read_sinks(self._config.sinks))

    async def stop(self) -> None:
        """End intake, commit what is under way, let readers have it, close the store."""
        await self._server.drain()
        await _cancel(self._intake)
        await self._agents.stop()
        self._readers.stop()
        await self._server.stop(self._config.stop_s)
        await _cancel(self._chores)
        with contextlib.suppress(CollectorError):  # what was learned in the last minute
            await self._keeper.save()
        await self._ingest.close()
        await asyncio.to_thread(self._sinks.stop)
        self._fleet.close()
        self._trainer.close()
        self._readers.close()
        if self._exporter is not None:
            self._exporter[0].shutdown()
            self._exporter[0].server_close()
        self._store.close()

    def _notify(self, cursor: int) -> None:
        self._feed.notify(cursor)
        self._sinks.notify(cursor)
        self.metrics.set("newest_cursor", cursor)

    def _export(self) -> str:
        if self._config.metrics_listen is None:
            return ""
        host, port = self._config.metrics_listen
        try:
            self._exporter = start_http_server(port, host, self.metrics.registry)
        except OSError as error:
            raise ConfigError(f"--metrics-listen {host}:{port}: {error.strerror}") from error
        return f"{host}:{self._exporter[0].server_port}"

    def _audit_counters(self) -> Mapping[tuple[str, ...], int]:
        return {
            (name, cause): count for name, source in self._sources.items() for cause, count in source.counters().items()
        }

    async def _supervise(self, name: str, emit: Emit) -> None:
        """Run one audit source; when it fails, say so and start it anew."""
        pause = _RESTART_S[0]
        while True:
            try:
                await self._sources[name].run(emit)
            except Exception:  # whatever it is, the other sources and the agents go on
                log.exception("audit source %s failed; starting it again in %.1f s", name, pause)
            self.metrics.count("audit_restarts", source=name)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RESTART_S[1])
            with contextlib.suppress(CollectorError):
                self._sources[name] = self._factories[name]()

    def _count_overtaken(self, counts: dict[str, int], before_ns: int) -> None:
        """What retention is about to take from sinks."""
        counts.update(overtaken(self._store, self._sinks.cursors(), before_ns, self._config.retention.events))

    async def _trim_forever(self) -> None:
        keep = self._config.retention
        while True:
            try:
                before_ns = time.time_ns() - keep.days * DAY_NS
                lost: dict[str, int] = {}
                count = partial(self._count_overtaken, lost, before_ns)
                await self._ingest.trim(before_ns, keep.events, count)
                self._sinks.overtaken(lost)
                await self._fleet.trim()
                await self._trainer.trim()
                await self._keeper.trim()
            except CollectorError as error:
                log.warning("retention: %s; trying again later", error)
            await asyncio.sleep(keep.every_s)


def run(
    config: Config,
    correlator: Correlator,
    sources: Mapping[str, SourceFactory],
    ready: Callable[[Ready], None],
    behaviour: PrincipalWatch | None = None,
    *,
    rules: Rulebook | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the rules again. Blocks. `ready` is called once.

    Raises: CollectorError.
    """
    asyncio.run(_run(config, correlator, sources, ready, behaviour, rules=rules))


async def _run(
    config: Config,
    correlator: Correlator,
    sources: Mapping[str, SourceFactory],
    ready: Callable[[Ready], None],
    behaviour: PrincipalWatch | None = None,
    *,
    rules: Rulebook | None = None,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    collector = Collector(config, correlator, sources, behaviour, rules=rules)
    reloads: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly

    def reload() -> None:
        task = asyncio.create_task(collector.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    ready(await collector.start())
    await stop.wait()
    log.info("stopping: no new records, committing what is under way")
    await collector.stop()


async def _cancel(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
