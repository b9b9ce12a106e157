"""Control-plane logs: bytes from a file or a webhook → audit events → findings."""

from collector.audit.detector import Detector
from collector.audit.file import KubernetesAuditFile
from collector.audit.port import AuditSource, Emit
from collector.audit.webhook import KubernetesAuditWebhook, WebhookTls

__all__ = ["AuditSource", "Detector", "Emit", "KubernetesAuditFile", "KubernetesAuditWebhook", "WebhookTls"]
