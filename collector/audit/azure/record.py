"""Records of Azure Monitor: the activity log, and Entra's sign-ins, audit and risk detections.

Format: the JSON of diagnostic settings as Event Hubs and storage accounts carry it (`records`), and the rows of the
activity log's REST API (`value`). Both spellings of a name, time and eventTimestamp for one, mean the same.
"""

from collections.abc import Mapping
from typing import Any

from collector.audit.azure.access import access_of
from collector.audit.azure.facts import facts_of, name_of
from collector.audit.record import AuditRecord, Facts, Problem
from collector.audit.values import first_time, mapping, own_id, text
from detection.finding import Source
from detection.principals.access import Access

_ENTRA = {
    "signinlogs": "signinlogs",
    "noninteractiveusersigninlogs": "signinlogs",
    "serviceprincipalsigninlogs": "signinlogs",
    "managedidentitysigninlogs": "signinlogs",
    "auditlogs": "auditlogs",
    "riskyusers": "riskdetection",
    "userriskevents": "riskdetection",
    "serviceprincipalriskevents": "riskdetection",
}


class AzureActivity:
    """A Format."""

    source = Source.AZURE_ACTIVITY
    lists = ("records", "value")

    def unwrap(self, value: Any) -> Any:
        """An item as it is."""
        return value

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem:
        """One decoded value as a record, or what is wrong with it."""
        if not isinstance(value, dict):
            return Problem(position, f"a log record is a JSON object, this is {type(value).__name__}")
        if not name_of(value.get("operationName")) and not text(value.get("category")):
            return Problem(position, "no operationName or category: not a record of Azure Monitor")
        properties = mapping(value.get("properties"))
        time_ns = first_time(
            value.get("time"),
            value.get("eventTimestamp"),
            properties.get("activityDateTime"),
            properties.get("createdDateTime"),
        )
        if time_ns is None:
            return Problem(position, "no time or eventTimestamp in RFC 3339 form")
        service = _ENTRA.get(name_of(value.get("category")).lower(), "activitylogs")
        return AuditRecord(_id(value, properties), time_ns, f"azure/{service}", value)

    def facts_of(self, record: AuditRecord) -> Facts:
        """Who did what to which resource, from where."""
        return facts_of(record)

    def access_of(self, record: AuditRecord) -> Access | None:
        """Who, which call, with what, from where, when."""
        return access_of(record)


def _id(value: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """An operation's start and end share its correlation id, so a result is part of an activity's identity."""
    own = text(value.get("eventDataId")) or text(properties.get("eventDataId")) or text(properties.get("id"))
    return own_id(own or None, value)
