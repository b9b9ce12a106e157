"""Where runtimes are looked for, and what the ledger and the metrics say of them."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from vedette.v1 import agent_pb2

from agent.config import AgentConfig
from agent.errors import ConfigError
from agent.identify.sources import RuntimeState
from agent.ledger import Ledger, LedgerEvent
from agent.metrics import StatusCollector
from agent.runtimes.sockets import Socket, usual
from agent.status import Status
from agent.uplink.wire import ledger_payload

STATES = (
    RuntimeState("cri", "/run/c.sock", "answering", "", "containerd 1.6", 7, 1),
    RuntimeState("docker", "/run/d.sock", "silent", "no answer \udc80", "", 0, 3),
)
LEDGER = Ledger(1, LedgerEvent.HEARTBEAT, "run", runtimes=STATES)


def test_named_sockets_come_before_the_usual_ones_and_none_is_none() -> None:
    """They are beside the usual places, not instead of them."""
    named = AgentConfig(node="n", runtime_sockets=("docker=/x/d.sock",)).runtime_places()
    assert named == (Socket("docker", "/x/d.sock", told=True), *usual())
    assert AgentConfig(node="n").runtime_places() == usual()
    assert AgentConfig(node="n", runtime_sockets=("none",)).runtime_places() == ()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("runtime_sockets", ("x.sock",)),
        ("runtime_sockets", ("none", "tcp://h:1")),
        ("cluster", "a/b"),
        ("host_group", "\x1b[31m"),
        ("host_group", "g" * 64),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_option(option: str, value: object) -> None:
    """Names become parts of workload keys: no slashes, nothing that does not print."""
    with pytest.raises(ConfigError, match=f"--{option.removesuffix('s').replace('_', '-')}"):
        AgentConfig(node="n", **{option: value})  # type: ignore[arg-type]


def test_the_ledger_carries_how_each_runtime_stands() -> None:
    """All of it, whatever is in it."""
    found = agent_pb2.Payload.FromString(ledger_payload(LEDGER)).ledger.runtimes
    assert [(r.kind, r.socket, r.state, r.answers, r.failures) for r in found] == [
        ("cri", "/run/c.sock", "answering", 7, 1),
        ("docker", "/run/d.sock", "silent", 0, 3),
    ]
    assert (found[0].version, found[1].problem) == ("containerd 1.6", "no answer ?")


def test_metrics_and_status_have_it_too() -> None:
    """Up is 1 for what answers."""
    status = Status("a", "n", LEDGER)
    registry = CollectorRegistry()
    registry.register(StatusCollector(lambda: status))
    text = generate_latest(registry).decode()
    assert 'vedette_agent_runtime_up{kind="cri",socket="/run/c.sock",state="answering"} 1.0' in text
    assert 'vedette_agent_runtime_up{kind="docker",socket="/run/d.sock",state="silent"} 0.0' in text
    assert 'vedette_agent_runtime_lookups_total{kind="cri",known="yes",socket="/run/c.sock"} 7.0' in text
    assert [r["state"] for r in status.as_dict()["runtimes"]] == ["answering", "silent"]
