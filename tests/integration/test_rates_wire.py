"""Rates over the real wire: windows up, a forest trained from them down, and findings held against it."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from vedette.v1 import agent_pb2, agent_pb2_grpc

from agent.rates.models import Models
from agent.uplink.rates import window_message
from collector.train import RateOptions
from collector.train.forest import TrainConfig
from detection.finding import Severity
from detection.rates.features import COUNT, vector
from detection.rates.judge import judge
from detection.rates.window import RateWindow

WEB = ("k8s/shop/deployment/web/web", "sha256:1")
QUICK = RateOptions(TrainConfig(windows=100, trees=16), every_s=0.05)
ALL = RateOptions(TrainConfig(windows=600, trees=16), every_s=0.05)


def windows(count: int, start: int = 0, container: str = "c1") -> list[RateWindow]:
    """A small server's, a minute each."""
    dice, made = random.Random(start), []
    for n in range(start, start + count):
        raw = {"cpu": 0.02 * math.exp(dice.gauss(0, 0.2)), "connects": dice.randrange(20, 40), "peers": 3}
        values, missing = vector(raw, {"disk_read"})
        made.append(RateWindow(*WEB, container, 10**18 + n * 60 * 10**9, 60.0, values, missing, lasting=values))
    return made


@pytest.fixture
def newest(wait_until: Any) -> Callable[..., Any]:
    """Waits for a forest, and adopts it as an agent does."""

    def wait(exchange: Any, models: Models, revision: int = 1) -> Any:
        def came() -> bool:
            for forest in exchange.take_forests():
                assert models.adopt((forest.workload, forest.version), forest.body) == ""
            return models.revisions().get(WEB, 0) >= revision

        wait_until(came, exchange.counters)
        return models.get(WEB)

    return wait


def send(agent: Any, some: list[RateWindow], wait_until: Any) -> None:
    wait_until(lambda: agent.exchange._takes_rates, "a collector that takes rates")
    agent.exchange.offer_windows(some)


def test_windows_of_two_agents_make_one_forest_for_both_and_it_tells_a_miner(
    make_collector: Any, make_agent: Any, newest: Any, wait_until: Any
) -> None:
    collector = make_collector(rates=ALL)
    first, second = (make_agent(collector.address, name=name) for name in ("n1", "n2"))
    send(first, windows(300), wait_until)
    send(second, windows(300, container="c2"), wait_until)
    models = [Models(None, 10), Models(None, 10)]
    one, two = (newest(agent.exchange, held) for agent, held in zip((first, second), models, strict=True))
    assert (one.windows, one.containers) == (two.windows, two.containers) == (600, 2)
    usual = windows(1, 500)[0]
    assert judge(one, usual, 1.0).severity is None
    mined, _ = vector({"cpu": 1.9, "connects": 30, "peers": 3})
    assert judge(one, replace(usual, values=mined, lasting=mined), 1.0).severity is Severity.HIGH
    assert collector.metrics.value("vedette_collector_rate_forests") == 1


def test_a_forest_outlives_the_collector_and_a_newcomer_gets_it_at_once(
    make_collector: Any, make_agent: Any, newest: Any, wait_until: Any
) -> None:
    collector = make_collector(rates=QUICK)
    agent = make_agent(collector.address, name="n1")
    send(agent, windows(100), wait_until)
    trained = newest(agent.exchange, Models(None, 10))
    collector.stop()
    again = make_collector(rates=QUICK)
    newcomer = make_agent(again.address, name="n3")
    send(newcomer, windows(1, 900, "c3"), wait_until)
    assert newest(newcomer.exchange, Models(None, 10)).trained_ns == trained.trained_ns


def bad_messages(collector: Any) -> float:
    families = collector.metrics.registry.collect()
    found = (s for f in families for s in f.samples if s.name == "vedette_collector_messages_bad_total")
    return float(sum(sample.value for sample in found))


def test_what_is_no_window_is_counted_and_teaches_nothing(make_collector: Any) -> None:
    collector = make_collector(rates=QUICK)
    good = window_message(windows(1)[0])
    bad: list[dict[str, Any]] = [
        {"values": [1.0] * (COUNT - 1)},
        {"values": [math.nan] * COUNT},
        {"values": [math.inf] * COUNT},
        {"lasting": [1.0]},
        {"seconds": -1.0},
        {"end_ns": -5},
        {"missing": 1 << COUNT},
        {"workload": ""},
        {"workload": "x" * 2000},
    ]
    for number, change in enumerate(bad):
        window = type(good)()
        window.CopyFrom(good)
        for name, value in change.items():
            if isinstance(value, list):
                del getattr(window, name)[:]
                getattr(window, name).extend(value)
            else:
                setattr(window, name, value)
        hello = agent_pb2.Hello(agent_id=f"n{number}", stream_id=f"{number:032x}", features=["profiles", "rates"])
        rates = agent_pb2.AgentMessage(rates=agent_pb2.RateWindows(windows=[window]))
        with grpc.insecure_channel(collector.address) as channel:
            stub = agent_pb2_grpc.AgentServiceStub(channel)
            list(stub.Connect(iter([agent_pb2.AgentMessage(hello=hello), rates]), timeout=10))
        assert bad_messages(collector) == number + 1, change
    assert collector.metrics.value("vedette_collector_rate_windows_total", result="sound") == 0
