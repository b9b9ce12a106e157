"""Names rules use for fields of audit logs that the logs themselves spell otherwise.

SigmaHQ's cloud rules are written for the field names of log shippers (`gcp.audit.method_name`, `OperationNameValue`).
Here each stands for the paths in the record it comes from; the first that is there counts.
"""

from collections.abc import Mapping

Aliases = Mapping[str, tuple[str, ...]]

# The kinds of event audit sources carry (`ir.event_key`).
AUDIT_KEYS = frozenset(
    {
        "kubernetes/audit",
        "aws/cloudtrail",
        "gcp/gcp.audit",
        "gcp/google_workspace.admin",
        "gcp/google_workspace.login",
        "azure/activitylogs",
        "azure/auditlogs",
        "azure/signinlogs",
        "azure/riskdetection",
        "waf/request",
    }
)

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
_AZURE_COMMON: Aliases = {
    "OperationName": ("operationName", "properties.activityDisplayName"),
    "OperationNameValue": ("operationName", "operationName.value"),
    "operationName": ("operationName.value",),
    "CategoryValue": ("category", "category.value"),
    "ResourceProviderValue": ("resourceProviderName.value", "properties.resourceProviderValue"),
    "ResourceId": ("resourceId",),
    "ResultType": ("resultType", "properties.status.errorCode"),
    "ResultDescription": ("resultDescription", "properties.status.failureReason", "properties.resultReason"),
    "Resultdescription": ("resultDescription", "properties.status.failureReason"),
    "Status": ("properties.result", "resultType", "status.value", "properties.status.errorCode"),
    "properties.message": ("operationName", "operationName.value", "properties.activityDisplayName"),
}
_AZURE_AUDIT: Aliases = {
    **_AZURE_COMMON,
    "ActivityDisplayName": ("properties.activityDisplayName", "operationName"),
    "ActivityType": ("properties.activityDisplayName", "operationName"),
    "activityType": ("properties.activityDisplayName", "operationName"),
    "Category": ("properties.category", "category"),
    "LoggedByService": ("properties.loggedByService",),
    "TargetResources": ("properties.targetResources",),
    "targetResources.type": ("properties.targetResources.type",),
    "TargetResources.modifiedProperties": ("properties.targetResources.modifiedProperties",),
    "TargetResources.modifiedProperties.newValue": ("properties.targetResources.modifiedProperties.newValue",),
    "TargetResources.ModifiedProperties.NewValue": ("properties.targetResources.modifiedProperties.newValue",),
    "TargetResources.ModifiedProperties.DisplayName": ("properties.targetResources.modifiedProperties.displayName",),
    "additionalDetails.additionalInfo": ("properties.additionalDetails.value",),
    "Target": ("properties.targetResources.displayName",),
    "Initiatedby": ("properties.initiatedBy.user.userPrincipalName", "properties.initiatedBy.app.displayName"),
    "ConsentContext.IsAdminConsent": ("properties.targetResources.modifiedProperties.newValue",),
    "failure_status_reason": ("properties.resultReason",),
}
_AZURE_SIGN_IN: Aliases = {
    **_AZURE_COMMON,
    "AuthenticationRequirement": ("properties.authenticationRequirement",),
    "conditionalAccessStatus": ("properties.conditionalAccessStatus",),
    "userAgent": ("properties.userAgent",),
    "ResourceDisplayName": ("properties.resourceDisplayName",),
    "RiskState": ("properties.riskState",),
    "DeviceDetail.trusttype": ("properties.deviceDetail.trustType",),
    "DeviceDetail.isCompliant": ("properties.deviceDetail.isCompliant",),
    "DeviceDetail.deviceId": ("properties.deviceDetail.deviceId",),
    "NetworkLocationDetails": ("properties.networkLocationDetails",),
    "Username": ("properties.userPrincipalName",),
    "ClientApp": ("properties.clientAppUsed",),
}
_AZURE_RISK: Aliases = {"riskEventType": ("properties.riskEventType",)}
ALIASES: Mapping[str, Aliases] = {
    "gcp/gcp.audit": _GCP,
    "azure/activitylogs": _AZURE_COMMON,
    "azure/auditlogs": _AZURE_AUDIT,
    "azure/signinlogs": _AZURE_SIGN_IN,
    "azure/riskdetection": _AZURE_RISK,
}


def aliases_of(key: str) -> Aliases:
    """Field → paths for a kind of event (`ir.event_key`)."""
    return ALIASES.get(key, {})
