"""Kubernetes audit events.

Format: k8s.io/apiserver/pkg/apis/audit v1 (v1beta1 and v1alpha1 differ in the time fields only).
"""

from collections.abc import Mapping
from typing import Any

from collector.audit.kubernetes.facts import facts_of
from collector.audit.record import AuditRecord, Facts, Problem
from collector.audit.values import first_time, mapping, own_id
from detection.finding import Source

RULE_KEY = "kubernetes/audit"
# Before authorisation: the same request comes again, with its outcome, at a later stage.
_TOO_EARLY = "RequestReceived"
_MARKS = frozenset({"auditID", "verb", "requestURI", "stage"})


class KubernetesAudit:
    """A Format."""

    source = Source.KUBERNETES_AUDIT
    lists = ("items",)

    def unwrap(self, value: Any) -> Any:
        """An item as it is."""
        return value

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem:
        """One decoded value as an audit event, or what is wrong with it."""
        if not isinstance(value, dict):
            return Problem(position, f"an audit event is a JSON object, this is {type(value).__name__}")
        if not _MARKS & value.keys():
            return Problem(position, "no auditID, verb, requestURI or stage: not a Kubernetes audit event")
        time_ns = _time(value)
        if time_ns is None:
            return Problem(position, "no requestReceivedTimestamp or stageTimestamp in RFC 3339 form")
        early = value.get("stage") == _TOO_EARLY
        return AuditRecord(own_id(value.get("auditID"), value), time_ns, RULE_KEY, value, early)

    def facts_of(self, record: AuditRecord) -> Facts:
        """Who asked what of which object."""
        return facts_of(record)


def _time(record: Mapping[str, Any]) -> int | None:
    return first_time(
        record.get("requestReceivedTimestamp"),
        record.get("stageTimestamp"),
        record.get("timestamp"),
        mapping(record.get("metadata")).get("creationTimestamp"),
    )
