"""Audit logs of managed clusters and of carriers are read in the form those send them."""

import base64
import gzip

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules
from collector.audit import FORMATS, Detector
from collector.audit.aws import CloudTrail
from collector.audit.envelope import parse
from collector.audit.gcp import GcpAudit
from collector.audit.kubernetes import KubernetesAudit
from collector.audit.waf import AwsWaf
from detection.finding import EntityKind, Role
from detection.rules import load_compiled

K8S = KubernetesAudit()


def told(value, form=K8S):
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    parsed = parse(form, data, "x")
    return [r.event_id for r in parsed.records], [(p.position, p.reason) for p in parsed.problems], parsed.other


def packed(value):
    return base64.b64encode(gzip.compress(orjson.dumps(value))).decode()


def log_events(*messages, kind="DATA_MESSAGE"):
    events = [{"id": str(i), "timestamp": 1, "message": m} for i, m in enumerate(messages)]
    return {"messageType": kind, "owner": "1", "logGroup": "/aws/eks/c/cluster", "logStream": "s", "logEvents": events}


def text(value):
    return orjson.dumps(value).decode()


def test_eks_audit_events_come_in_cloudwatch_log_events_beside_other_log_lines(record):
    value = log_events(text(record("a")), "I1121 12:00:03.1 1 httplog.go:1] ok", text(record("b")))
    for shape in (value, [value], {"awslogs": {"data": packed(value)}}, packed(value).encode()):
        assert told(shape) == (["a", "b"], [], 1)
    kinesis = {"Records": [{"kinesis": {"data": packed(value)}}, {"kinesis": {"data": packed(value)}}]}
    assert told(kinesis) == (["a", "b", "a", "b"], [], 2)


def test_a_control_message_holds_nothing_and_is_no_problem():
    assert told({"awslogs": {"data": packed(log_events("{}", kind="CONTROL_MESSAGE"))}}) == ([], [], 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("%%%", "data is not base64"),
        (base64.b64encode(b"\x1f\x8bnothing").decode(), "broken gzip"),
        (packed({"a": 1})[:24], "the gzip is cut off"),
        (base64.b64encode(b"{").decode(), "its content is not JSON"),
        (base64.b64encode(gzip.compress(bytes(33 << 20))).decode(), "over 32 MiB when unpacked"),
    ],
)
def test_packages_that_cannot_be_opened_are_told_with_their_place(record, data, reason):
    ids, problems, _ = told([{"awslogs": {"data": data}}, record("a")])
    assert ids == ["a"]
    assert [where for where, _ in problems] == ["x, item 1"]
    assert problems[0][1].startswith(reason)


def test_an_event_that_was_cut_off_in_its_log_line_is_told(record):
    ids, problems, other = told(log_events(text(record("a"))[:-40], text(record("b"))))
    assert (ids, other) == (["b"], 0)
    assert problems == [("x, item 1", "the audit event it carries is no JSON object (cut off?)")]


def test_aks_audit_events_come_as_text_in_diagnostic_records(record):
    def diagnostic(category, log):
        return {"time": "2026-11-21T12:00:03Z", "category": category, "properties": {"log": log, "stream": "stdout"}}

    value = {
        "records": [
            diagnostic("kube-audit", text(record("a"))),
            diagnostic("kube-audit-admin", text(record("b"))),
            diagnostic("guard", "I1121 authorised"),
            diagnostic("kube-apiserver", "I1121 line"),
            diagnostic("kube-audit", text(record("c"))[:-9]),
        ]
    }
    assert told(value) == (["a", "b"], [("x, item 5", "the audit event it carries is no JSON object (cut off?)")], 2)


def gke(method="io.k8s.core.v1.pods.exec.create", name="core/v1/namespaces/shop/pods/web-1/exec", **changes):
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "k8s.io",
        "methodName": method,
        "resourceName": name,
        "authenticationInfo": {"principalEmail": "system:serviceaccount:shop:web"},
        "authorizationInfo": [{"granted": True, "permission": "io.k8s.core.v1.pods.exec.create"}],
        "requestMetadata": {"callerIp": "203.0.113.7", "callerSuppliedUserAgent": "kubectl/v1.32"},
        "status": {"code": 0},
    }
    payload |= changes.pop("payload", {})
    base = {"insertId": "i-1", "timestamp": "2026-11-21T12:00:03Z", "protoPayload": payload}
    return base | {"operation": {"id": "op-1", "first": True, "last": True}} | changes


def raw(entry):
    (record,) = parse(K8S, orjson.dumps(entry), "x").records
    return record.raw


