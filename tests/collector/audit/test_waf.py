"""What a firewall wrote of a request is read as one form, whichever firewall it was."""

import orjson
import pytest

from collector.audit.envelope import parse
from collector.audit.waf import AwsWaf, ModSecurity
from detection.finding import EntityKind, Role

T = 1_795_262_403
QUERY = "id=1%2527+OR+1%3D1"


def modsecurity(**changes):
    details = {"ruleId": "942100", "severity": "2", "tags": ["attack-sqli", "OWASP_CRS"]}
    verdict = {"ruleId": "949110", "tags": ["attack-generic"]}
    base = {
        "client_ip": "203.0.113.7",
        "host_ip": "10.0.0.5",
        "time_stamp": "Sat Nov 21 12:00:03 2026",
        "unique_id": "u-1",
        "request": {
            "method": "GET",
            "uri": f"/shop?{QUERY}",
            "headers": {"Host": "Shop.example:8081", "User-Agent": "x", "Cookie": "session=secret"},
        },
        "response": {"http_code": 403},
        "producer": {"secrules_engine": "Enabled"},
        "messages": [
            {"message": "SQL Injection", "details": details},
            {"message": "Inbound Anomaly Score Exceeded", "details": verdict},
        ],
    }
    return {"transaction": base | changes}


def coraza():
    transaction = {
        "timestamp": "2026/11/21 12:00:03",
        "unix_timestamp": T * 10**9,
        "id": "u-1",
        "client_ip": "203.0.113.7",
        "server_id": "s",
        "request": {
            "method": "GET",
            "uri": f"/shop?{QUERY}",
            "headers": {"host": ["shop.example"], "user-agent": ["x"]},
        },
        "response": {"status": 0},
        "is_interrupted": True,
    }
    return {"transaction": transaction, "messages": [{"message": "SQL Injection", "data": {"id": 942100, "tags": []}}]}


def aws(**changes):
    asked = {
        "clientIp": "203.0.113.7",
        "uri": "/shop",
        "args": QUERY,
        "httpMethod": "GET",
        "requestId": "u-1",
        "headers": [{"name": "Host", "value": "shop.example"}, {"name": "Authorization", "value": "Bearer secret"}],
    }
    base = {
        "timestamp": T * 1000,
        "action": "BLOCK",
        "terminatingRuleId": "AWS-AWSManagedRulesSQLiRuleSet",
        "labels": [{"name": "awswaf:managed:aws:sql-database:SQLi_QueryArguments"}],
        "httpRequest": asked,
    }
    return base | changes


CASES = [(ModSecurity(), modsecurity()), (ModSecurity(), coraza()), (AwsWaf(), aws())]


@pytest.mark.parametrize(("form", "value"), CASES, ids=["modsecurity", "coraza", "aws"])
def test_every_firewall_gives_the_same_request(form, value):
    (record,) = parse(form, orjson.dumps(value), "x").records
    assert (record.event_id, record.time_ns, record.rule_key) == ("u-1", T * 10**9, "waf/request")
    raw = record.raw
    assert (raw["action"], raw["client"], raw["path"], raw["query"]) == (
        "blocked",
        "203.0.113.7",
        "/shop",
        "id=1' OR 1=1",
    )
    assert raw["kinds"] == ("sqli",)
    found = form.facts_of(record)
    assert [e.id for e in found.entities if e.kind is EntityKind.DOMAIN] == ["shop.example"]
    assert "secret" not in orjson.dumps([dict(raw), dict(found.fields)]).decode()


def test_the_machine_that_served_is_a_target():
    form = ModSecurity()
    (record,) = parse(form, orjson.dumps(modsecurity()), "x").records
    targets = [e.id for e in form.facts_of(record).entities if e.kind is EntityKind.ADDRESS and e.role is Role.TARGET]
    assert targets == ["10.0.0.5"]


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({"response": {"http_code": 200}}, "passed"),
        ({"producer": {"secrules_engine": "DetectionOnly"}, "response": {"http_code": 200}}, "counted"),
        ({"messages": []}, "passed"),
    ],
)
def test_what_the_firewall_did_follows_from_verdict_and_status(changes, action):
    (record,) = parse(ModSecurity(), orjson.dumps(modsecurity(**changes)), "x").records
    assert record.raw["action"] == action


def test_what_is_no_record_is_named_by_its_place():
    lines = b"\n".join(orjson.dumps(v) for v in (modsecurity(), {}, modsecurity(time_stamp="soon"), 7))
    assert [p.position for p in parse(ModSecurity(), lines, "x").problems] == ["x, line 2", "x, line 3", "x, line 4"]
    lines = b"\n".join(orjson.dumps(v) for v in (aws(), {"httpRequest": {"uri": "/"}}, aws(timestamp="x")))
    assert [p.position for p in parse(AwsWaf(), lines, "x").problems] == ["x, line 2", "x, line 3"]


@pytest.mark.parametrize("part", ["request", "response", "messages", "producer", "client_ip", "unique_id"])
@pytest.mark.parametrize("value", [None, 7, "x", [1], {"headers": [1], "uri": 5}, [{"details": 3}]])
def test_parts_of_the_wrong_type_are_absent_ones(part, value):
    for record in parse(ModSecurity(), orjson.dumps(modsecurity(**{part: value})), "x").records:
        assert ModSecurity().facts_of(record).summary
