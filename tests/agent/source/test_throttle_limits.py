"""Limits as they are written on the command line."""

import pytest

from agent.errors import ConfigError
from agent.events import EventType
from agent.source.throttle import LIMITS, Limit, parse_limit


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("open=5000/20000", (EventType.OPEN, Limit(5000, 20000))),
        ("dns=10", (EventType.DNS, Limit(10, 10))),
        ("path=0", (EventType.PATH, Limit(0, 0))),
    ],
)
def test_a_limit_is_class_rate_and_burst(text: str, meaning: tuple[EventType, Limit]) -> None:
    assert parse_limit(text) == meaning


@pytest.mark.parametrize(
    "text",
    ["", "open", "open=", "open=x", "open=-1", "open=5/4", "open=5/6/7", "exec=5", "open=9e9", "open=10000000000"],
)
def test_a_wrong_limit_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError, match="CLASS=RATE/BURST"):
        parse_limit(text)


def test_programs_and_calls_have_no_limit() -> None:
    assert not {EventType.FORK, EventType.EXEC, EventType.EXIT, EventType.CALL} & LIMITS.keys()
