"""Audit events are read in every shape they come in; a bad record costs only itself."""

import random

import orjson
import pytest

from collector.audit import envelope
from collector.audit.kubernetes import KubernetesAudit
from collector.audit.record import Parsed
from collector.audit.values import parse_time

T = 1_795_262_403_100_000_000  # 2026-11-21T12:00:03.1Z

FORM = KubernetesAudit()


def parse(data: bytes, position: str, **bounds: int) -> Parsed:
    return envelope.parse(FORM, data, position, **bounds)


def test_one_object_a_list_an_eventlist_and_lines_give_the_same(record):
    one, two = record("a"), record("b")
    shapes = [
        orjson.dumps({"kind": "EventList", "items": [one, two]}),
        orjson.dumps([one, two]),
        orjson.dumps(one) + b"\n\n" + orjson.dumps(two) + b"\n",
        orjson.dumps({"items": [one]}) + b"\n" + orjson.dumps(two),
    ]
    for shape in shapes:
        parsed = parse(shape, "x")
        assert [(e.event_id, e.raw["stage"], e.time_ns) for e in parsed.records] == [
            ("a", "ResponseComplete", T),
            ("b", "ResponseComplete", T),
        ]
        assert parsed.problems == ()


def test_older_versions_and_missing_fields_are_read(record):
    old = {"auditID": "a", "stage": "ResponseComplete", "timestamp": "2026-11-21T12:00:03.1Z", "verb": "get"}
    unversioned = {"auditID": "b", "stageTimestamp": "2026-11-21T13:00:03.1+01:00", "unknown": {"x": [1]}}
    parsed = parse(orjson.dumps([old, unversioned]), "x")
    assert [(e.event_id, e.time_ns) for e in parsed.records] == [("a", T), ("b", T)]


def test_a_record_without_an_id_gets_one_from_its_content(record):
    nameless = record()
    del nameless["auditID"]
    ids = {parse(orjson.dumps(nameless), "x").records[0].event_id for _ in range(2)}
    assert len(ids) == 1
    assert ids.pop().startswith("sha256:")


def test_bad_records_are_told_by_position_and_the_rest_goes_on(record):
    lines = [orjson.dumps(record("a")), b'{"auditID": "cut', b"[1]", b'{"foo": 1}', orjson.dumps(record("b"))]
    lines.append(orjson.dumps(record("c", requestReceivedTimestamp="yesterday", stageTimestamp=None)))
    parsed = parse(b"\n".join(lines), "audit.log")
    assert [e.event_id for e in parsed.records] == ["a", "b"]
    assert [p.position for p in parsed.problems] == [
        "audit.log, line 2",
        "audit.log, line 3, item 1",
        "audit.log, line 4",
        "audit.log, line 6",
    ]
    assert "cut" not in "".join(p.reason for p in parsed.problems)


def test_a_truncated_body_is_one_problem(record):
    parsed = parse(orjson.dumps({"items": [record()]})[:-20], "request 1")
    assert (parsed.records, len(parsed.problems)) == ((), 1)


def test_more_events_than_allowed_are_refused_from_there_on(record):
    parsed = parse(orjson.dumps([record(str(n)) for n in range(20)]), "x", most=5)
    assert len(parsed.records) == 5
    assert len(parsed.problems) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T12:00:03.1Z", T),
        ("2026-11-21T12:00:03.100000000Z", T),
        ("2026-11-21T07:00:03.1-05:00", T),
        ("1970-01-01T00:00:00Z", 0),
        ("2026-13-21T12:00:03Z", None),
        ("2026-11-21", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_times_are_rfc_3339(text, expected):
    assert parse_time(text) == expected


def test_mutated_input_never_raises(record, detector):
    rng = random.Random(5)
    whole = orjson.dumps({"kind": "EventList", "items": [record(str(n)) for n in range(3)]})
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 4)] = bytes(rng.randrange(256) for _ in range(rng.randint(0, 4)))
        parsed = parse(bytes(data), "x")
        assert parsed.records or parsed.problems
        detector.detect(FORM, parsed.records)


def _junk(rng, depth=0):
    kinds = [None, True, -1, 1e9, "", "x" * 300, "system:serviceaccount:a:b", "\x1b[2J", "9" * 30]
    if depth > 3 or rng.random() < 0.5:
        return rng.choice(kinds)
    if rng.random() < 0.5:
        return [_junk(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    keys = ["username", "extra", "kind", "spec", "containers", "name", "securityContext", "metadata", "uid", "subjects"]
    return {rng.choice(keys): _junk(rng, depth + 1) for _ in range(rng.randint(0, 5))}


def test_fields_of_the_wrong_type_never_raise(record, detector):
    rng = random.Random(6)
    for n in range(3000):
        event = record(f"id-{n}")
        for key in rng.sample(sorted(event.keys() - {"requestReceivedTimestamp"}), 5):
            event[key] = _junk(rng)
        event["impersonatedUser"], event["requestObject"] = _junk(rng), _junk(rng)
        event["responseObject"], event["annotations"] = _junk(rng), _junk(rng)
        for finding in detector.detect(FORM, parse(orjson.dumps(event), "x").records).findings:
            orjson.dumps(finding.as_dict())
