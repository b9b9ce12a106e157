"""The core: one thread takes batches through decode, identify, learn and detect into the sink."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from agent.detect.detector import Detector
from agent.events import Event, RawBatch
from agent.identify.identify import Identifier
from agent.identify.workloads import workload_of
from agent.learn.learner import Learner
from agent.observation import Observation
from agent.sinks import Sink
from agent.source.port import Source
from agent.workload import Identified
from detection.finding import Finding, Kind, Severity

# A finding that close to a loss of its class says so; a profile class that lost events cannot be stable.
_LOSSY_NS = 1_000_000_000
_BEHAVIOUR_OF = {"exec": "exec", "fork": "exec", "open": "write", "connect": "egress"}


class Decoder(Protocol):
    """Bytes to events."""

    rejected: Counter[str]

    def decode(self, batch: RawBatch) -> Iterator[Event]:
        """The batch's events in order; malformed records are counted in `rejected` and skipped."""


class Core:
    """Everything between the ring and the sink. Not thread-safe: one thread owns it."""

    def __init__(
        self,
        *,
        source: Source,
        decoder: Decoder,
        identifier: Identifier,
        learner: Learner,
        detector: Detector,
        sink: Sink,
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._identifier = identifier
        self._learner = learner
        self._detector = detector
        self._sink = sink
        self._lost: dict[str, int] = {}
        self._lossy_until: dict[str, int] = {}
        self._errors: Counter[str] = Counter()

    def handle(self, batch: RawBatch) -> None:
        """Take one batch to its findings."""
        for event in self._decoder.decode(batch):
            try:
                identified = self._identifier.identify(event)
                if identified is not None:
                    self._judge(identified)
            # One hostile event must not end the watch over all others: it is counted, by type and error.
            except Exception as error:  # noqa: BLE001
                self._errors[f"core_{type(event).__name__.lower()}_{type(error).__name__}"] += 1

    def _judge(self, identified: Identified) -> None:
        observation = self._learner.observe(identified)
        findings = self._detector.detect(observation)
        if not findings:
            return
        if any(f.kind is Kind.RULE and f.severity >= Severity.MEDIUM for f in findings):
            self._learner.condemn(identified)
        for finding in findings:
            self._sink.finding(self._stamp(finding, observation))

    def _stamp(self, finding: Finding, observation: Observation) -> Finding:
        head = observation.identified.event.head
        if head.time_ns < self._lossy_until.get(head.type.name.lower(), 0):
            return dataclasses.replace(finding, lossy=True)
        return finding

    def tick(self, now_ns: int) -> None:
        """Regular work, a few times a second: losses, expiry, repeats."""
        self._note_losses(now_ns)
        self._identifier.tick(now_ns)
        for finding in self._detector.flush(now_ns):
            self._sink.finding(finding)

    def finish(self, now_ns: int) -> None:
        """Last work of a run: every count that was not told yet."""
        self._note_losses(now_ns)
        for finding in self._detector.drain():
            self._sink.finding(finding)

    def close_slot(self, now_ns: int) -> None:
        """End of a time slot: what the kernel filtered still counts as seen."""
        self._learner.recount(self._source.behaviours(), now_ns)
        alive = ((c.id, workload_of(c)) for c in self._identifier.containers())
        self._learner.advance(now_ns, alive)

    def _note_losses(self, now_ns: int) -> None:
        for name, causes in self._source.counters().items():
            lost = sum(n for cause, n in causes.items() if cause.startswith("lost_"))
            if lost > self._lost.get(name, 0):
                self._lossy_until[name] = now_ns + _LOSSY_NS
                if name in _BEHAVIOUR_OF:
                    self._learner.note_loss(_BEHAVIOUR_OF[name], now_ns)
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
        }
