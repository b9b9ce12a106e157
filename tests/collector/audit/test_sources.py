"""The options of the collector become sources, each with a name of its own; what cannot work is told at the start."""

from pathlib import Path

import pytest

from cli.main import main
from collector.audit import Detector
from collector.config import Config
from collector.errors import ConfigError
from collector.sources import audit_sources

pytest.importorskip("boto3", reason="the extra aws is not installed")
pytest.importorskip("confluent_kafka", reason="the extra azure is not installed")
pytest.importorskip("google.cloud.pubsub_v1", reason="the extra gcp is not installed")


def _config(directory: Path, **options):
    return Config(listen=("unix:/x",), store="c.db", state_dir=directory, **options)


def test_every_source_has_a_name_and_can_be_made_again(tmp_path, rules):
    config = _config(
        tmp_path,
        audit_files=(("waf-aws", tmp_path / "waf.log"),),
        audit_sqs=(
            ("aws-cloudtrail", "https://sqs.eu-central-1.amazonaws.com/1/q"),
            ("kubernetes-audit", "https://sqs.us-east-1.amazonaws.com/1/q"),
        ),
        audit_pubsub=(("gcp-audit", "projects/shop/subscriptions/audit"),),
        audit_eventhubs=(("azure-activity", "127.0.0.1:9092/insights"),),
    )
    sources = audit_sources(config, Detector(rules))
    assert list(sources) == [
        f"file:{tmp_path}/waf.log",
        "sqs:https://sqs.eu-central-1.amazonaws.com/1/q",
        "sqs:https://sqs.us-east-1.amazonaws.com/1/q",
        "pubsub:projects/shop/subscriptions/audit",
        "eventhub:127.0.0.1:9092/insights",
    ]
    for make in sources.values():
        assert make().counters() == {}
        assert make() is not make()


def test_what_cannot_work_is_told_at_the_start(tmp_path, rules):
    with pytest.raises(ConfigError, match="give the queue's URL"):
        audit_sources(_config(tmp_path, audit_sqs=(("waf-aws", "queue"),)), Detector(rules))


@pytest.mark.parametrize("given", ["nothing", "runtime=x", "aws-cloudtrail=", "aws=x"])
def test_a_source_that_is_no_audit_log_is_refused(given, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["vedette", "collector", "--audit-sqs", given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "write SOURCE=…, SOURCE one of kubernetes-audit" in " ".join(capsys.readouterr().err.split())
