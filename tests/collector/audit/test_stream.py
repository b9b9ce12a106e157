"""Large objects are read piece by piece: every record of every shape, and what is damaged costs only itself."""

import gzip
import random

import orjson
import pytest

from collector.audit.aws import CloudTrail
from collector.audit.kubernetes import KubernetesAudit
from collector.audit.split import Splitter
from collector.audit.stream import parse_stream


def split(data, size=7, most=1 << 20):
    splitter = Splitter(("Records",), most)
    found = [text for i in range(0, len(data), size) for text in splitter.feed(data[i : i + size])]
    return found, splitter.end(), splitter


def event(number, **more):
    base = {"eventName": "GetUser", "eventSource": "iam.amazonaws.com", "eventTime": "2026-11-21T12:00:03Z"}
    return base | {"eventID": f"e{number}", "note": 'brackets ]}{[ and "quotes" \\'} | more


@pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])
@pytest.mark.parametrize("wrap", ["envelope", "late", "list", "records", "concatenated"])
def test_records_come_out_whole_whatever_the_shape_and_the_size_of_the_pieces(size, wrap):
    events = [event(i, nested={"a": [1, {"b": ["x"]}]}) for i in range(5)]
    shapes = {
        "envelope": orjson.dumps({"Records": events, "after": {"x": [1]}}),
        "late": orjson.dumps({"before": {"Records": 1, "y": [{}]}, "Records": events}, option=orjson.OPT_INDENT_2),
        "list": orjson.dumps(events),
        "records": b"\n".join(orjson.dumps(e) for e in events),
        "concatenated": b"".join(orjson.dumps({"Records": [e]}) for e in events),
    }
    found, whole, splitter = split(shapes[wrap], size)
    assert [orjson.loads(text) for text in found] == events
    assert (whole, splitter.stray, splitter.too_long) == (True, 0, 0)


def test_random_documents_split_the_same_in_one_piece_and_in_many():
    rng = random.Random(5)

    def value(depth):
        kind = rng.randrange(6 if depth < 4 else 3)
        if kind == 3:
            return [value(depth + 1) for _ in range(rng.randrange(4))]
        if kind > 3:
            return {rng.choice(('a"', "b]", "c\\", "d")): value(depth + 1) for _ in range(rng.randrange(4))}
        return rng.choice((1, "}{][", 'x"y', "\\", None, True))

    for _ in range(300):
        items = [{"v": value(0)} for _ in range(rng.randrange(5))]
        data = orjson.dumps({"Records": items})
        assert [orjson.loads(t) for t in split(data, rng.randrange(1, 40))[0]] == items


def test_any_bytes_are_taken_without_an_error_and_within_bounds():
    rng = random.Random(6)
    for _ in range(300):
        data = bytes(rng.choice(b'{}[]",\\:ax \n') for _ in range(rng.randrange(200)))
        found, _, splitter = split(data, rng.randrange(1, 20), most=64)
        assert all(len(text) <= 64 + 20 for text in found)
        assert len(splitter._rest) <= 64 + 2 * 20


def test_a_record_that_is_too_long_is_passed_over_and_counted():
    data = orjson.dumps({"Records": [event(1), event(2, big="x" * 5000), event(3)]})
    found, whole, splitter = split(data, 50, most=1000)
    assert [orjson.loads(t)["eventID"] for t in found] == ["e1", "e3"]
    assert (whole, splitter.too_long) == (True, 1)


def test_a_text_without_end_does_not_grow():
    _, whole, splitter = split(b'{"Records":[{"a":"' + b"x" * 10_000, 50, most=1000)
    assert (whole, len(splitter._rest) <= 1050) == (False, True)


def read(data, form=None, size=1000, **bounds):
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    parts = list(parse_stream(form or CloudTrail(), chunks, "s3://b/k", **bounds))
    ids = [record.event_id for part in parts for record in part.records]
    return ids, [(p.position, p.reason) for part in parts for p in part.problems]


EVENTS = [event(i) for i in range(3000)]
IDS = [e["eventID"] for e in EVENTS]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", ["envelope", "lines"])
def test_plain_and_zipped_objects_give_the_same_records(pack, shape):
    lines = b"".join(orjson.dumps(e) + b"\n" for e in EVENTS)
    data = lines if shape == "lines" else orjson.dumps({"Records": EVENTS})
    assert read(pack(data)) == (IDS, [])


def test_several_gzips_after_one_another_are_one():
    data = gzip.compress(orjson.dumps({"Records": EVENTS[:2]})) + gzip.compress(orjson.dumps({"Records": EVENTS[2:4]}))
    assert read(data, size=11) == (IDS[:4], [])


@pytest.mark.parametrize("shape", ["envelope", "lines"])
def test_what_stands_before_a_cut_is_taken_and_the_cut_is_told_with_its_place(shape):
    lines = b"".join(orjson.dumps(e) + b"\n" for e in EVENTS)
    packed = gzip.compress(lines if shape == "lines" else orjson.dumps({"Records": EVENTS}))
    ids, problems = read(packed[: len(packed) // 2])
    assert ids == IDS[: len(ids)]
    assert 500 < len(ids) < 3000
    assert f"the gzip is cut off after {len(packed) // 2} packed bytes" in problems[-1][1]


def test_damage_in_a_gzip_is_told_with_its_place():
    packed = bytearray(gzip.compress(orjson.dumps({"Records": EVENTS})))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40
    ids, problems = read(bytes(packed))
    assert ids[:1000] == IDS[:1000]  # what a flipped bit makes of the bytes right after it, nobody can tell
    assert "damaged gzip within packed bytes" in problems[-1][1]


def test_an_object_over_its_bound_ends_there():
    ids, problems = read(gzip.compress(orjson.dumps({"Records": EVENTS})), most=300_000)
    assert ids == IDS[: len(ids)]
    assert problems[-1][1].startswith("over 0 MiB unpacked")


def test_a_cut_document_is_told_by_the_number_of_its_first_lost_record():
    data = orjson.dumps({"Records": EVENTS[:3]})
    assert read(data[:-30]) == (
        IDS[:2],
        [("s3://b/k, item 3", f"cut off after 2 whole records, at byte {len(data) - 30}")],
    )


def test_bad_lines_and_items_cost_only_themselves():
    good = orjson.dumps(EVENTS[0])
    assert read(good + b"\n{bad}\n" + b"[]\n" + orjson.dumps(EVENTS[1])) == (
        IDS[:2],
        [("s3://b/k, line 2", "not JSON at character 1: unexpected character, expected a string key")],
    )
    ids, problems = read(b'{"Records":[' + good + b',{"x":tru},{"eventName":1}]}')
    assert ids == IDS[:1]
    assert [where for where, _ in problems] == ["s3://b/k, item 2", "s3://b/k, item 3"]


def test_something_else_than_json_is_told_once():
    ids, problems = read(b"<html>no log</html>")
    assert (ids, problems) == ([], [("s3://b/k", "19 bytes that are no JSON, among 0 records")])


def test_log_events_that_firehose_put_after_one_another_are_read():
    audit = {"auditID": "a1", "verb": "get", "requestReceivedTimestamp": "2026-11-21T12:00:03Z"}
    events = [
        {"id": "1", "timestamp": 1, "message": orjson.dumps(audit | {"auditID": f"a{i}"}).decode()} for i in (1, 2)
    ]
    data = b"".join(orjson.dumps({"messageType": "DATA_MESSAGE", "logEvents": [e]}) for e in events)
    assert read(gzip.compress(data), KubernetesAudit()) == (["a1", "a2"], [])
