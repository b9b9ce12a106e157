"""Control-plane logs: bytes from a file, a webhook or a queue → audit records → findings."""

from collector.audit.detector import Detector
from collector.audit.file import AuditFile
from collector.audit.format import Format
from collector.audit.formats import FORMATS
from collector.audit.port import AuditSource, Emit
from collector.audit.webhook import AuditWebhook, WebhookTls

__all__ = ["FORMATS", "AuditFile", "AuditSource", "AuditWebhook", "Detector", "Emit", "Format", "WebhookTls"]
