"""Each format is what its standard says, for every shape of finding and incident, hostile ones too."""

import gzip
import importlib.util
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

import rules
from collector.audit import FORMATS
from collector.audit.replay import AuditReplay
from collector.correlate import Correlator
from collector.publish.sinks.formats import cef, ecs, falco, format_of, ocsf, otlp_record
from collector.publish.sinks.formats.facts import VERSION
from collector.publish.sinks.formats.otlp import request_of
from collector.publish.sinks.syslog import frame
from detection.rules import load_compiled

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = ("1.5.0", "1.8.0")


def _checker(shared):
    spec = importlib.util.spec_from_file_location("ocsf_check", shared.parent / "testbed/ocsf_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.check


@pytest.mark.external
@pytest.mark.parametrize("version", VERSIONS)
def test_ocsf_is_valid_by_the_schema_itself(version, make, shared_data):
    check = _checker(shared_data)
    with gzip.open(shared_data / f"ocsf/schema-{version}.json.gz") as file:
        schema = json.load(file)
    found = {name: check(orjson.loads(ocsf(s, version)), schema) for name, s in make.everything().items()}
    assert found == {name: [] for name in found}


@pytest.mark.parametrize("name", ["ocsf", "ecs", "cef", "falco", "otlp"])
@pytest.mark.parametrize("shape", ["finding", "anomaly", "incident", "incident-merged"])
def test_the_format_is_what_it_was(name, shape, make):
    """VEDETTE_GOLDEN=write writes them anew."""
    body = format_of(name)(make.everything()[shape])
    body = body.replace(VERSION.encode(), b"VERSION")
    path = GOLDEN / f"{shape}.{name}"
    text = body.decode() if name == "cef" else json.dumps(orjson.loads(body), indent=1, ensure_ascii=False)
    if os.environ.get("VEDETTE_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    assert path.read_text() == text + "\n"


def test_ocsf_says_create_update_and_close(make):
    shapes = make.everything()
    names = ("incident", "incident-updated", "incident-merged")
    events = [orjson.loads(ocsf(shapes[name])) for name in names]
    assert [(e["activity_id"], e["type_uid"], e["status_id"]) for e in events] == [
        (1, 200401, 1),
        (2, 200402, 2),
        (3, 200403, 4),
    ]
    assert {e["finding_info"]["uid"] for e in events} == {"incident-1"}
    assert events[2]["metadata"]["correlation_uid"] == "incident-0"
    assert [len(e["evidences"]) for e in events] == [2, 2, 2]


def test_a_cef_line_can_be_taken_apart_again(make):
    subject = make.runtime()
    line = cef(subject).decode()
    head = re.split(r"(?<!\\)\|", line, maxsplit=7)
    assert head[:3] == ["CEF:0", "Vedette", "Vedette"]
    assert head[5].replace("\\|", "|") == subject.title
    assert head[6] == "8"
    pairs = dict(re.findall(r"(\w+)=((?:\\.|[^=\\])*?)(?= \w+=|$)", head[7]))
    said = pairs["msg"].replace("\\n", "\n").replace("\\=", "=").replace("\\\\", "\\")
    assert said == subject.reason
    assert (pairs["dst"], pairs["dpt"], pairs["cs1"]) == ("203.0.113.66", "443", "T1059.004,T1105")


def test_nothing_hostile_breaks_a_line_or_a_document(make):
    subject = make.everything()["finding-hostile"]
    assert b"\n" not in cef(subject)
    assert b"\r" not in cef(subject)
    assert len(cef(subject)) < 8192
    for form in (ocsf, ecs, falco, otlp_record):
        body = form(subject)
        assert b"\n" not in body
        assert orjson.loads(body)
        assert len(body) < 100_000, form


def test_falco_fields_are_texts_and_numbers_as_routers_want(make):
    for name, subject in make.everything().items():
        alert = orjson.loads(falco(subject))
        assert {"hostname", "output", "priority", "rule", "time", "output_fields", "source", "tags"} <= set(alert), name
        assert all(isinstance(v, str | int | float) for v in alert["output_fields"].values()), name
    alert = orjson.loads(falco(make.runtime()))
    assert alert["source"] == "syscall"
    assert alert["priority"] == "Error"
    assert alert["output_fields"]["proc.cmdline"] == "sh -c id"


def test_ecs_names_no_field_with_a_dot_below_its_own_objects(make):
    document = orjson.loads(ecs(make.runtime()))
    assert document["ecs"]["version"].startswith("8.")
    assert not [name for name in document["vedette"]["finding"]["fields"] if "." in name]
    assert document["process"]["parent"]["executable"] == "/usr/sbin/nginx"


def test_otlp_numbers_of_64_bits_are_texts(make):
    request = orjson.loads(request_of([otlp_record(make.runtime())]))
    record = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    values = {a["key"]: a["value"] for a in record["attributes"]}
    assert values["vedette.field.ProcessId"] == {"intValue": "4711"}
    assert record["timeUnixNano"] == str(make.runtime().time_ns)


def test_a_syslog_frame_says_its_length_in_octets(make):
    subject = replace(make.runtime(), fields={"Hostname": "nöde 1\n"})
    framed = frame(subject, "CEF:0|ü".encode())
    length, _, rest = framed.partition(b" ")
    assert int(length) == len(rest)
    assert re.fullmatch(
        rb"<107>1 2025-11-21T12:00:01\.000000Z n_de_1_ vedette - finding - \xef\xbb\xbfCEF:0\|\xc3\xbc", rest
    )


def test_an_incident_of_very_many_findings_stays_bounded_and_keeps_the_worst(make):
    findings = [make.runtime(n, severity=make.audit().severity) for n in range(1, 1001)] + [make.runtime(1001)]
    subject = make.incident(*findings)
    event = orjson.loads(ocsf(subject))
    assert len(event["evidences"]) == 100
    assert event["finding_info"]["related_events_count"] == 1001
    assert "f-001001" in {e["uid"] for e in event["evidences"]}


def test_an_incident_of_huge_findings_still_fits_a_kafka_record(make):
    long = {f"field{n}": "x" * 8192 for n in range(20)} | {"CommandLine": "y" * 8192, "Image": "/bin/sh"}
    subject = make.incident(*(make.runtime(n, fields=long) for n in range(1, 101)))
    for form in (ocsf, ecs, falco, cef, otlp_record):
        assert len(form(subject)) < 1_000_000, form
    assert len(orjson.loads(ocsf(subject))["evidences"]) in (10, 100)


@pytest.mark.external
@pytest.mark.parametrize("version", VERSIONS)
def test_what_real_audit_logs_lead_to_is_valid_ocsf(version, shared_data):
    """Recorded Kubernetes and CloudTrail logs through the shipped rules and the correlator."""
    findings = []
    for source, folder in (("kubernetes-audit", "falco_k8saudit"), ("aws-cloudtrail", "cloudtrail_attacks")):
        replay = AuditReplay(FORMATS[source], load_compiled(rules.compiled("audit")))
        for path in sorted((shared_data / folder).glob("*.json")):
            if path.name != "EXPECTED.json":
                findings += replay.findings(path)
    incidents = Correlator().add_many(findings)
    assert len(findings) > 20
    assert incidents
    check = _checker(shared_data)
    with gzip.open(shared_data / f"ocsf/schema-{version}.json.gz") as file:
        schema = json.load(file)
    for subject in (*findings, *incidents):
        assert check(orjson.loads(ocsf(subject, version)), schema) == []
        for form in (ecs, falco, otlp_record):
            assert orjson.loads(form(subject))
        assert b"\n" not in cef(subject)
