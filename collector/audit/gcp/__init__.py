"""Google Cloud audit logs: the form of their entries, who is behind them and what they are about."""

from collector.audit.gcp.entry import GcpAudit

__all__ = ["GcpAudit"]
