"""Kubernetes audit events.

Format: k8s.io/apiserver/pkg/apis/audit v1 (v1beta1 and v1alpha1 differ in the time fields only), as the API server
writes it and as managed clusters pass it on: the `message` of EKS's log events, the `properties.log` of AKS's
diagnostic records (both the event as text), and GKE's log entries.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from collector.audit.kubernetes.access import access_of
from collector.audit.kubernetes.facts import facts_of
from collector.audit.kubernetes.gke import event_of, is_kubernetes
from collector.audit.record import AuditRecord, Facts, Problem
from collector.audit.values import first_time, mapping, own_id, text
from detection.finding import Source
from detection.principals.access import Access

RULE_KEY = "kubernetes/audit"
_LONGEST = 4 * 1024 * 1024
# Before authorisation: the same request comes again, with its outcome, at a later stage.
_TOO_EARLY = "RequestReceived"
_MARKS = frozenset({"auditID", "verb", "requestURI", "stage"})
_AKS = frozenset({"kube-audit", "kube-audit-admin"})


class KubernetesAudit:
    """A Format."""

    source = Source.KUBERNETES_AUDIT
    lists = ("items", "logEvents", "records", "Records", "entries", "messages", "receivedMessages")

    def unwrap(self, value: Any) -> Any:
        """The event a managed cluster's log carries; other items as they are."""
        if not isinstance(value, dict) or _MARKS & value.keys():
            return value
        payload = value.get("protoPayload")
        if isinstance(payload, dict):
            return event_of(value) if is_kubernetes(payload) else value
        carried = _carried(value)
        if not carried.lstrip().startswith("{"):
            return value
        try:
            return orjson.loads(carried)
        except orjson.JSONDecodeError:
            return value

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem | None:
        """One decoded value as an audit event, or what is wrong with it."""
        if not isinstance(value, dict):
            return Problem(position, f"an audit event is a JSON object, this is {type(value).__name__}")
        if not _MARKS & value.keys() and _is_other_log(value):
            return None
        if not _MARKS & value.keys() and _carried(value):
            return Problem(position, "the audit event it carries is no JSON object (cut off?)")
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

    def access_of(self, record: AuditRecord) -> Access | None:
        """Who, which call, with what, from where, when."""
        return access_of(record)


def _carried(value: Mapping[str, Any]) -> str:
    """The text of an event in a log event of EKS or a diagnostic record of AKS; "" for others."""
    properties = value.get("properties")
    if isinstance(properties, dict):
        return text(properties.get("log"), _LONGEST)
    return text(value.get("message"), _LONGEST)


def _is_other_log(value: Mapping[str, Any]) -> bool:
    """What stands beside audit events in the logs of a managed cluster: the log lines of its control plane."""
    if "protoPayload" in value or "textPayload" in value or "jsonPayload" in value:
        return True
    if "category" in value:
        return text(value["category"]) not in _AKS and not _carried(value).lstrip().startswith("{")
    return bool(_carried(value)) and not _carried(value).lstrip().startswith("{")


def _time(record: Mapping[str, Any]) -> int | None:
    return first_time(
        record.get("requestReceivedTimestamp"),
        record.get("stageTimestamp"),
        record.get("timestamp"),
        mapping(record.get("metadata")).get("creationTimestamp"),
    )
