"""The end of a run: what was seen until then is told before the sensor is let go."""

import threading
from pathlib import Path

from agent.config import AgentConfig
from agent.events import RawBatch
from agent.run import Agent
from agent.source.fake import FakeSource


class _Slow(FakeSource):
    """Remembers what had happened when it was stopped."""

    def __init__(self, batches: list[RawBatch]) -> None:
        super().__init__(batches)
        self.agent: Agent | None = None
        self.told_before_stop = ""

    def stop(self) -> None:
        if self.agent is not None and (status := self.agent.status()) is not None:
            self.told_before_stop = status.ledger.event.name
        super().stop()


def test_everything_seen_is_taken_and_told_before_the_sensor_goes(tmp_path: Path):
    """Stopped at once: all batches that were there go through the core, and the last entry stands before stop."""
    malformed = [RawBatch(b"\0" * 8, 1, 0) for _ in range(50)]
    source = _Slow(malformed)
    agent = Agent(AgentConfig(node="n", state_dir=tmp_path / "state", output=tmp_path / "out"), source)
    source.agent = agent
    stop = threading.Event()
    stop.set()
    agent.run(stop)
    assert source.told_before_stop == "STOP"
    assert not source.running
    status = agent.status()
    assert status is not None
    assert sum(n for cause, n in status.ledger.dropped.items() if cause.startswith("decode_")) == 50


def test_a_source_that_never_falls_silent_does_not_hold_up_the_end(tmp_path: Path):
    """A second after the stop the rest is left."""

    class Endless(FakeSource):
        def read(self, timeout_s: float) -> RawBatch | None:
            return RawBatch(b"\0" * 8, 1, 0) if self.running else None

    stop = threading.Event()
    stop.set()
    source = Endless()
    Agent(AgentConfig(node="n", state_dir=tmp_path / "state", output=tmp_path / "out"), source).run(stop)
    assert not source.running
