"""Amazon SQS and S3, as moto's server plays them: every way a trail's records come, and what goes wrong on it."""

import asyncio
import gzip
import os
import re
import subprocess
import sys
import time

import orjson
import pytest

from collector.audit import FORMATS, Detector
from collector.audit.dead_letter import DeadLetter
from collector.audit.queue import AuditQueue
from collector.audit.s3 import S3Object, objects_in
from collector.audit.sqs import region_of, sqs
from collector.errors import ConfigError
from detection.finding import Severity
from detection.rules.compile import RuleSet
from detection.rules.ir import And, Named, Op, Rule
from detection.rules.ir import Test as Equal

boto3 = pytest.importorskip("boto3", reason="the extra aws is not installed")
pytest.importorskip("moto", reason="moto is not installed")

BUCKET = "trail"


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """Where moto's server listens; the environment names it for every client."""
    log = tmp_path_factory.mktemp("moto") / "log"
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        server = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (environment | {"AWS_ENDPOINT_URL": found[0]}).items():
                patch.setenv(name, value)
            yield found[0]
    finally:
        server.kill()
        server.wait()


class Aws:
    """A bucket that notifies a queue."""

    def __init__(self, number, redrive):
        self.s3, self.sqs = boto3.client("s3"), boto3.client("sqs")
        self.bucket = f"{BUCKET}-{number}"
        attributes = {"VisibilityTimeout": "2"}
        if redrive:
            self.aside = self.sqs.create_queue(QueueName=f"aside-{number}")["QueueUrl"]
            policy = {"deadLetterTargetArn": self.arn(self.aside), "maxReceiveCount": "2"}
            attributes["RedrivePolicy"] = orjson.dumps(policy).decode()
        self.url = self.sqs.create_queue(QueueName=f"trail-{number}", Attributes=attributes)["QueueUrl"]
        place = {"LocationConstraint": "eu-central-1"}
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=place)
        self.notify({"QueueConfigurations": [{"QueueArn": self.arn(self.url), "Events": ["s3:ObjectCreated:*"]}]})

    def arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def notify(self, configuration):
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=configuration)

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def send(self, value):
        body = value if isinstance(value, str) else orjson.dumps(value).decode()
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self, url=""):
        """Messages in the queue, also those under way."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


@pytest.fixture
def make_aws(aws, request):
    return lambda redrive=False: Aws(f"{abs(hash(request.node.name)):x}"[:12], redrive)


@pytest.fixture
def detector():
    users = Rule("user", "U", Severity.LOW, "aws/cloudtrail", Named("s", And((Equal("eventName", Op.EQUALS, ("A",)),))))
    return Detector(RuleSet.from_ir([users]))


def event(number, **changes):
    base = {"eventVersion": "1.08", "eventName": "A", "eventSource": "iam.amazonaws.com", "eventID": f"e{number}"}
    return base | {"eventTime": "2026-11-21T12:00:03Z", "userIdentity": {"type": "Root"}} | changes


def trail(*numbers):
    return gzip.compress(orjson.dumps({"Records": [event(n) for n in numbers]}))


def run(place, detector, store, until, letter=None):
    form = FORMATS["aws-cloudtrail"]
    source = AuditQueue("sqs", form, sqs(form, place.url), detector, letter)

    async def serve():
        task = asyncio.create_task(source.run(store))
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(until):
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())
    return source.counters()


def ids(store):
    return sorted(str(f.fields["eventID"]) for f in store.findings)


def test_objects_are_read_whatever_way_their_notification_comes(make_aws, detector, store):
    place = make_aws()
    place.put("AWSLogs/1/CloudTrail/eu central/a+b ü=1.json.gz", trail(1, 2))
    place.put("AWSLogs/1/CloudTrail-Digest/x.json.gz", gzip.compress(b'{"digestS3Bucket": "b"}'))
    place.put("AWSLogs/1/CloudTrail/plain.json", orjson.dumps({"Records": [event(3)]}))
    place.notify({})
    place.put("by sns", trail(4))
    place.put("by+bridge", trail(5))
    place.put("by trail", trail(6))
    s3 = {"bucket": {"name": place.bucket}, "object": {"key": "by+sns"}}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}
    place.send({"Type": "Notification", "Message": orjson.dumps({"Records": [record]}).decode()})
    detail = {"bucket": {"name": place.bucket}, "object": {"key": "by+bridge"}}
    place.send({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    place.send({"s3Bucket": place.bucket, "s3ObjectKey": ["by trail"]})
    place.send({"detail-type": "AWS API Call via CloudTrail", "source": "aws.iam", "detail": event(7)})
    place.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": place.bucket})
    counts = run(place, detector, store, lambda: place.left() == 0)
    assert ids(store) == [f"e{n}" for n in range(1, 8)]
    assert counts["records"] == 7
    assert counts["other_log"] == 1
    assert counts.get("bad_record", 0) == 0


def test_the_queue_puts_aside_what_cannot_be_handled_and_the_rest_goes_on(make_aws, detector, store):
    place = make_aws(redrive=True)
    place.send("<html>")
    gone = {"bucket": {"name": place.bucket}, "object": {"key": "gone"}}
    place.send({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": gone}]})
    place.send({"source": "aws.s3", "detail-type": "Object Created", "detail": gone | {"bucket": {"name": "../ no"}}})
    place.put("k", trail(1))
    counts = run(place, detector, store, lambda: place.left(place.aside) == 3 and place.left() == 0)
    assert ids(store) == ["e1"]
    assert counts["messages_given_back"] == 6  # each twice


def test_damaged_objects_are_told_with_their_place_and_are_done_with(make_aws, detector, store, tmp_path):
    place = make_aws()
    whole = trail(*range(1, 2000))
    place.put("cut.json.gz", whole[: len(whole) // 2])
    place.put("odd.json.gz", b"\x1f\x8b nothing")
    place.put("page.html", b"<html>")
    place.put("good.json.gz", gzip.compress(orjson.dumps({"Records": [event("x"), {"eventName": 1}, event("y")]})))
    letter = tmp_path / "dead"
    counts = run(place, detector, store, lambda: place.left() == 0, DeadLetter(letter))
    assert {"e1", "ex", "ey"} <= set(ids(store))
    assert counts["bad_record"] >= 4
    positions = [orjson.loads(line)["position"] for line in letter.read_bytes().splitlines()]
    for key in ("cut.json.gz", "odd.json.gz", "page.html", "good.json.gz, item 2"):
        assert any(p.startswith(f"s3://{place.bucket}/{key}") for p in positions), positions


def test_a_message_is_held_while_its_findings_wait_and_is_not_taken_twice(make_aws, detector, store):
    place = make_aws()  # two seconds of visibility
    place.put("k", trail(1))
    begun = []

    async def emit(findings):
        begun.append(time.monotonic())
        await asyncio.sleep(5)
        await store(findings)

    run(place, detector, emit, lambda: place.left() == 0)
    assert (ids(store), len(begun)) == (["e1"], 1)


def test_a_queue_that_is_not_there_is_asked_again(make_aws, detector, store):
    place = make_aws()
    wrong = Aws.__new__(Aws)
    wrong.url = place.url + "-not-there"
    form = FORMATS["aws-cloudtrail"]
    source = AuditQueue("sqs", form, sqs(form, wrong.url), detector)

    async def serve():
        task = asyncio.create_task(source.run(store))
        async with asyncio.timeout(60):
            while source.counters().get("queue_failed", 0) < 2:
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())


def test_keys_of_notifications_are_url_encoded_those_of_event_bridge_are_not():
    s3 = {"bucket": {"name": "b"}, "object": {"key": "a+b%2Bc/%C3%BC"}}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}
    removed = record | {"eventName": "ObjectRemoved:Delete"}
    assert objects_in(orjson.dumps({"Records": [record, removed]})) == [S3Object("b", "a b+c/ü")]
    bridge = {"source": "aws.s3", "detail-type": "Object Created", "detail": s3}
    assert objects_in(orjson.dumps(bridge)) == [S3Object("b", "a+b%2Bc/%C3%BC")]
    assert objects_in(orjson.dumps(bridge | {"detail-type": "Object Deleted"})) == []
    assert objects_in(orjson.dumps({"Event": "s3:TestEvent"})) == []
    # A data event of S3 in a trail is a record, not a notification.
    assert objects_in(orjson.dumps({"Records": [event(1, eventSource="s3.amazonaws.com")]})) is None


@pytest.mark.parametrize("value", [None, 7, [], {}, {"Records": 7}, {"Records": [7]}, {"Records": [{"s3": 1}]}])
def test_messages_of_other_forms_are_no_notifications(value):
    assert objects_in(orjson.dumps(value)) is None


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/1/q", "eu-central-1"),
        ("https://sqs.us-gov-west-1.amazonaws.com/1/q", "us-gov-west-1"),
        ("https://eu-west-3.queue.amazonaws.com/1/q", "eu-west-3"),
        ("http://127.0.0.1:5000/1/q", "us-east-1"),
    ],
)
def test_the_region_is_that_of_the_url(url, region):
    assert region_of(url) == region


def test_what_is_no_url_is_refused_with_what_to_give():
    with pytest.raises(ConfigError, match="give the queue's URL"):
        sqs(FORMATS["aws-cloudtrail"], "my-queue")


def test_a_missing_client_library_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigError, match=r"pip install 'vedette\[aws\]'"):
        sqs(FORMATS["aws-cloudtrail"], "https://sqs.eu-central-1.amazonaws.com/1/q")
