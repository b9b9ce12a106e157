"""Google Cloud audit log entries.

Format: `LogEntry` of Cloud Logging with a `google.cloud.audit.AuditLog` as its protoPayload. Entries come as JSON lines
of a sink, as the `entries` of the Logging API, and packed in the messages of Pub/Sub.
"""

from typing import Any

from collector.audit.gcp.access import access_of
from collector.audit.gcp.facts import facts_of
from collector.audit.record import AuditRecord, Facts, Problem
from collector.audit.values import first_time, mapping, own_id, text
from detection.finding import Source
from detection.principals.access import Access

RULE_KEY = "gcp/gcp.audit"
_WORKSPACE = {"admin.googleapis.com": "google_workspace.admin", "login.googleapis.com": "google_workspace.login"}


class GcpAudit:
    """A Format."""

    source = Source.GCP_AUDIT
    lists = ("entries", "messages", "receivedMessages")

    def unwrap(self, value: Any) -> Any:
        """An item as it is."""
        return value

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem:
        """One decoded value as an entry, or what is wrong with it."""
        if not isinstance(value, dict):
            return Problem(position, f"a log entry is a JSON object, this is {type(value).__name__}")
        payload = mapping(value.get("protoPayload"))
        if not text(payload.get("methodName")) and not text(payload.get("serviceName")):
            return Problem(position, "no protoPayload with methodName or serviceName: not an audit log entry")
        time_ns = first_time(value.get("timestamp"), value.get("receiveTimestamp"))
        if time_ns is None:
            return Problem(position, "no timestamp or receiveTimestamp in RFC 3339 form")
        workspace = _WORKSPACE.get(text(payload.get("serviceName")))
        key = f"gcp/{workspace}" if workspace else RULE_KEY
        # The end of a long operation comes as an entry of its own, with an insertId of its own.
        return AuditRecord(own_id(value.get("insertId"), value), time_ns, key, value)

    def facts_of(self, record: AuditRecord) -> Facts:
        """Who called what, delegated by whom, from where."""
        return facts_of(record)

    def access_of(self, record: AuditRecord) -> Access | None:
        """Who, which call, with what, from where, when."""
        return access_of(record)
