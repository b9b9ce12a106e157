"""The audit sources a configuration asks for."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from collector.audit import FORMATS, AuditFile, AuditWebhook, Detector, Format, WebhookTls
from collector.audit.dead_letter import DeadLetter
from collector.audit.eventhubs import eventhub, hub_of
from collector.audit.pubsub import pubsub
from collector.audit.queue import AuditQueue, Connect
from collector.audit.sqs import sqs
from collector.config import Config
from collector.run import SourceFactory

# The API server's is the one its documentation and ours have named from the first.
WEBHOOK_PATHS = {f"/{name.replace('-', '/', 1)}": form for name, form in FORMATS.items()}


def audit_sources(config: Config, detector: Detector) -> Mapping[str, SourceFactory]:
    """Name → how to make it. All share the detector, so one request is one finding whatever way it comes.

    Raises: ConfigError, also when a client library is not installed.
    """
    letter = DeadLetter(config.state_dir / "audit-dead-letter.jsonl")
    found: dict[str, SourceFactory] = {}
    for source, path in config.audit_files:
        checkpoint = _checkpoint(config, path)
        found[f"file:{path}"] = partial(AuditFile, FORMATS[source], path, checkpoint, detector, dead_letter=letter)
    for name, form, connect in _queues(config):
        found[name] = partial(AuditQueue, name, form, connect, detector, letter)
    if config.audit_webhook is not None:
        host, port = config.audit_webhook
        tls = None if config.audit_webhook_plain else config.tls
        webhook_tls = WebhookTls(tls.certificate, tls.key, tls.ca) if tls is not None else None
        found["webhook"] = partial(
            AuditWebhook, host, port, WEBHOOK_PATHS, detector, tls=webhook_tls, dead_letter=letter
        )
    return found


def _queues(config: Config) -> Iterator[tuple[str, Format, Connect]]:
    for source, url in config.audit_sqs:
        yield f"sqs:{url}", FORMATS[source], sqs(FORMATS[source], url)
    for source, subscription in config.audit_pubsub:
        yield f"pubsub:{subscription}", FORMATS[source], pubsub(FORMATS[source], subscription)
    for source, place in config.audit_eventhubs:
        hub = hub_of(place, config.audit_eventhub_secret)
        yield f"eventhub:{hub.server}/{hub.name}", FORMATS[source], eventhub(FORMATS[source], hub)


def _checkpoint(config: Config, path: Path) -> Path:
    """Beside the store; one per file."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    return config.state_dir / f"audit-{name}.json"
