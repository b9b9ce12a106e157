"""Records of Azure Monitor are read in every shape they come in, and tell who is behind them."""

import orjson
import pytest

from collector.audit.azure import AzureActivity
from collector.audit.envelope import parse
from detection.finding import EntityKind, Role

FORM = AzureActivity()
VM = "/SUBSCRIPTIONS/0F9A/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.COMPUTE/VIRTUALMACHINES/WEB"


def activity(**changes):
    base = {
        "time": "2026-11-21T12:00:03.0000000Z",
        "resourceId": VM,
        "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/RUNCOMMAND/ACTION",
        "category": "Administrative",
        "resultType": "Success",
        "correlationId": "c-1",
        "callerIpAddress": "203.0.113.7",
        "identity": {
            "claims": {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "alice@example.com", "uti": "t-1"}
        },
        "properties": {"eventDataId": "e-1"},
    }
    return base | changes


def sign_in():
    properties = {
        "id": "s-1",
        "userPrincipalName": "alice@example.com",
        "ipAddress": "198.51.100.9",
        "uniqueTokenIdentifier": "t-1",
        "appDisplayName": "Azure Portal",
        "status": {"errorCode": 0},
    }
    return {
        "time": "2026-11-21T11:59:00Z",
        "category": "SignInLogs",
        "operationName": "Sign-in activity",
        "properties": properties,
    }


def role_change():
    properties = {
        "id": "a-1",
        "initiatedBy": {"user": {"userPrincipalName": "alice@example.com", "ipAddress": "198.51.100.9"}},
        "targetResources": [
            {
                "userPrincipalName": "eve@example.com",
                "type": "User",
                "modifiedProperties": [{"displayName": "Role.DisplayName", "newValue": '"Global Administrator"'}],
            }
        ],
    }
    return {
        "time": "2026-11-21T12:01:00Z",
        "category": "AuditLogs",
        "operationName": "Add member to role",
        "properties": properties,
    }


def records(value):
    return parse(FORM, orjson.dumps(value), "x")


def facts(record):
    (parsed,) = records(record).records
    return FORM.facts_of(parsed)


def ids(found, kind, role=Role.ACTOR):
    return [e.id for e in found.entities if e.kind is kind and e.role is role]


def test_every_log_has_its_own_rules():
    parsed = records({"records": [activity(), sign_in(), role_change()]})
    assert [(r.event_id, r.rule_key) for r in parsed.records] == [
        ("e-1", "azure/activitylogs"),
        ("s-1", "azure/signinlogs"),
        ("a-1", "azure/auditlogs"),
    ]


def test_the_rest_apis_spelling_means_the_same():
    row = {
        "eventTimestamp": "2026-11-21T12:00:03Z",
        "eventDataId": "e-1",
        "operationName": {"value": "Microsoft.Compute/virtualMachines/runCommand/action", "localizedValue": "Run"},
        "category": {"value": "Administrative"},
        "caller": "alice@example.com",
        "resourceId": VM,
        "status": {"value": "Succeeded"},
    }
    found = facts({"value": [row]})
    assert ids(found, EntityKind.USER) == ["alice@example.com"]
    assert found.fields["operationName"] == "Microsoft.Compute/virtualMachines/runCommand/action"


def test_an_activity_and_the_sign_in_before_it_share_the_token():
    did, came = facts(activity()), facts(sign_in())
    assert ids(did, EntityKind.CREDENTIAL) == ids(came, EntityKind.CREDENTIAL) == ["t-1"]
    assert ids(did, EntityKind.CLOUD_ACCOUNT) == ["0f9a"]
    assert ids(did, EntityKind.CLOUD_RESOURCE, Role.TARGET) == [VM.lower()]


def test_a_change_names_its_target_and_what_was_given():
    found = facts(role_change())
    assert ids(found, EntityKind.USER, Role.TARGET) == ["eve@example.com"]
    assert found.fields["changes"] == ('Role.DisplayName: "Global Administrator"',)


def test_what_is_no_record_is_named_by_its_place():
    parsed = records({"records": [activity(), {"a": 1}, activity(time="soon"), None]})
    assert [p.position for p in parsed.problems] == ["x, item 2", "x, item 3", "x, item 4"]


@pytest.mark.parametrize(
    "part", ["identity", "properties", "claims", "operationName", "category", "resourceId", "status"]
)
@pytest.mark.parametrize("value", [None, 7, "x", [1], {"value": [], "targetResources": 3, "claims": "x"}])
def test_parts_of_the_wrong_type_are_absent_ones(part, value):
    for parsed in records(activity(**{part: value})).records:
        assert isinstance(FORM.facts_of(parsed).summary, str)
