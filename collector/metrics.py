"""Every metric of the collector, in one table; nothing else makes one."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class Metric(NamedTuple):
    """One row: name, type (mirror: a counter kept elsewhere), labels, help."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


METRICS = (
    Metric("vedette_collector_agents_connected", "gauge", (), "Agents connected now."),
    Metric("vedette_collector_connections_total", "counter", ("result",), "Agent connections by how they ended."),
    Metric("vedette_collector_records_total", "counter", ("kind",), "Records committed: finding, ledger, bad_payload."),
    Metric("vedette_collector_records_duplicate_total", "counter", (), "Records received again and dropped."),
    Metric(
        "vedette_collector_records_missed_total", "counter", (), "Records an agent no longer had when it connected."
    ),
    Metric("vedette_collector_messages_bad_total", "counter", ("cause",), "Messages refused, by cause."),
    Metric("vedette_collector_stream_breaks_total", "counter", (), "Streams that broke their sequence or hash chain."),
    Metric("vedette_collector_findings_total", "counter", ("source", "result"), "Findings: new, repeated, duplicate."),
    Metric("vedette_collector_incident_changes_total", "counter", (), "Incidents opened or changed."),
    Metric("vedette_collector_correlator_errors_total", "counter", (), "Findings stored without correlation."),
    Metric("vedette_collector_commit_seconds", "histogram", (), "Time of one commit."),
    Metric("vedette_collector_commit_retries_total", "counter", (), "Commits tried again: disk full, database locked."),
    Metric("vedette_collector_subscribers", "gauge", (), "Readers following the event stream now."),
    Metric("vedette_collector_events_sent_total", "counter", (), "Events sent to readers."),
    Metric("vedette_collector_newest_cursor", "gauge", (), "Position of the newest event."),
    Metric(
        "vedette_collector_audit_total",
        "mirror",
        ("source", "cause"),
        "What audit sources took in, by what became of it.",
    ),
    Metric("vedette_collector_audit_restarts_total", "counter", ("source",), "Audit sources restarted after an error."),
    Metric(
        "vedette_collector_profiles_total",
        "counter",
        ("result",),
        "Profiles told by agents: stored, repeated, whole_asked, refused (too many), dropped (too fast).",
    ),
    Metric("vedette_collector_fleet_profiles", "gauge", (), "Workload versions the fleet has profiles of."),
    Metric(
        "vedette_collector_fleet_sent_total", "counter", ("kind",), "Sent to agents: profile, decisions, forest, rules."
    ),
    Metric("vedette_collector_rules", "gauge", (), "Rules and correlations in force, for audit logs and for agents."),
    Metric("vedette_collector_rule_problems", "gauge", (), "Rules that cannot be used; the log names file and line."),
    Metric("vedette_collector_rule_reloads_total", "counter", ("result",), "Rules read again: loaded, failed."),
    Metric("vedette_collector_fleet_merge_seconds", "histogram", (), "Time to merge one profile of all its agents."),
    Metric("vedette_collector_decisions_total", "counter", (), "Decisions of people taken over."),
    Metric(
        "vedette_collector_rate_windows_total",
        "counter",
        ("result",),
        "Windows of rates from agents: sound, lossy, anomalous, refused.",
    ),
    Metric("vedette_collector_rate_trainings_total", "counter", ("result",), "Trainings of forests: trained, too_few."),
    Metric("vedette_collector_rate_training_seconds", "histogram", (), "Time of one training."),
    Metric("vedette_collector_rate_forests", "gauge", (), "Workloads that have a forest."),
    Metric(
        "vedette_collector_behaviour_total",
        "mirror",
        ("cause",),
        "Behaviour of principals: principals met, hours closed, novel, held, adopted, condemned, late, future, "
        "findings, alarms (above informational), left (memory), groups_left, unsaved.",
    ),
    Metric("vedette_collector_behaviour_broken_total", "counter", (), "Stored behaviour that could not be read."),
    Metric("vedette_collector_principals", "gauge", (), "Principals whose behaviour is held in memory."),
    Metric(
        "vedette_collector_sink_events_total",
        "counter",
        ("sink", "result"),
        "Events of sinks: delivered, refused (in the dead letter), retried (attempts), overtaken (lost to retention).",
    ),
    Metric("vedette_collector_sink_lag_events", "gauge", ("sink",), "Positions between the newest event and a sink's."),
    Metric("vedette_collector_trimmed_total", "counter", ("table",), "Rows removed by retention."),
)

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """The table's metrics in a registry of their own. Raises: KeyError for a name that is not in the table."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters = {m.name: Counter(m.name, m.help, m.labels, registry=self.registry) for m in _of("counter")}
        self._gauges = {m.name: Gauge(m.name, m.help, m.labels, registry=self.registry) for m in _of("gauge")}
        self._histograms = {
            m.name: Histogram(m.name, m.help, m.labels, registry=self.registry, buckets=_BUCKETS)
            for m in _of("histogram")
        }

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter; the name is given without "vedette_collector_" and "_total"."""
        counter = self._counters[f"vedette_collector_{name}_total"]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[f"vedette_collector_{name}"]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def drop(self, name: str, **labels: str) -> None:
        """Show a gauge's value for these labels no more."""
        self._gauges[f"vedette_collector_{name}"].remove_by_labels(labels)

    def add(self, name: str, amount: int) -> None:
        """Move a gauge."""
        self._gauges[f"vedette_collector_{name}"].inc(amount)

    def observe(self, name: str, value: float) -> None:
        """Add to a histogram."""
        self._histograms[f"vedette_collector_{name}"].observe(value)

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Observe in a histogram how long this takes."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.observe(name, time.perf_counter() - begun)

    def mirror(self, name: str, read: Callable[[], Mapping[tuple[str, ...], int]]) -> None:
        """Show counters somebody else keeps: label values → count, read at every scrape."""
        row = next(m for m in _of("mirror") if m.name == f"vedette_collector_{name}_total")
        self.registry.register(_Mirror(row, read))

    def value(self, name: str, **labels: str) -> float:
        """The present value of a sample by its full name; 0 where there is none yet."""
        return self.registry.get_sample_value(name, labels) or 0.0


class _Mirror(Collector):
    """A metric whose values are kept elsewhere."""

    def __init__(self, metric: Metric, read: Callable[[], Mapping[tuple[str, ...], int]]) -> None:
        self._metric = metric
        self._read = read

    def collect(self) -> Iterable[CounterMetricFamily]:
        """The values at this moment."""
        family = CounterMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for labels, count in self._read().items():
            family.add_metric(labels, count)
        return [family]


def _of(kind: str) -> tuple[Metric, ...]:
    return tuple(metric for metric in METRICS if metric.type == kind)
