"""The file of sinks is read strictly: what is wrong is named with its line, and secrets are never shown."""

import random

import pytest

from collector.errors import ConfigError
from collector.publish.sinks.config import HttpEnd, KafkaEnd, SyslogEnd, parse_sinks, read_sinks

GOOD = """\
sinks:
  - name: archive
    type: file
    path: /var/log/vedette/events.jsonl
    max_megabytes: 50
  - name: siem
    type: syslog
    address: siem.example:6514
    min_severity: medium
    kinds: [incident]
  - name: hook
    type: webhook
    url: https://hooks.example/v1?x=1
    secret_file: SECRET
    format: falco
  - name: bus
    type: kafka
    servers: k1:9093,k2:9093
    topic: vedette
    user: vedette
    password_file: SECRET
  - name: otel
    type: otlp
    url: http://127.0.0.1:4318/v1/logs
    ocsf_version: 1.8.0
"""


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    return path


def test_every_type_is_read(secret):
    archive, siem, hook, bus, otel = parse_sinks(GOOD.replace("SECRET", str(secret)), "sinks.yaml")
    assert (archive.format, archive.end.max_bytes, archive.rules.batch) == ("ocsf", 50_000_000, 500)
    assert isinstance(siem.end, SyslogEnd)
    assert siem.end.tls is not None
    assert (siem.format, siem.rules.min_severity, siem.rules.kinds) == ("cef", 3, frozenset({"incident"}))
    assert (hook.rules.batch, hook.end.secret) == (1, secret)
    assert isinstance(bus.end, KafkaEnd)
    assert isinstance(otel.end, HttpEnd)
    assert otel.format == "otlp"


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("type: file", "type: fiel", "s.yaml:3: type: give one of file, syslog"),
        ("    max_megabytes: 50", "    max_megabyte: 50", "s.yaml:5: 'max_megabyte' is not known here"),
        ("    max_megabytes: 50", "    max_megabytes: many", "s.yaml:5: max_megabytes: give a number"),
        ("    max_megabytes: 50", "    path: /x", "s.yaml:5: 'path' is here twice"),
        ("/var/log", "var/log", "s.yaml:2: path: give an absolute path"),
        ("siem.example:6514", "siem.example", "s.yaml:6: address: give host:port"),
        ("min_severity: medium", "min_severity: 3", "s.yaml:9: min_severity: give one of informational"),
        ("kinds: [incident]", "kinds: [incidents]", "s.yaml:10: kinds: give a list of finding, incident"),
        ("https://hooks", "http://hooks", "s.yaml:11: url: http is for loopback only"),
        ("https://hooks", "https://me:hunter2@hooks", "s.yaml:11: url: no name or password here"),
        ("format: falco", "format: cef", "s.yaml:15: format: give one of ocsf, ecs, falco"),
        ("name: otel", "name: bus", "s.yaml:16: name: two sinks are called bus"),
        ("    user: vedette\n", "", "s.yaml:16: user: user and password_file go together"),
        ("    topic: vedette\n", "", "s.yaml:16: topic is missing"),
        ("name: archive", "name: ../archive", "s.yaml:2: name: give lower-case letters"),
        ("sinks:\n", "sink:\n", "s.yaml:2: 'sink' is not known here"),
        ("sinks:\n", "sinks: [\n", "s.yaml:"),
        ("kinds: [incident]", "kinds: !!python/object:os.system []", "s.yaml:10: kinds"),
        ("    max_megabytes: 50", "    max_megabytes: !!python/name:os.system ''", "s.yaml:5: a plain value"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line, instead, said, secret):
    assert line in GOOD
    text = GOOD.replace(line, instead, 1).replace("SECRET", str(secret))
    with pytest.raises(ConfigError) as caught:
        parse_sinks(text, "s.yaml")
    assert str(caught.value).startswith(said)
    assert "hunter2" not in str(caught.value)


def test_a_secret_that_cannot_be_read_is_named_by_its_file(tmp_path):
    with pytest.raises(ConfigError, match="secret_file: /nowhere/secret cannot be read: FileNotFoundError"):
        parse_sinks(GOOD.replace("SECRET", "/nowhere/secret"), "s.yaml")
    with pytest.raises(ConfigError, match=r"--sinks .*none: No such file"):
        read_sinks(tmp_path / "none")


def test_any_text_is_read_or_refused(secret):
    chance = random.Random(20261122)
    said = []
    text = GOOD.replace("SECRET", str(secret))
    for _ in range(300):
        broken = list(text)
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(broken))
            broken[at : at + chance.randrange(3)] = chance.choice(
                ["", ":", "\n", "- ", "{", "*a", "&a ", "\t", "'", "0"]
            )
        try:
            parse_sinks("".join(broken), "s.yaml")
        except ConfigError as error:
            said.append(str(error))
    assert len(said) > 100
    assert {text[:7] for text in said} == {"s.yaml:"}
