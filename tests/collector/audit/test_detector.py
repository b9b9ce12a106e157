"""Audit events become findings with their entities, once each, without secrets."""

import orjson
import pytest

from collector.audit import Detector
from collector.audit.envelope import parse
from collector.audit.kubernetes import KubernetesAudit
from detection.finding import EntityKind, Kind, Role, Severity, Source
from detection.rules.compile import RuleSet
from detection.rules.parse import parse_all

E = EntityKind

FORM = KubernetesAudit()


def _detect(detector, *records):
    detection = detector.detect(FORM, parse(FORM, orjson.dumps(list(records)), "x").records)
    detector.commit(detection)
    return detection.findings


def _entities(finding):
    return {(e.kind, e.id, e.role) for e in finding.entities}


def test_an_exec_names_user_address_event_and_pod(detector, record):
    exec_finding, pods_finding = _detect(detector, record())
    assert (exec_finding.rule_id, pods_finding.rule_id) == ("exec", "pods")
    assert exec_finding.source is Source.KUBERNETES_AUDIT
    assert exec_finding.kind is Kind.RULE
    assert exec_finding.severity is Severity.MEDIUM
    assert exec_finding.time_ns == 1_795_262_403_100_000_000
    assert _entities(exec_finding) == {
        (E.USER, "alice@example.com", Role.ACTOR),
        (E.ADDRESS, "203.0.113.7", Role.ACTOR),
        (E.AUDIT_EVENT, "id-1", Role.ACTOR),
        (E.KUBERNETES_OBJECT, "pods/shop/web-1", Role.TARGET),
        (E.POD_NAME, "shop/web-1", Role.TARGET),
    }
    fields = exec_finding.fields
    assert fields["exec.container"] == "web"
    assert fields["exec.command"] == ("/bin/sh", "-c", "mysql --password=[redacted]")
    assert (fields["exec.tty"], fields["exec.stdin"], fields["responseStatus.code"]) == (True, True, 101)
    assert exec_finding.matched
    assert "hunter2" not in str(exec_finding.as_dict())


def test_a_bound_token_names_pod_node_and_credential(detector, record):
    extra = {
        "authentication.kubernetes.io/pod-uid": ["uid-1"],
        "authentication.kubernetes.io/pod-name": ["web-1"],
        "authentication.kubernetes.io/node-name": ["node-1"],
        "authentication.kubernetes.io/credential-id": ["JTI=1"],
    }
    event = record(
        verb="list",
        requestURI="/api/v1/namespaces/shop/secrets",
        user={"username": "system:serviceaccount:shop:web", "extra": extra},
        objectRef={"resource": "secrets", "namespace": "shop"},
        annotations={"authentication.kubernetes.io/issued-credential-id": "JTI=2"},
    )
    (finding,) = _detect(detector, event)
    assert _entities(finding) >= {
        (E.SERVICE_ACCOUNT, "shop/web", Role.ACTOR),
        (E.POD, "uid-1", Role.ACTOR),
        (E.POD_NAME, "shop/web-1", Role.ACTOR),
        (E.NODE, "node-1", Role.ACTOR),
        (E.CREDENTIAL, "JTI=1", Role.ACTOR),
        (E.CREDENTIAL, "JTI=2", Role.TARGET),
        (E.KUBERNETES_OBJECT, "secrets/shop/", Role.TARGET),
    }


def test_impersonation_names_both(detector, record):
    finding = _detect(detector, record(impersonatedUser={"username": "system:serviceaccount:kube-system:admin"}))[0]
    assert (E.USER, "alice@example.com", Role.ACTOR) in _entities(finding)
    assert (E.SERVICE_ACCOUNT, "kube-system/admin", Role.ACTOR) in _entities(finding)
    assert "alice@example.com as system:serviceaccount:kube-system:admin" in finding.reason


def test_a_created_pod_has_its_uid_and_what_makes_it_dangerous(detector, record):
    spec = {
        "hostPID": True,
        "containers": [{"name": "c", "image": "busybox", "securityContext": {"privileged": True}}],
        "volumes": [{"name": "r", "hostPath": {"path": "/"}}],
    }
    event = record(
        requestURI="/api/v1/namespaces/shop/pods",
        objectRef={"resource": "pods", "namespace": "shop"},
        requestObject={"kind": "Pod", "spec": spec},
        responseObject={"kind": "Pod", "metadata": {"name": "helper-x7", "uid": "uid-9"}},
    )
    (finding,) = _detect(detector, event)
    assert (E.KUBERNETES_OBJECT, "pods/shop/helper-x7", Role.TARGET) in _entities(finding)
    assert (E.POD, "uid-9", Role.TARGET) in _entities(finding)
    fields = finding.fields
    assert (fields["pod.privileged"], fields["pod.hostPath"], fields["pod.hostNamespaces"]) == (
        ("c",),
        ("/",),
        ("hostPID",),
    )


