"""The core: one thread takes batches through decode, identify, learn and detect into the sink."""

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from agent.corrections import Corrections
from agent.detect.detector import Detector
from agent.events import Event, Exit, RawBatch, Throttle
from agent.identify.identify import Identifier
from agent.learn.learner import Learner
from agent.observation import Observation
from agent.rates.rates import Inhabitant, Rates
from agent.rearm import Watched
from agent.sinks import Sink
from agent.source.port import BehaviourKey, Phase, Source, Upkeep
from agent.throttling import ThrottleEntry, Throttling
from agent.waiting import Waiting
from agent.workload import Identified
from detection.finding import Finding, Kind, Severity

# A finding that close to a loss of its class says so; a profile class that lost events cannot be stable.
_LOSSY_NS = 1_000_000_000
_BEHAVIOURS_OF = {
    "exec": ("exec", "capability"), "fork": ("exec",), "open": ("write", "read"), "chmod": ("write",),
    "path": ("write", "call"), "connect": ("egress",), "accept": ("ingress",), "socket": ("egress", "listen", "call"),
    "call": ("credential", "capability", "call"),
}  # fmt: skip


class Decoder(Protocol):
    """Bytes to events."""

    rejected: Counter[str]

    def decode(self, batch: RawBatch) -> Iterator[Event]:
        """The batch's events in order; malformed records are counted in `rejected` and skipped."""