def test_an_exec_in_a_gke_cluster_is_the_audit_event_it_was_made_from():
    request = {"@type": "core.k8s.io/v1.PodExecOptions", "command": ["sh", "-c", "id"], "container": "web", "tty": True}
    event = raw(gke(payload={"request": request}))
    assert event["auditID"] == "op-1"
    assert event["verb"] == "create"
    assert event["requestURI"] == (
        "/api/v1/namespaces/shop/pods/web-1/exec?command=sh&command=-c&command=id&container=web&tty=true"
    )
    assert event["objectRef"] == {
        "resource": "pods",
        "namespace": "shop",
        "name": "web-1",
        "subresource": "exec",
        "apiVersion": "v1",
    }
    assert event["user"] == {"username": "system:serviceaccount:shop:web"}
    assert event["responseStatus"] == {"code": 101}
    assert (event["stage"], event["sourceIPs"], event["userAgent"]) == (
        "ResponseComplete",
        ["203.0.113.7"],
        "kubectl/v1.32",
    )
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
    (record,) = parse(K8S, orjson.dumps(gke(payload={"request": request})), "x").records
    facts = K8S.facts_of(record)
    assert facts.fields["exec.command"] == ("sh", "-c", "id")
    assert [e.id for e in facts.entities if e.kind is EntityKind.SERVICE_ACCOUNT] == ["shop/web"]
    assert [e.id for e in facts.entities if e.kind is EntityKind.POD_NAME and e.role is Role.TARGET] == ["shop/web-1"]


@pytest.mark.parametrize(
    ("name", "reference", "uri"),
    [
        (
            "rbac.authorization.k8s.io/v1/clusterrolebindings/boss",
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "apiVersion": "v1",
                "resource": "clusterrolebindings",
                "name": "boss",
            },
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/boss",
        ),
        (
            "core/v1/namespaces/shop/secrets",
            {"resource": "secrets", "namespace": "shop", "apiVersion": "v1"},
            "/api/v1/namespaces/shop/secrets",
        ),
        (
            "core/v1/nodes/n1/proxy/run",
            {"resource": "nodes", "name": "n1", "subresource": "proxy/run", "apiVersion": "v1"},
            "/api/v1/nodes/n1/proxy/run",
        ),
        (
            "core/v1/namespaces/shop",
            {"resource": "namespaces", "namespace": "shop", "name": "shop", "apiVersion": "v1"},
            "/api/v1/namespaces/shop",
        ),
        (
            "core/v1/namespaces/shop/finalize",
            {
                "resource": "namespaces",
                "namespace": "shop",
                "name": "shop",
                "subresource": "finalize",
                "apiVersion": "v1",
            },
            "/api/v1/namespaces/shop/finalize",
        ),
        ("core/v1/pods", {"resource": "pods", "apiVersion": "v1"}, "/api/v1/pods"),
        ("readyz", {}, "/readyz"),
        ("", {}, "/"),
    ],
)
def test_names_of_gke_resources_are_taken_apart(name, reference, uri):
    event = raw(gke("io.k8s.x.get", name))
    assert (event["objectRef"], event["requestURI"]) == (reference, uri)


@pytest.mark.parametrize(("code", "status"), [(0, 200), (7, 403), (5, 404), (16, 401), (99, 500), ("x", 500)])
def test_status_codes_of_grpc_become_those_of_http(code, status):
    assert raw(gke(name="core/v1/pods", payload={"status": {"code": code}}))["responseStatus"] == {"code": status}


def test_a_refused_request_and_the_bodies_of_a_gke_entry_are_kept():
    pod = {"@type": "core.k8s.io/v1.Pod", "metadata": {"name": "w"}, "spec": {"hostPID": True}}
    denied = {
        "authorizationInfo": [{"permission": "p"}],
        "request": pod,
        "response": {"@type": "core.k8s.io/v1.Status"},
    }
    event = raw(gke("io.k8s.core.v1.pods.create", "core/v1/namespaces/shop/pods/w", payload=denied))
    assert event["annotations"] == {"authorization.k8s.io/decision": "forbid"}
    assert event["requestObject"] == {"kind": "Pod", "metadata": {"name": "w"}, "spec": {"hostPID": True}}
    assert "responseObject" not in event
    labels = {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "RBAC"}
    assert raw(gke(labels=labels))["annotations"] == labels


def test_other_entries_beside_those_of_clusters_are_passed_over():
    others = [{"textPayload": "x"}, {"protoPayload": {"serviceName": "storage.googleapis.com", "methodName": "get"}}]
    assert told({"entries": [*others, gke()]}) == (["op-1"], [], 2)


@pytest.mark.parametrize("field", ["authenticationInfo", "requestMetadata", "status", "authorizationInfo", "request"])
@pytest.mark.parametrize("value", [None, 7, "x", [1], {"command": 3, "code": []}])
def test_parts_of_a_gke_entry_of_the_wrong_type_are_absent_ones(field, value):
    assert raw(gke(payload={field: value}))["verb"] == "create"


