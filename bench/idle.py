"""What the agent costs while nothing happens, and how long it takes to be ready."""

import statistics
import time
from dataclasses import dataclass

from bench.machine import wait_until_quiet
from bench.subject import Subject


@dataclass(frozen=True, slots=True)
class Idle:
    """`cpu_percent` is of one core; `records` were emitted meanwhile: on a truly idle machine none."""

    cpu_percent: float
    memory_mb: float
    ready_s: float
    stop_s: float
    records: int


def measure(seconds: float, starts: int, patience_s: float) -> Idle:
    """Watch one agent for `seconds`; the start-up time is the median of several."""
    wait_until_quiet(patience_s)
    with Subject() as agent:
        time.sleep(2)
        before, cpu = agent.counts()["emitted"], agent.group.cpu_s()
        time.sleep(seconds)
        used = agent.group.cpu_s() - cpu
        records = agent.counts()["emitted"] - before
        memory_mb = agent.memory_mb(peak=False)
    times = [(agent.ready_s, agent.stop_s)]
    for _ in range(starts - 1):
        wait_until_quiet(patience_s)
        with Subject() as again:
            pass
        times.append((again.ready_s, again.stop_s))
    ready_s, stop_s = (statistics.median(column) for column in zip(*times, strict=True))
    return Idle(used / seconds * 100, memory_mb, ready_s, stop_s, records)
