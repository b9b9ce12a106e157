"""`vedette tail --format …` prints what sinks send, one line per event."""

from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from cli.tail import command


@pytest.mark.parametrize(("form", "key"), [("ocsf", "class_uid"), ("ecs", "ecs"), ("falco", "output_fields")])
def test_the_json_forms(form: str, key: str, make_collector: Any, make_agent: Any, make_finding: Any) -> None:
    collector = make_collector()
    agent = make_agent(collector.address)
    agent.report([make_finding(1)])
    agent.wait_acked(1)
    options = ["--collector", collector.address, "--from-beginning", "--until-newest", "--format", form]
    result = CliRunner().invoke(command, options, catch_exceptions=False)
    events = [orjson.loads(line) for line in result.output.splitlines()]
    assert len(events) == 2
    assert all(key in event for event in events)
