"""`vedette collector`: receive, join, store, serve."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detection.finding import Source

if TYPE_CHECKING:
    from collector.config import Config
    from collector.run import Ready

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_AUDIT_SOURCES = tuple(source.value for source in Source if source is not Source.RUNTIME)


def _of_source(_context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """SOURCE=PLACE, each."""
    parted = [text.partition("=") for text in given]
    for name, sign, place in parted:
        if not sign or not place or name not in _AUDIT_SOURCES:
            raise click.BadParameter(f"write SOURCE=…, SOURCE one of {', '.join(_AUDIT_SOURCES)}", param=option)
    return tuple((name, place) for name, _, place in parted)


def _audit_file(text: str) -> tuple[str, Path]:
    """SOURCE=PATH, or the path of a Kubernetes audit log."""
    name, sign, path = text.partition("=")
    return (name, Path(path)) if sign and name in _AUDIT_SOURCES else (Source.KUBERNETES_AUDIT.value, Path(text))


@click.command()
@click.option(
    "--listen",
    multiple=True,
    default=("127.0.0.1:4317",),
    show_default=True,
    metavar="HOST:PORT|unix:/PATH",
    help="Where agents and readers connect: mutual TLS over TCP, plaintext on a unix socket. Repeatable.",
)
@click.option("--cert", type=_FILE, help="The collector's certificate, PEM (`vedette pki issue-collector`).")
@click.option("--key", type=_FILE, help="Its private key, PEM.")
@click.option("--ca", type=_FILE, help="CA that signs agents and readers, PEM.")
@click.option(
    "--store",
    default="/var/lib/vedette/collector.db",
    show_default=True,
    metavar="PATH|URL",
    help="SQLite file, or an SQLAlchemy URL.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Positions in audit files.  [default: the directory of --store]",
)
@click.option(
    "--audit-file",
    multiple=True,
    metavar="[SOURCE=]PATH",
    callback=lambda _context, _option, given: tuple(_audit_file(text) for text in given),
    help=f"Audit log, followed and rotated. Repeatable; need not exist yet. SOURCE: {', '.join(_AUDIT_SOURCES)}.",
)
@click.option(
    "--audit-sqs",
    multiple=True,
    metavar="SOURCE=URL",
    callback=_of_source,
    help="Amazon SQS queue of S3 notifications, EventBridge events or CloudWatch Logs. Repeatable; extra `aws`.",
)
@click.option(
    "--audit-pubsub",
    multiple=True,
    metavar="SOURCE=projects/P/subscriptions/S",
    callback=_of_source,
    help="Google Cloud Pub/Sub subscription of a log sink. Repeatable; extra `gcp`.",
)
@click.option(
    "--audit-eventhub",
    multiple=True,
    metavar="SOURCE=HOST[:PORT]/HUB",
    callback=_of_source,
    help="Azure Event Hub, by its Kafka endpoint. Repeatable; extra `azure`.",
)
@click.option("--audit-eventhub-secret", type=_FILE, help="File with the Event Hubs connection string.")
@click.option("--audit-webhook", metavar="HOST:PORT", help="Listen for audit webhooks (Kubernetes: /kubernetes/audit).")
@click.option("--audit-webhook-plain", is_flag=True, help="The webhook without TLS (loopback only).")
@click.option(
    "--rules",
    type=click.Path(exists=True, path_type=Path),
    help="Your own rules (Sigma: rules, correlations, filters; overrides; placeholders.yml), beside the shipped ones, "
    "for audit logs and for agents; SIGHUP reads them again.",
)
@click.option(
    "--sinks", type=_FILE, help="YAML file of what delivers to a SIEM; see docs/siem.md. SIGHUP reads it again."
)
@click.option("--metrics-listen", metavar="HOST:PORT", help="Serve Prometheus metrics.")
@click.option("--heartbeat", type=float, default=15.0, show_default=True, help="Seconds between stream heartbeats.")
@click.option(
    "--quorum", type=click.IntRange(1, 100), default=2, show_default=True,
    help="Agents and containers that must show a behaviour before replicas elsewhere take it for normal.",
)  # fmt: skip
@click.option(
    "--quorum-share", type=click.FloatRange(0.0, 1.0), default=0.5, show_default=True,
    help="Share of a workload's agents that make a behaviour normal which had raised an alarm.",
)  # fmt: skip
@click.option(
    "--behaviour-budget", type=float, default=7.0, show_default=True,
    help="False anomalies a week over all principals of an audit source; 0: do not learn what principals do.",
)  # fmt: skip
@click.option("--keep-days", type=click.IntRange(1), default=30, show_default=True, help="Retention.")
def command(
    listen: tuple[str, ...],
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    store: str,
    state_dir: Path | None,
    audit_file: tuple[tuple[str, Path], ...],
    audit_sqs: tuple[tuple[str, str], ...],
    audit_pubsub: tuple[tuple[str, str], ...],
    audit_eventhub: tuple[tuple[str, str], ...],
    audit_eventhub_secret: Path | None,
    audit_webhook: str | None,
    audit_webhook_plain: bool,
    rules: Path | None,
    sinks: Path | None,
    metrics_listen: str | None,
    heartbeat: float,
    quorum: int,
    quorum_share: float,
    behaviour_budget: float,
    keep_days: int,
) -> None:
    """Receive findings, join them with audit logs, serve incidents."""
    from collector.config import Config, Retention, TlsFiles, host_port  # noqa: PLC0415
    from collector.errors import CollectorError  # noqa: PLC0415
    from collector.fleet import FleetOptions  # noqa: PLC0415
    from detection.baseline.merge import FleetConfig  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    files = [path for path in (cert, key, ca) if path is not None]
    if len(files) not in (0, 3):
        raise click.UsageError("--cert, --key and --ca go together")
    try:
        _run(
            Config(
                listen=listen,
                store=store,
                tls=TlsFiles(*files) if files else None,
                state_dir=state_dir or (Path() if "://" in store else Path(store).absolute().parent),
                audit_files=audit_file,
                audit_sqs=audit_sqs,
                audit_pubsub=audit_pubsub,
                audit_eventhubs=audit_eventhub,
                audit_eventhub_secret=audit_eventhub_secret,
                audit_webhook=host_port("--audit-webhook", audit_webhook) if audit_webhook else None,
                audit_webhook_plain=audit_webhook_plain,
                rules=rules,
                sinks=sinks,
                metrics_listen=host_port("--metrics-listen", metrics_listen) if metrics_listen else None,
                heartbeat_s=heartbeat,
                retention=Retention(days=keep_days),
                behaviour_budget=behaviour_budget,
                fleet=FleetOptions(merge=FleetConfig(agents=quorum, instances=quorum, share=quorum_share)),
            )
        )
    except CollectorError as error:
        raise click.ClickException(str(error)) from error


def _run(config: "Config") -> None:
    from collector.audit import Detector  # noqa: PLC0415
    from collector.correlate import Correlator  # noqa: PLC0415
    from collector.principals import BehaviourConfig, PrincipalWatch  # noqa: PLC0415
    from collector.rulebook import Rulebook  # noqa: PLC0415
    from collector.run import run  # noqa: PLC0415
    from collector.sources import audit_sources  # noqa: PLC0415

    book = Rulebook(config.rules)
    budget = config.behaviour_budget
    behaviour = PrincipalWatch(BehaviourConfig(budget=budget)) if budget else None
    detector = Detector(book.audit, behaviour=behaviour)
    book.listen(detector.use)
    run(config, Correlator(), audit_sources(config, detector), _say_ready, behaviour, rules=book)


def _say_ready(ready: "Ready") -> None:
    metrics = f", metrics on {ready.metrics}" if ready.metrics else ""
    click.echo(f"collector ready on {', '.join(ready.listen)}{metrics}", err=True)
