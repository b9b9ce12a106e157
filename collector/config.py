"""What one collector process is told to do."""

from dataclasses import dataclass, field
from pathlib import Path

from collector.errors import ConfigError
from collector.fleet import FleetOptions
from collector.train import RateOptions

DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the collector's certificate and key, and the CA that signs agents and readers."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept. Findings and incidents by the time of their last event."""

    days: int = 30
    events: int = 1_000_000
    every_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Config:
    """Options of `vedette collector`. Raises: ConfigError, saying which option and what to give.

    `listen`: `host:port` (mutual TLS) or `unix:/path`, any number. `store`: file path or SQLAlchemy URL; `state_dir`
    holds the audit sources' positions and dead letter. `audit_files`, `audit_sqs`, `audit_pubsub` and
    `audit_eventhubs`: (name of the audit log's form, path, queue URL, subscription, host/hub). The webhook uses `tls`
    where there is one and asks for a client certificate; `audit_webhook_plain`: plaintext, on loopback only.
    `sinks`: the file that says where events are delivered to.
    `rules`: a team's own rules, beside the shipped ones.
    """

    listen: tuple[str, ...]
    store: str
    tls: TlsFiles | None = None
    audit_files: tuple[tuple[str, Path], ...] = ()
    audit_sqs: tuple[tuple[str, str], ...] = ()
    audit_pubsub: tuple[tuple[str, str], ...] = ()
    audit_eventhubs: tuple[tuple[str, str], ...] = ()
    audit_eventhub_secret: Path | None = None
    audit_webhook: tuple[str, int] | None = None
    audit_webhook_plain: bool = False
    state_dir: Path = Path()
    rules: Path | None = None
    sinks: Path | None = None
    metrics_listen: tuple[str, int] | None = None
    heartbeat_s: float = 15.0
    window_days: int = 1
    restore_findings: int = 50_000
    stop_s: float = 5.0
    retention: Retention = Retention()
    fleet: FleetOptions = field(default_factory=FleetOptions)
    rates: RateOptions = field(default_factory=RateOptions)
    behaviour_budget: float = 7.0  # false anomalies a week over all principals of an audit source; 0: not learned

    def __post_init__(self) -> None:
        if not self.listen:
            raise ConfigError("--listen: give at least one address, host:port or unix:/path")
        for address in self.listen:
            check_address("--listen", address)
        if self.behaviour_budget and not 0.01 <= self.behaviour_budget <= 10_000:
            raise ConfigError(f"--behaviour-budget {self.behaviour_budget}: give 0 (off) or 0.01 to 10000 a week")
        if not 0.1 <= self.heartbeat_s <= 3600:
            raise ConfigError(f"--heartbeat {self.heartbeat_s}: give 0.1 to 3600 seconds")


def check_address(option: str, address: str) -> None:
    """Raises: ConfigError unless it is host:port or unix:/path."""
    if address.startswith("unix:/"):
        return
    host_port(option, address)


def host_port(option: str, address: str) -> tuple[str, int]:
    """Raises: ConfigError unless it is host:port, port 0 to 65535."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{option} {address}: write host:port, for example 127.0.0.1:4317")
    return host, int(port)
