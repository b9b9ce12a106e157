"""CloudTrail events are read in every shape they come in, and tell who is behind them."""

import orjson
import pytest

from collector.audit.aws import CloudTrail
from collector.audit.envelope import parse
from detection.finding import EntityKind, Role

FORM = CloudTrail()
ROLE = "arn:aws:iam::111122223333:role/orders"


def event(**changes):
    base = {
        "eventVersion": "1.11",
        "eventID": "e-1",
        "eventTime": "2026-11-21T12:00:03Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2.15",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/orders/i-0abc",
            "accountId": "111122223333",
            "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": ROLE}, "sourceIdentity": "alice"},
        },
        "requestParameters": {"bucketName": "orders", "password": "hunter2hunter2"},
        "responseElements": None,
    }
    return base | changes


def records(value):
    return parse(FORM, orjson.dumps(value), "x")


def facts(**changes):
    (record,) = records(event(**changes)).records
    return FORM.facts_of(record)


def ids(found, kind, role=Role.ACTOR):
    return [e.id for e in found.entities if e.kind is kind and e.role is role]


@pytest.mark.parametrize(
    "shape",
    [
        event(),
        [event()],
        {"Records": [event()]},
        {"detail-type": "AWS API Call via CloudTrail", "detail": event()},
        {"Events": [{"EventId": "e-1", "CloudTrailEvent": orjson.dumps(event()).decode()}]},
        {"logGroup": "trail", "logEvents": [{"id": "1", "message": orjson.dumps(event()).decode()}]},
        [{"Records": [event()]}],
    ],
)
def test_every_shape_gives_the_same_event(shape):
    parsed = records(shape)
    assert [(r.event_id, r.time_ns, r.rule_key) for r in parsed.records] == [
        ("e-1", 1_795_262_403_000_000_000, "aws/cloudtrail")
    ]
    assert parsed.problems == ()


def test_what_is_no_event_is_named_by_its_place():
    parsed = records({"Records": [event(), {"a": 1}, event(eventTime="yesterday"), 7]})
    assert len(parsed.records) == 1
    assert [p.position for p in parsed.problems] == ["x, item 2", "x, item 3", "x, item 4"]


def test_a_session_of_a_role_resolves_to_the_role_the_instance_and_the_person():
    found = facts()
    assert ids(found, EntityKind.ROLE) == [ROLE]
    assert ids(found, EntityKind.CREDENTIAL) == ["ASIAEXAMPLE"]
    assert ids(found, EntityKind.CLOUD_RESOURCE) == ["i-0abc"]
    assert ids(found, EntityKind.USER) == ["alice"]
    assert found.fields["session"] == "i-0abc"


def test_a_pod_that_takes_a_role_by_its_token_is_known_by_its_service_account():
    identity = {"type": "WebIdentityUser", "userName": "system:serviceaccount:shop:orders", "principalId": "oidc"}
    answer = {"credentials": {"accessKeyId": "ASIANEW", "sessionToken": "secret"}}
    found = facts(
        eventName="AssumeRoleWithWebIdentity",
        userIdentity=identity,
        requestParameters={"roleArn": ROLE},
        responseElements=answer,
    )
    assert ids(found, EntityKind.SERVICE_ACCOUNT) == ["shop/orders"]
    assert ids(found, EntityKind.ROLE, Role.TARGET) == [ROLE]
    assert ids(found, EntityKind.CREDENTIAL, Role.TARGET) == ["ASIANEW"]


def test_session_tags_of_pod_identity_name_the_pod():
    tags = [
        {"key": "kubernetes-namespace", "value": "shop"},
        {"key": "kubernetes-pod-name", "value": "orders-1"},
        {"key": "kubernetes-pod-uid", "value": "u-1"},
        {"key": "kubernetes-service-account", "value": "orders"},
    ]
    found = facts(eventName="AssumeRoleForPodIdentity", requestParameters={"principalTags": tags})
    assert ids(found, EntityKind.POD) == ["u-1"]
    assert ids(found, EntityKind.POD_NAME) == ["shop/orders-1"]


def test_no_secret_of_a_request_is_shown():
    found = facts()
    assert found.fields["requestParameters.bucketName"] == "orders"
    assert "hunter2" not in orjson.dumps(dict(found.fields)).decode() + found.summary


@pytest.mark.parametrize(
    "part", ["userIdentity", "requestParameters", "responseElements", "resources", "sourceIPAddress"]
)
@pytest.mark.parametrize("value", [None, 7, "x", [], [1], {"a": {"b": []}}, {"sessionContext": "x", "arn": 5}])
def test_parts_of_the_wrong_type_are_absent_ones(part, value):
    assert facts(**{part: value}).summary