class Core:
    """Everything between the ring and the sink. Not thread-safe: one thread owns it.

    rates: counts everything, too; None where nobody scores them.
    rearm_slots: within so many slots every behaviour the kernel knows is reported once more.
    """

    def __init__(
        self,
        *,
        source: Source,
        decoder: Decoder,
        identifier: Identifier,
        learner: Learner,
        detector: Detector,
        sink: Sink,
        rearm_slots: int = 1440,
        rates: Rates | None = None,
    ) -> None:
        self._source = source
        self._upkeep = source if isinstance(source, Upkeep) else None
        self._rearm_slots = rearm_slots
        self._slot = 0
        self._watched = Watched()
        self._throttling = Throttling()
        self._filter_full = 0
        self._decoder = decoder
        self._identifier = identifier
        self._learner = learner
        self._detector = detector
        self._sink = sink
        self._rates = rates
        self._waiting = Waiting()
        self._corrections = Corrections()
        self._incomplete = 0
        self._now_ns = 0
        self._lost: dict[str, int] = {}
        self._lossy_until: dict[str, int] = {}
        self._errors: Counter[str] = Counter()

    def handle(self, batch: RawBatch) -> None:
        """Take one batch to its findings. Events of a container nobody has described yet wait for that a while."""
        waiting, rates = self._waiting, self._rates
        event: Event | None = None
        for event in self._decoder.decode(batch):
            try:
                if rates is not None:
                    rates.count(event)
                identified = self._identifier.identify(event)
                if identified is None or event.__class__ is Exit:  # an exit shows nothing to learn or judge
                    continue
                container = identified.container
                if container is not None and (not container.complete or waiting.held) and waiting.wants(identified):
                    waiting.hold(identified, max(self._now_ns, event.head.time_ns))
                else:
                    self._judge(identified)
            # One hostile event must not end the watch over all others: it is counted, by type and error.
            except Exception as error:  # noqa: BLE001
                self._failed(event, error)
        if event is not None:
            self.pump(event.head.time_ns)

    def _failed(self, event: Event, error: Exception) -> None:
        self._errors[f"core_{type(event).__name__.lower()}_{type(error).__name__}"] += 1

    @property
    def waiting(self) -> bool:
        """Whether events wait for their container's description: `pump` is then due every 20 ms or so."""
        return bool(self._waiting)

    def pump(self, now_ns: int) -> None:
        """Take in what the container runtimes answered; what waited for it goes on."""
        self._now_ns = max(self._now_ns, now_ns)
        self._identifier.hear(self._now_ns, self._waiting.containers())
        if self._waiting:
            self._go_on(self._waiting.ready(self._now_ns, self._is_described))

    def _go_on(self, identified: Iterator[Identified]) -> None:
        for one in identified:
            try:
                self._judge(self._identifier.renewed(one))
            except Exception as error:  # noqa: BLE001  (as in `handle`)
                self._failed(one.event, error)

    def _is_described(self, container_id: str) -> bool:
        container = self._identifier.container(container_id)
        return container is not None and container.complete

    def _correct(self, now_ns: int) -> None:
        """Findings sent while their container was not fully known are sent again, under the same id."""
        for finding, identified in self._corrections.due(now_ns, self._identifier.renewed):
            self._sink.finding(self._detector.correct(finding, identified))

    def _judge(self, identified: Identified) -> None:
        container = identified.container
        if container is not None and not container.complete:
            self._incomplete += 1
        if isinstance(identified.event, Throttle):
            self._throttling.noted(identified.event, identified)
            self._note_held_back(identified.event)
            return
        observation = self._learner.observe(identified)
        findings = self._detector.detect(observation)
        if not findings:
            return
        if any(f.kind is Kind.RULE and f.severity >= Severity.MEDIUM for f in findings):
            self._learner.condemn(identified)
            self._watched.add(identified.event, identified.event.head.time_ns)
        for finding in findings:
            stamped = self._stamp(finding, observation)
            if stamped.incomplete:
                self._corrections.note(stamped, identified, self._now_ns)
            self._sink.finding(stamped)

    def _stamp(self, finding: Finding, observation: Observation) -> Finding:
        identified = observation.identified
        head = identified.event.head
        container_id = identified.container.id if identified.container is not None else ""
        if head.time_ns < self._lossy_until.get(head.type.name.lower(), 0) or self._throttling.is_lossy(
            head.task.cgroup_id, head.type, container_id, head.time_ns
        ):
            return dataclasses.replace(finding, lossy=True)
        return finding

    def tick(self, now_ns: int) -> None:
        """Regular work, a few times a second: losses, expiry, repeats, what is to be reported again."""
        self._note_losses(now_ns)
        if changed := self._watched.let_go(now_ns, self._source, self._upkeep):
            self._recount(changed, now_ns)
        if self._upkeep:
            self._note_throttles(self._upkeep, now_ns)
        self._identifier.tick(now_ns)
        self.pump(now_ns)
        self._correct(now_ns)
        for finding in self._detector.flush(now_ns):
            self._sink.finding(finding)

    def finish(self, now_ns: int) -> None:
        """Last work of a run: every count that was not told yet."""
        self._note_losses(now_ns)
        self._go_on(self._waiting.rest())
        self._correct(now_ns)
        for finding in self._detector.drain():
            self._sink.finding(finding)

    def close_slot(self, now_ns: int) -> None:
        """End of a time slot: what the kernel filtered still counts as seen."""
        self._slot += 1
        if self._upkeep:
            due = Phase(self._slot % self._rearm_slots, self._rearm_slots)
            self._recount(self._upkeep.sweep(due), now_ns)
        else:
            self._recount(list(self._source.behaviours()), now_ns)
        if self._rates is not None:
            for finding in self._rates.close_slot(now_ns, map(Inhabitant._make, self._identifier.inhabited())):
                self._sink.finding(finding)
        self._learner.advance(now_ns, self._identifier.living())

    def _note_held_back(self, event: Throttle) -> None:
        if self._rates is not None and event.stop:
            self._rates.held_back(event.cgroup_id, event.type, event.held_back, ended=True)

    def _recount(self, behaviours: Sequence[tuple[BehaviourKey, int]], now_ns: int) -> None:
        """What the kernel's filter says of behaviours that happened again: one reading for all who count."""
        self._learner.recount(behaviours, now_ns)
        if orphans := self._learner.orphans():
            self._source.forget(orphans)
        if self._rates is not None:
            self._rates.recount(behaviours)

    def _note_throttles(self, upkeep: Upkeep, now_ns: int) -> None:
        """What is held back now, and what fell silent; profiles that miss events know it."""
        boot_to_unix_ns = now_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        released, held = upkeep.release(), upkeep.throttled()
        self._throttling.released(released, now_ns)
        self._throttling.seen(held, boot_to_unix_ns)
        if self._rates is not None:
            for state in released:
                self._rates.held_back(state.cgroup_id, state.type, state.held_back, ended=True)
            for state in held:
                self._rates.held_back(state.cgroup_id, state.type, state.held_back, ended=False)
        for kind, workload in self._throttling.active():
            for behaviour in _BEHAVIOURS_OF.get(kind.name.lower(), ()):
                self._learner.note_loss(behaviour, now_ns, workload)

    def _make_room(self, counters: Mapping[str, Mapping[str, int]], now_ns: int) -> None:
        """Where a behaviour found the filter full, the coldest go."""
        full = sum(causes.get("filter_full", 0) for causes in counters.values())
        if full > self._filter_full and self._upkeep:
            self._recount(self._upkeep.sweep(crowded=True), now_ns)
        self._filter_full = full

    def throttles(self) -> tuple[ThrottleEntry, ...]:
        """What the kernel held back since the sensor started, by cgroup and class."""
        return self._throttling.entries()

    def _note_losses(self, now_ns: int) -> None:
        counters = self._source.counters()
        self._make_room(counters, now_ns)
        for name, causes in counters.items():
            lost = sum(n for cause, n in causes.items() if cause.startswith("lost_"))
            if lost > self._lost.get(name, 0):
                self._lossy_until[name] = now_ns + _LOSSY_NS
                if self._rates is not None:
                    self._rates.note_loss()
                for behaviour in _BEHAVIOURS_OF.get(name, ()):
                    self._learner.note_loss(behaviour, now_ns)
            self._lost[name] = lost

    def dropped(self) -> dict[str, int]:
        """Everything refused after the kernel, by cause."""
        return {
            **{f"decode_{cause}": n for cause, n in self._decoder.rejected.items()},
            **self._identifier.dropped(),
            **self._learner.dropped(),
            "detect_windows_evicted": self._detector.counters()["windows_evicted"],
            **self._sink.dropped(),
            **self._errors,
            "events_incomplete": self._incomplete,
            "waiting_expired": self._waiting.expired,
            "waiting_overflowed": self._waiting.overflowed,
            "corrections_given_up": self._corrections.given_up,
            "rearm_refused": self._watched.refused,
            "throttles_forgotten": self._throttling.forgotten,
        }
