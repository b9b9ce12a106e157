"""Names rules use for fields of audit logs that the logs themselves spell otherwise.

SigmaHQ's cloud rules are written for the field names of log shippers (`gcp.audit.method_name`, `OperationNameValue`).
Here each stands for the paths in the record it comes from; the first that is there counts.
"""

from collections.abc import Mapping

Aliases = Mapping[str, tuple[str, ...]]

_GCP: Aliases = {
    "gcp.audit.method_name": ("protoPayload.methodName",),
    "gcp.audit.service_name": ("protoPayload.serviceName",),
    "data.protoPayload.methodName": ("protoPayload.methodName",),
    "data.protoPayload.serviceName": ("protoPayload.serviceName",),
    "data.protoPayload.logName": ("logName",),
    "data.protoPayload.resource.type": ("resource.type",),
    "data.protoPayload.authorizationInfo.granted": ("protoPayload.authorizationInfo.granted",),
    "data.protoPayload.authorizationInfo.permission": ("protoPayload.authorizationInfo.permission",),
}
ALIASES: Mapping[str, Aliases] = {"gcp/gcp.audit": _GCP}


def aliases_of(key: str) -> Aliases:
    """Field → paths for a kind of event (`ir.event_key`)."""
    return ALIASES.get(key, {})
