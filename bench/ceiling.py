"""How many records the agent can take when nothing is filtered: `vedette record --unfiltered`."""

import json
import re
import subprocess
from dataclasses import dataclass

from bench.loads import BUILD
from bench.machine import Group
from bench.subject import Subject

_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One rate of opens: what was reached, what of it was lost, what each record cost the agent."""

    rate: int
    reached: float
    operations: int
    lost: int
    cpu_us_per_record: float
    memory_mb: float


def available() -> bool:
    """Whether this version can record without its filter."""
    shown = subprocess.run(
        [Subject.command, "record", "--help"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return "--unfiltered" in shown.stdout


def measure(rate: int) -> Ceiling:
    """Open known files at a steady rate while everything is recorded."""
    recording = BUILD / "agent" / "ceiling.rec"
    recording.unlink(missing_ok=True)
    count, group = rate * _SECONDS, Group("load")
    command = [str(BUILD / "open_storm"), str(count), "1", str(BUILD / "files"), "64", str(rate)]
    with Subject(("record", "--unfiltered", "--max-mb", "4096", str(recording)), ready="writing") as agent:
        agent.wait_attached()
        cpu = agent.group.cpu_s()
        done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=group.entry())
        agent.drain()
        used, memory_mb = agent.group.cpu_s() - cpu, agent.memory_mb()
    told = re.search(r"(\d+) lost", agent.said())
    reached = count / json.loads(done.stdout)["wall_s"]
    recording.unlink(missing_ok=True)
    return Ceiling(rate, reached, count, int(told.group(1)) if told else 0, used / count * 1e6, memory_mb)