def test_pub_sub_messages_are_opened_for_every_log(record):
    data = base64.b64encode(orjson.dumps(record("a"))).decode()
    assert told({"message": {"data": data, "messageId": "7"}, "subscription": "s"}) == (["a"], [], 0)
    pulled = {"receivedMessages": [{"ackId": "q", "message": {"data": data}}]}
    assert told(pulled) == (["a"], [], 0)
    assert told({"message": {"data": "!"}, "subscription": "s"}, GcpAudit())[1][0][1].startswith("data is not base64")


def test_sns_and_event_bridge_around_each_other_are_taken_off():
    event = {"eventName": "A", "eventSource": "s", "eventTime": "2026-11-21T12:00:03Z", "eventID": "e"}
    bridge = {"detail-type": "AWS API Call via CloudTrail", "source": "aws.iam", "detail": event}
    assert told({"Type": "Notification", "Message": text(bridge)}, CloudTrail()) == (["e"], [], 0)
    assert told({"awslogs": {"data": packed(log_events(text(event)))}}, CloudTrail()) == (["e"], [], 0)


def test_waf_logs_come_through_cloudwatch_too():
    request = {"requestId": "r1", "clientIp": "203.0.113.7", "uri": "/", "args": "", "httpMethod": "GET"}
    line = text({"timestamp": 1_795_262_403_000, "action": "BLOCK", "httpRequest": request})
    assert told({"awslogs": {"data": packed(log_events(line))}}, AwsWaf()) == (["r1"], [], 0)


def test_packages_within_each_other_have_a_bound():
    value = {"eventName": "A"}
    for _ in range(8):
        value = [value]
    assert told(value, CloudTrail())[1][0][1] == "envelopes nested more than 4 deep"


def test_the_shipped_rules_find_an_exec_whatever_cluster_it_comes_from(record):
    exec_in_pod = record("a", requestURI="/api/v1/namespaces/shop/pods/web-1/exec?command=sh")
    forms = {
        "own": exec_in_pod,
        "eks": {"awslogs": {"data": packed(log_events(text(exec_in_pod)))}},
        "aks": {"records": [{"category": "kube-audit", "properties": {"log": text(exec_in_pod)}}]},
        "gke": {"entries": [gke()]},
    }
    ruleset = load_compiled(rules.audit_rules())
    found = {}
    for name, value in forms.items():
        detection = Detector(ruleset).detect(K8S, parse(K8S, orjson.dumps(value), "x").records)
        found[name] = {finding.rule_id for finding in detection.findings}
    assert found["own"]
    assert found["eks"] == found["aks"] == found["own"]
    assert found["gke"] & found["own"]


_KEYS = (
    *("protoPayload", "serviceName", "methodName", "resourceName", "operation", "status", "code", "request", "command"),
    *(
        "message",
        "data",
        "messageId",
        "attributes",
        "awslogs",
        "kinesis",
        "logEvents",
        "records",
        "items",
        "properties",
    ),
    *("log", "category", "auditID", "stage", "verb", "requestURI", "timestamp", "Type", "Message", "detail", "labels"),
)
_TEXTS = (
    "k8s.io",
    "io.k8s.core.v1.pods.exec.create",
    "core/v1/pods/x/exec",
    "2026-11-21T12:00:03Z",
    "{",
    "H4sI",
    "e30=",
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 1 << 40), st.sampled_from(_TEXTS), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(value=_VALUES)
@pytest.mark.parametrize("form", list(FORMATS.values()), ids=list(FORMATS))
def test_any_value_is_a_record_a_problem_or_of_another_log(form, value):
    parsed = parse(form, orjson.dumps({"protoPayload": value, "timestamp": _TEXTS[3]}), "x")
    for one in (parsed, parse(form, orjson.dumps(value), "x")):
        for record in one.records:
            assert form.facts_of(record).summary is not None
        assert all(problem.position.startswith("x") and problem.reason for problem in one.problems)


_PARTS = ("resourceName", "authenticationInfo", "requestMetadata", "status", "authorizationInfo", "request", "response")


@settings(max_examples=300, deadline=None)
@given(
    payload=st.dictionaries(st.sampled_from(_PARTS), _VALUES), entry=st.dictionaries(st.sampled_from(_KEYS), _VALUES)
)
def test_any_gke_entry_is_read_without_an_error(payload, entry):
    entry.pop("protoPayload", None)
    parsed = parse(K8S, orjson.dumps(gke(payload=payload, **entry)), "x")
    assert all(K8S.facts_of(record).summary for record in parsed.records)
