"""SIGKILL the real collector while it takes in a trail from S3 and SQS: every finding is stored exactly once."""

import gzip
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

boto3 = pytest.importorskip("boto3", reason="the extra aws is not installed")
pytest.importorskip("moto", reason="moto is not installed")

RULE = b"aws-trail-stopped"
OBJECTS, EVENTS = 12, 60
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def event(number: int) -> dict[str, Any]:
    return {
        "eventVersion": "1.08",
        "eventName": "StopLogging",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventID": f"event-{number}",
        "eventTime": "2026-11-21T12:00:03Z",
        "sourceIPAddress": "203.0.113.7",
        "userIdentity": {"type": "IAMUser", "userName": "mallory", "accountId": "123456789012"},
        "requestParameters": {"name": "main"},
    }


@pytest.fixture
def place(tmp_path: Path, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a queue that a bucket notifies; every object of the trail is in it already."""
    log = tmp_path / "moto.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        server = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | ENVIRONMENT)
    try:
        wait_until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()), log)
        address = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
        assert address is not None
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": address[0]}).items():
            monkeypatch.setenv(name, value)
        yield fill()
    finally:
        server.kill()
        server.wait()


def fill() -> str:
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    url = str(sqs.create_queue(QueueName="trail", Attributes={"VisibilityTimeout": "3"})["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.create_bucket(Bucket="trail", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket="trail", NotificationConfiguration=configuration)
    for number in range(OBJECTS):
        records = [event(number * EVENTS + i) for i in range(EVENTS)]
        s3.put_object(Bucket="trail", Key=f"t/{number}.json.gz", Body=gzip.compress(orjson.dumps({"Records": records})))
    return url


def waiting(url: str, state: str = "") -> int:
    name = f"ApproximateNumberOfMessages{state}"
    answer = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return int(answer["Attributes"][name])


class Collector:
    """`vedette collector` as users start it."""

    def __init__(self, directory: Path, url: str) -> None:
        self.database, self.log = directory / "c.db", directory / "collector.log"
        options = ("--listen", f"unix:{directory}/c.sock", "--store", str(self.database))
        command = [sys.executable, "-c", "from cli.main import main; main()", "collector", *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, "--audit-sqs", f"aws-cloudtrail={url}"], stdout=log, stderr=log)

    def stored(self) -> list[str]:
        """Ids of the events there is a finding of, one for each row."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            try:
                rows = connection.execute("SELECT body FROM findings").fetchall()
            except sqlite3.OperationalError:  # no tables yet
                return []
        return re.findall(r"event-\d+", " ".join(set_of_ids(body) for (body,) in rows))

    def kill(self, number: int = signal.SIGKILL) -> int:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait(30)


def set_of_ids(body: bytes) -> str:
    return " ".join({found.decode() for found in re.findall(rb"event-\d+", body)})


@pytest.fixture
def start(tmp_path: Path, place: str) -> Iterator[Callable[[], Collector]]:
    made: list[Collector] = []

    def starter() -> Collector:
        made.append(Collector(tmp_path, place))
        return made[-1]

    yield starter
    for collector in made:
        collector.kill()


def test_killed_between_receive_and_commit_and_again_mid_way_every_finding_is_stored_once(
    start: Callable[[], Collector], place: str, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    first = start()
    wait_until(lambda: first.log.read_text().count("collector ready on"), first.log)
    first.kill()
    # A store that is locked: what is received cannot be committed.
    with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as lock:
        first = start()
        wait_until(lambda: first.log.read_text().count("collector ready on") == 2, first.log)
        lock.execute("BEGIN IMMEDIATE")
        wait_until(lambda: waiting(place, "NotVisible") > 0, first.log)
        first.kill()
        lock.execute("ROLLBACK")
    before = len(first.stored())
    second = start()
    wait_until(lambda: len(second.stored()) > before, second.log)
    second.kill()
    third = start()
    wait_until(lambda: waiting(place) + waiting(place, "NotVisible") == 0, third.log)
    assert sorted(third.stored()) == sorted(f"event-{n}" for n in range(OBJECTS * EVENTS))
    assert third.kill(signal.SIGTERM) == 0
