"""Google Cloud audit entries are read in every shape they come in, and tell who is behind them."""

import base64

import orjson
import pytest

from collector.audit.envelope import parse
from collector.audit.gcp import GcpAudit
from detection.finding import EntityKind, Role

FORM = GcpAudit()


def entry(**changes):
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": "orders@shop.iam.gserviceaccount.com"},
        "requestMetadata": {"callerIp": "203.0.113.7", "callerSuppliedUserAgent": "gcloud"},
        "serviceName": "iam.googleapis.com",
        "methodName": "google.iam.admin.v1.CreateServiceAccountKey",
        "resourceName": "projects/-/serviceAccounts/orders",
    }
    base = {
        "insertId": "i-1",
        "timestamp": "2026-11-21T12:00:03Z",
        "logName": "projects/shop/logs/cloudaudit.googleapis.com%2Factivity",
        "resource": {"type": "service_account", "labels": {"project_id": "shop"}},
        "protoPayload": payload | changes.pop("payload", {}),
    }
    return base | changes


def records(value):
    return parse(FORM, orjson.dumps(value), "x")


def facts(**changes):
    (record,) = records(entry(**changes)).records
    return FORM.facts_of(record)


def ids(found, kind, role=Role.ACTOR):
    return [e.id for e in found.entities if e.kind is kind and e.role is role]


def packed(value):
    return base64.b64encode(orjson.dumps(value)).decode()


@pytest.mark.parametrize(
    "shape",
    [
        entry(),
        [entry()],
        {"entries": [entry()]},
        {"message": {"data": packed(entry()), "messageId": "7"}, "subscription": "s"},
        {"receivedMessages": [{"ackId": "a", "message": {"data": packed(entry())}}]},
    ],
)
def test_every_shape_gives_the_same_entry(shape):
    parsed = records(shape)
    assert [(r.event_id, r.time_ns, r.rule_key) for r in parsed.records] == [
        ("i-1", 1_795_262_403_000_000_000, "gcp/gcp.audit")
    ]


def test_what_is_no_audit_entry_is_named_by_its_place():
    parsed = records({"entries": [entry(), {"textPayload": "x"}, entry(timestamp="soon"), 7]})
    assert [p.position for p in parsed.problems] == ["x, item 2", "x, item 3", "x, item 4"]


def test_a_service_account_resolves_to_the_pod_account_and_the_person_it_was_lent_to():
    info = {
        "principalEmail": "orders@shop.iam.gserviceaccount.com",
        "serviceAccountKeyName": "//iam.googleapis.com/projects/shop/serviceAccounts/orders/keys/k1",
        "serviceAccountDelegationInfo": [
            {"principalSubject": "serviceAccount:shop.svc.id.goog[web/orders]"},
            {"firstPartyPrincipal": {"principalEmail": "alice@example.com"}},
        ],
    }
    found = facts(payload={"authenticationInfo": info})
    assert "orders@shop.iam.gserviceaccount.com" in ids(found, EntityKind.ROLE)
    assert ids(found, EntityKind.SERVICE_ACCOUNT) == ["web/orders"]
    assert "alice@example.com" in ids(found, EntityKind.USER)
    assert ids(found, EntityKind.CREDENTIAL) == ["k1"]
    assert ids(found, EntityKind.CLOUD_ACCOUNT) == ["shop"]


@pytest.mark.parametrize(
    "part", ["authenticationInfo", "requestMetadata", "status", "authorizationInfo", "serviceData"]
)
@pytest.mark.parametrize("value", [None, 7, "x", [1], {"bindingDeltas": 3, "principalEmail": []}])
def test_parts_of_the_wrong_type_are_absent_ones(part, value):
    assert facts(payload={part: value}).summary