def test_payloads_of_secrets_never_reach_a_finding(detector, record):
    event = record(
        verb="list",
        objectRef={"resource": "secrets", "namespace": "shop"},
        requestURI="/api/v1/secrets?labelSelector=token%3Dhunter2&token=hunter2",
        requestObject={"data": {"p": "aHVudGVyMg=="}},
        responseObject={"items": [{"data": {"p": "aHVudGVyMg=="}}]},
    )
    (finding,) = _detect(detector, event)
    text = str(finding.as_dict())
    assert "aHVudGVyMg==" not in text
    assert "hunter2" not in text.replace("labelSelector=token%3Dhunter2", "")


def test_one_audit_event_is_one_finding_per_rule_whatever_its_stages(detector, record):
    stages = [record(stage=s) for s in ("RequestReceived", "ResponseStarted", "ResponseComplete")]
    assert len(_detect(detector, stages[0])) == 0
    started = _detect(detector, stages[1])
    assert len(started) == 2
    assert _detect(detector, stages[2], stages[1]) == []
    assert detector.counters() == {"events": 4, "early_stage": 1, "findings": 2, "repeated_stage": 4}


def test_stages_in_one_piece_and_in_the_wrong_order_are_one(detector, record):
    assert len(_detect(detector, record(stage="ResponseComplete"), record(stage="ResponseStarted"))) == 2


def test_the_id_is_the_same_for_every_stage_and_transport(rules, record):
    ids = [{f.id for f in _detect(Detector(rules), record(stage=s))} for s in ("ResponseStarted", "ResponseComplete")]
    assert ids[0] == ids[1]


def test_what_was_not_committed_is_found_again(detector, record):
    records = parse(FORM, orjson.dumps(record()), "x").records
    first = detector.detect(FORM, records).findings
    assert detector.detect(FORM, records).findings == first


def test_memory_of_audit_ids_is_bounded(rules, record):
    detector = Detector(rules, remember=10)
    for n in range(50):
        _detect(detector, record(f"id-{n}"))
    assert len(_detect(detector, record("id-49"))) == 0
    assert len(_detect(detector, record("id-0"))) == 2


def test_hostile_text_is_made_plain_and_bounded(detector, record):
    finding = _detect(detector, record(user={"username": "a\x1b]0;x\x07" + "b" * 5000}, userAgent="<script>\x00"))[0]
    text = str(finding.as_dict())
    assert "\\x1b" not in text
    assert "\x1b" not in text
    assert all(len(v) <= 512 for v in finding.fields.values() if isinstance(v, str))


@pytest.mark.external
def test_events_of_a_live_api_server_are_all_read(shared_data, detector):
    data = (shared_data / "kubernetes" / "audit-webhook-1.20.json").read_bytes()
    parsed = parse(FORM, data, "recorded")
    assert (len(parsed.records), parsed.problems) == (120, ())
    findings = [f for f in detector.detect(FORM, parsed.records).findings if f.rule_id == "exec"]
    assert len(findings) == 4
    assert {f.fields["verb"] for f in findings} == {"get", "create"}
    assert all(f.fields["exec.container"] == "web" for f in findings)
    assert all(f.entity(EntityKind.POD_NAME, Role.TARGET) for f in findings)


_PAIR = """
title: Pods were touched twice
name: twice
status: test
level: high
correlation: {type: event_count, rules: [pods], group-by: [user.username], timespan: 1m, condition: {gte: 2}}
"""
_POD = """
title: Pods
name: pods
status: test
level: medium
logsource: {product: kubernetes, service: audit}
detection: {s: {objectRef.resource: pods}, condition: s}
---
title: Alice may
logsource: {product: kubernetes, service: audit}
filter: {rules: [pods], alice: {user.username: alice@example.com}, condition: not alice}
"""


def _with(*texts):
    parsed = parse_all([("x.yml", "---".join(texts))])
    assert parsed.problems == ()
    return Detector(RuleSet.from_ir(parsed.rules, parsed.correlations, parsed.exemptions))


def test_a_story_that_could_not_be_stored_is_told_again(record):
    detector = _with(_POD.split("---", maxsplit=1)[0], _PAIR)
    records = parse(FORM, orjson.dumps([record("a"), record("b")]), "x").records
    (story,) = detector.detect(FORM, records).findings
    assert (story.rule_id, story.count, story.severity) == ("twice", 2, Severity.HIGH)
    again = detector.detect(FORM, records)  # the transport tries once more
    assert again.findings == [story]
    detector.commit(again)
    assert detector.detect(FORM, records).findings == []


def test_what_is_excepted_stays_a_finding_as_context(record):
    finding = _detect(_with(_POD), record())[0]
    assert (finding.severity, finding.fields["excepted_by"]) == (Severity.INFORMATIONAL, "Alice may")
