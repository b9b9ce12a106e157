"""The agent's metrics: one table of names, filled from the newest status when Prometheus asks."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.status import Status

Sample = tuple[tuple[str, ...], float]


class Row(NamedTuple):
    """One metric: its name (counters without _total), kind, meaning, labels and where it comes from."""

    name: str
    kind: str  # counter, gauge
    text: str
    labels: tuple[str, ...]
    samples: Callable[[Status], Iterable[Sample]]


def _events(s: Status) -> Iterator[Sample]:
    for name, causes in s.ledger.counters.items():
        for cause, n in causes.items():
            yield (name, cause), n


def _profiles(s: Status) -> Iterator[Sample]:
    for p in s.ledger.profiles:
        yield (p.workload, p.behaviour, p.state), p.completeness


def _lookups(s: Status) -> Iterator[Sample]:
    for r in s.ledger.runtimes:
        yield (r.kind, r.socket, "yes"), r.answers
        yield (r.kind, r.socket, "no"), r.failures


_RATE_OUTCOMES = ("scored", "unscored", "anomalous", "dropped")
TABLE = (
    Row(
        "vedette_agent_events",
        "counter",
        "Behaviours the kernel side saw, by class and what became of them.",
        ("class", "outcome"),
        _events,
    ),
    Row(
        "vedette_agent_dropped",
        "counter",
        "What the agent refused after the kernel, by cause.",
        ("cause",),
        lambda s: (((cause,), n) for cause, n in s.ledger.dropped.items()),
    ),
    Row(
        "vedette_agent_findings",
        "counter",
        "Findings and the repeats folded into them.",
        ("kind",),
        lambda s: (((kind,), s.detector.get(kind, 0)) for kind in ("findings", "repeats")),
    ),
    Row(
        "vedette_agent_rules",
        "gauge",
        "Rules and correlations in force; source: shipped, file or collector.",
        ("source",),
        lambda s: [((s.ledger.rules.source,), s.ledger.rules.rules)] if s.ledger.rules.source else (),
    ),
    Row(
        "vedette_agent_rule_problems",
        "gauge",
        "Rules of the set in force that cannot be evaluated, and 1 more while a newer set is refused.",
        (),
        lambda s: [((), s.ledger.rules.problems + bool(s.ledger.rules.refusal))],
    ),
    Row(
        "vedette_agent_rules_replaced",
        "counter",
        "How often rules were replaced while running.",
        (),
        lambda s: [((), s.ledger.rules.replaced)],
    ),
    Row(
        "vedette_agent_rate_windows",
        "counter",
        "Windows of container rates: scored, unscored (no forest yet), anomalous (of the scored), dropped (not sent).",
        ("outcome",),
        lambda s: (((name,), s.rates[name]) for name in _RATE_OUTCOMES if name in s.rates),
    ),
    Row(
        "vedette_agent_rate_forests",
        "gauge",
        "Workloads whose rates are scored.",
        (),
        lambda s: [((), s.rates["models"])] if "models" in s.rates else (),
    ),
    Row(
        "vedette_agent_probe_attached",
        "gauge",
        "1 where the probe watches, 0 where this machine does not allow it.",
        ("probe",),
        lambda s: (((p.name,), float(p.attached)) for p in s.ledger.probes),
    ),
    Row(
        "vedette_agent_containers",
        "gauge",
        "Containers being watched.",
        (),
        lambda s: [((), len(s.ledger.container_ids))],
    ),
    Row(
        "vedette_agent_runtime_up",
        "gauge",
        "1 while the container runtime at this socket answers; state says what is wrong otherwise.",
        ("kind", "socket", "state"),
        lambda s: (((r.kind, r.socket, r.state), float(r.state == "answering")) for r in s.ledger.runtimes),
    ),
    Row(
        "vedette_agent_runtime_lookups",
        "counter",
        "Containers a runtime was asked for, by whether it knew them; a call that failed counts as not.",
        ("kind", "socket", "known"),
        _lookups,
    ),
    Row(
        "vedette_agent_profile_completeness",
        "gauge",
        "Estimated sample coverage of a profile class, 0..1.",
        ("workload", "behaviour", "state"),
        _profiles,
    ),
    Row(
        "vedette_agent_watching_since_seconds",
        "gauge",
        "Unix time since when this run watches.",
        (),
        lambda s: [((), s.ledger.watching_since_ns / 1e9)],
    ),
    Row(
        "vedette_agent_spool_bytes",
        "gauge",
        "Bytes of the spool that are not acknowledged yet.",
        (),
        lambda s: [((), s.spool.size_bytes)] if s.spool else (),
    ),
    Row(
        "vedette_agent_spool_unacknowledged",
        "gauge",
        "Records the collector has not acknowledged.",
        (),
        lambda s: [((), s.spool.newest_seq - s.spool.acked_seq)] if s.spool else (),
    ),
    Row(
        "vedette_agent_uplink_streaming",
        "gauge",
        "1 while records flow to a collector.",
        (),
        lambda s: [((), float(s.uplink.state == "streaming"))] if s.uplink else (),
    ),
    Row(
        "vedette_agent_fleet",
        "counter",
        "Profiles told to the collector and what came back, by what became of it.",
        ("outcome",),
        lambda s: (((outcome,), n) for outcome, n in s.fleet.items()),
    ),
    Row(
        "vedette_agent_uplink_failures",
        "counter",
        "Connections to the collector that ended or failed.",
        (),
        lambda s: [((), s.uplink.failures)] if s.uplink else (),
    ),
)


class StatusCollector(Collector):
    """Makes Prometheus metrics of the newest status."""

    def __init__(self, newest: Callable[[], Status | None]) -> None:
        self._newest = newest

    def collect(self) -> Iterator[Metric]:
        """Every row of the table; nothing before the first status."""
        status = self._newest()
        if status is None:
            return
        for row in TABLE:
            make = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
            family = make(row.name, row.text, labels=row.labels)
            for labels, value in row.samples(status):
                family.add_metric(labels, value)
            yield family


def serve(address: tuple[str, int], newest: Callable[[], Status | None]) -> Callable[[], None]:
    """Serve /metrics at (host, port) from a thread of its own; gives the function that stops it. Raises: OSError."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(newest))
    server, thread = start_http_server(address[1], address[0], registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)

    return stop
