"""One run of the agent: puts the stages together, starts them from the far end, stops them from the near end."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from agent import metrics
from agent.batches import BatchQueue
from agent.config import AgentConfig, CollectorAddress
from agent.core import Core
from agent.dead_letter import DeadLetterFile
from agent.decode.decode import Decoder
from agent.decode.layout import ABI_VERSION
from agent.detect.detector import Detector
from agent.errors import AgentError, ConfigError
from agent.exchange import Exchange
from agent.fleet import FleetMember
from agent.history import RunHistory
from agent.identify.identify import Identifier
from agent.identify.machine import read_machine
from agent.identify.workloads import Scope
from agent.images import ImageLayers
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.learn.store import Pace
from agent.ledger import Ledger, LedgerEvent, ProfileState
from agent.rates.config import RateConfig
from agent.rates.start import open_rates
from agent.rulebook import Rulebook
from agent.runtimes.desk import Desk
from agent.sinks import FileSink, Sink, SpoolSink
from agent.source.choose import choose
from agent.source.port import Source
from agent.spool.spool import Spool
from agent.status import Status, write_status
from agent.syscalls.watch import CallWatch
from agent.uplink.channel import Credentials
from agent.uplink.jsonlines import JsonLines
from agent.uplink.session import Identity
from agent.uplink.uplink import Uplink

log = logging.getLogger(__name__)

_QUEUE_BYTES = 6 << 20
_READ_TIMEOUT_S = 1.0
_LAST_READ_S, _LAST_S = 0.002, 1.0
_PUMP_S = 0.02
_STOP_POLL_S = 0.05
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Agent:
    """`run` blocks until `stop` is set. Raises: AgentError where it cannot start."""

    def __init__(self, config: AgentConfig, source: Source | None = None) -> None:
        self._config = config
        self._run_id = secrets.token_hex(8)
        self._boot_id = _BOOT_ID.read_text().strip()
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._history = RunHistory(config.state_dir / "last-run.json")
        self._watching_since_ns = 0
        self._batches = BatchQueue(_QUEUE_BYTES)
        self._stopping = threading.Event()
        self._source: Source = source or choose(config.sensor, config.ring_bytes, limits=config.limits)
        self._exchange = Exchange()
        self._spool, self._uplink, self._sink = self._far_end()
        self._runtimes = Desk(config.runtime_places())
        scope = Scope(config.node, config.cluster, config.host_group)
        self._identifier = Identifier(boot_id=self._boot_id, engines=self._runtimes, scope=scope)
        self._profiles = config.state_dir / "profiles.json"
        self._pace = Pace()
        learning = LearnConfig(slot_s=config.slot_s, budget=config.budget)
        self._learner = Learner(learning)
        self._rulebook = Rulebook(config.rules, config.state_dir / "rules.json", self._exchange.rules)
        ruleset = self._rulebook.load(with_collector=config.collector is not None)
        self._detector = Detector(ruleset, config.node, about=read_machine().as_fields())
        self._rates = open_rates(
            config.node,
            config.state_dir / "forests",
            RateConfig(config.rate_window_s, config.budget),
            with_collector=config.collector is not None,
        )
        self._learner.ask(ImageLayers())
        self._fleet = FleetMember(self._exchange, self._learner, self._rates, config.state_dir, learning.profile)
        self._calls = CallWatch(config.state_dir / "syscalls", config.slot_s) if config.record_syscalls else None
        self._core = Core(
            source=self._source,
            decoder=Decoder(DeadLetterFile(config.state_dir / "undecoded.jsonl").add),
            identifier=self._identifier,
            learner=self._learner,
            detector=self._detector,
            sink=self._sink,
            rearm_slots=max(1, round(config.rearm_s / config.slot_s)),
            rates=self._rates,
        )
        self._newest: Status | None = None

    def _far_end(self) -> tuple[Spool | None, Uplink | None, Sink]:
        config = self._config
        if config.collector is None:
            return None, None, FileSink(JsonLines(config.output))
        spool = Spool(config.state_dir / "spool", config.spool_bytes)
        identity = Identity(config.identity, config.node, self._boot_id, version("vedette"), ABI_VERSION)
        uplink = Uplink(
            spool, config.collector.target, _credentials(config.collector), identity, exchange=self._exchange
        )
        return spool, uplink, SpoolSink(spool)

    def status(self) -> Status | None:
        """The newest status; None before the sensor is attached. Made every tick where a status file or metrics are
        asked for, else at every heartbeat."""
        return self._newest

    def reload(self) -> None:
        """Read the rules again, soon; may be called by a signal handler."""
        self._rulebook.reload()

    def run(self, stop: threading.Event, on_ready: Callable[[Status], None] = lambda _: None) -> None:
        """Watch until `stop` is set; `on_ready` is called once, when the sensor is attached."""
        stop_metrics = self._serve_metrics()
        if self._uplink:
            self._uplink.start()
        if (problem := self._learner.load(self._profiles)) is not None:
            log.error("%s", problem)
        self._fleet.start(time.time_ns())
        self._rulebook.start()
        reader = threading.Thread(target=self._read, name="reader", daemon=True)
        try:
            self._source.start()
            if self._calls is not None:
                self._calls.start()
            self._watching_since_ns = time.time_ns()
            self._runtimes.start()
            # After attaching: a process that starts in between is then seen twice instead of never.
            self._identifier.seed()
            if self._calls is not None:
                self._calls.tick(self._identifier.inhabited(), time.time_ns())
            reader.start()
            self._note(LedgerEvent.START)
            assert self._newest is not None
            on_ready(self._newest)
            self._work(stop)
        finally:
            try:
                self._shut_down(reader)
            finally:
                self._source.stop()
                if self._calls is not None:
                    self._calls.stop(self._identifier.inhabited(), time.time_ns())
                self._runtimes.stop()
                self._rulebook.stop()
                stop_metrics()

    def _serve_metrics(self) -> Callable[[], None]:
        address = self._config.metrics_address
        if address is None:
            return lambda: None
        try:
            return metrics.serve(address, self.status)
        except OSError as error:
            raise ConfigError(f"metrics address {address[0]}:{address[1]}: {error.strerror}; choose another") from error

    def _read(self) -> None:
        """The reader thread: from the ring to the queue, which makes it wait when the core is behind.

        Told to stop, it takes what has happened until then, within a second.
        """
        while not self._stopping.is_set():
            self._pass_on(_READ_TIMEOUT_S)
        end, silent = time.monotonic() + _LAST_S, 0
        while silent < 2 and time.monotonic() < end:  # the newest records come one read late
            silent = 0 if self._pass_on(_LAST_READ_S) else silent + 1

    def _pass_on(self, timeout_s: float) -> bool:
        batch = self._source.read(timeout_s)
        if batch is not None:
            self._batches.put(batch)
        return batch is not None

    def _work(self, stop: threading.Event) -> None:
        """The core's loop: batches as they come, regular work in between."""
        tick_s = min(1.0, self._config.slot_s / 2)
        next_tick = time.monotonic() + tick_s
        next_slot = time.monotonic() + self._config.slot_s
        next_beat = time.monotonic() + self._config.heartbeat_s
        while not stop.is_set():
            self._handle_next(max(0.0, next_tick - time.monotonic()))
            if self._core.waiting:
                self._core.pump(time.time_ns())
            now = time.monotonic()
            if now < next_tick:
                continue
            next_tick = now + tick_s
            self._core.tick(time.time_ns())
            self._fleet.tick(time.time_ns())
            if self._rulebook.tick(self._detector.replace_rules):
                self._note(LedgerEvent.HEARTBEAT)
            if self._calls is not None:
                self._calls.tick(self._identifier.inhabited(), time.time_ns())
            if now >= next_slot:
                next_slot = max(next_slot + self._config.slot_s, now)
                self._core.close_slot(time.time_ns())
            if now >= next_beat:
                next_beat = now + self._config.heartbeat_s
                self._note(LedgerEvent.HEARTBEAT)
                if self._pace.is_due(now):
                    self._save_profiles()
            elif self._config.status_file or self._config.metrics_address:  # nobody else reads it in between
                self._publish(self._ledger(LedgerEvent.HEARTBEAT))

    def _handle_next(self, timeout_s: float) -> bool:
        # Events that wait for their container's description are looked after as soon as it comes.
        batch = self._batches.get(min(timeout_s, _PUMP_S) if self._core.waiting else timeout_s)
        if batch is not None:
            self._core.handle(batch)
        return batch is not None

    def _shut_down(self, reader: threading.Thread) -> None:
        """From the near end forwards: what was seen until now reaches the sink.

        The sensor is let go of after that. The kernel takes seconds for it, in which nothing waits to be told.
        """
        self._stopping.set()
        while reader.is_alive():
            self._handle_next(_STOP_POLL_S)
        while self._handle_next(0):
            continue
        if self._watching_since_ns:
            self._core.finish(time.time_ns())
            self._note(LedgerEvent.STOP)
            self._save_profiles()
        if self._uplink:
            self._uplink.stop()
        self._sink.close()

    def _note(self, event: LedgerEvent) -> None:
        """Write a ledger entry, and remember that it was written."""
        entry = self._ledger(event)
        self._sink.ledger(entry)
        self._publish(entry)
        try:
            self._history.record(entry.time_ns)
        except OSError as error:
            log.error("state directory %s: %s; a gap after this run would look longer", self._config.state_dir, error)

    def _ledger(self, event: LedgerEvent) -> Ledger:
        return Ledger(
            time_ns=time.time_ns(),
            event=event,
            run_id=self._run_id,
            watching_since_ns=self._watching_since_ns,
            previous_entry_ns=self._history.previous_entry_ns,
            probes=tuple(self._source.probes()),
            counters=self._source.counters(),
            container_ids=tuple(c.id for c in self._identifier.containers()),
            dropped=self._core.dropped(),
            throttles=self._core.throttles(),
            runtimes=self._runtimes.states(),
            rules=self._rulebook.state,
            profiles=tuple(
                ProfileState(s.workload, s.behaviour, s.state, s.completeness, s.members, s.phase)
                for s in self._learner.states()
            ),
        )

    def _publish(self, entry: Ledger) -> None:
        self._newest = Status(
            agent_id=self._config.identity,
            node=self._config.node,
            ledger=entry,
            detector=self._detector.counters(),
            rates=self._rates.counters() if self._rates else {},
            fleet=self._fleet.counters(),
            spool=self._spool.status() if self._spool else None,
            uplink=self._uplink.status() if self._uplink else None,
        )
        if self._config.status_file is None:
            return
        try:
            write_status(self._config.status_file, self._newest)
        except OSError as error:
            log.error("status file %s: %s", self._config.status_file, error)

    def _save_profiles(self) -> None:
        begun = time.monotonic()
        try:
            self._learner.save(self._profiles)
        except AgentError as error:
            log.error("%s; the profiles stay in memory", error)
        self._pace.took(time.monotonic() - begun, time.monotonic())


def _credentials(address: CollectorAddress) -> Credentials | None:
    if address.certificate is None or address.key is None or address.ca is None:
        return None
    return Credentials(address.certificate, address.key, address.ca)
