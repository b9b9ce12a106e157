"""The audit sources a configuration asks for."""

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from collector.audit import FORMATS, AuditFile, AuditWebhook, Detector, WebhookTls
from collector.config import Config
from collector.run import SourceFactory

# The API server's is the one its documentation and ours have named from the first.
WEBHOOK_PATHS = {f"/{name.replace('-', '/', 1)}": form for name, form in FORMATS.items()}


def audit_sources(config: Config, detector: Detector) -> Mapping[str, SourceFactory]:
    """Name → how to make it. All share the detector, so one request is one finding whatever way it comes."""
    found: dict[str, SourceFactory] = {}
    for source, path in config.audit_files:
        found[f"file:{path}"] = partial(AuditFile, FORMATS[source], path, _checkpoint(config, path), detector)
    if config.audit_webhook is not None:
        host, port = config.audit_webhook
        tls = None if config.audit_webhook_plain else config.tls
        webhook_tls = WebhookTls(tls.certificate, tls.key, tls.ca) if tls is not None else None
        found["webhook"] = partial(AuditWebhook, host, port, WEBHOOK_PATHS, detector, tls=webhook_tls)
    return found


def _checkpoint(config: Config, path: Path) -> Path:
    """Beside the store; one per file."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    return config.state_dir / f"audit-{name}.json"
