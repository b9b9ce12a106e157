"""What one record costs in Python: a load's records are kept, then taken through the core again and again.

`python -m bench path [LOAD …]`: processor time per operation and record, best of several passes, and with --profile
the functions it goes to. Independent of what else runs on the machine, unlike the blocks.
"""

import cProfile
import gc
import pstats
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rules
from agent.core import Core
from agent.decode.decode import Decoder
from agent.detect.detector import Detector
from agent.events import RawBatch
from agent.identify.identify import Identifier
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.sinks import FileSink
from agent.source.core_re import CoReSource
from agent.source.fake import FakeSource
from agent.uplink.jsonlines import JsonLines
from bench import loads
from bench.loads import BUILD, Load
from bench.machine import Group
from detection.rules import load_compiled

_PASSES = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of processor time, all stages together."""

    load: str
    records: int
    per_record_us: float
    per_operation_us: float


def capture(load: Load, scale: float) -> list[RawBatch]:
    """The records of one run of a load, everything else on the machine included."""
    source, batches, done = CoReSource(), [], threading.Event()

    def drain() -> None:
        while (batch := source.read(0.2)) is not None or not done.is_set():
            if batch is not None:
                batches.append(batch)

    source.start()
    reader = threading.Thread(target=drain)
    reader.start()
    try:
        loads.run(load, scale, Group("load"))
    finally:
        done.set()
        reader.join()
        source.stop()
    return batches


def make_core() -> tuple[Core, Identifier]:
    """A core as the agent builds it, its findings written to a file."""
    identifier = Identifier(boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    core = Core(
        source=FakeSource(),
        decoder=Decoder(),
        identifier=identifier,
        learner=Learner(LearnConfig()),
        detector=Detector(load_compiled(rules.runtime_rules()), "node"),
        sink=FileSink(JsonLines(BUILD / "path-findings.jsonl")),
    )
    return core, identifier


def _pass(batches: list[RawBatch]) -> float:
    """Processor seconds for all batches by a fresh core."""
    core, identifier = make_core()
    identifier.seed()
    gc.collect()
    begun = time.thread_time()
    for batch in batches:
        core.handle(batch)
    return time.thread_time() - begun


def cost(load: Load, scale: float = 0.5) -> Cost:
    """The best of several passes."""
    batches = capture(load, scale)
    records = sum(b.records for b in batches)
    best = min(_pass(batches) for _ in range(_PASSES))
    return Cost(load.name, records, best / records * 1e6, best / load.operations(scale) * 1e6)


def profile(load: Load, scale: float = 0.5) -> pstats.Stats:
    """Where the time goes, by function."""
    batches = capture(load, scale)
    _pass(batches)
    profiler = cProfile.Profile()
    _profiled(profiler, lambda: _pass(batches))
    return pstats.Stats(profiler)


def _profiled(profiler: cProfile.Profile, work: Callable[[], object]) -> None:
    profiler.enable()
    try:
        work()
    finally:
        profiler.disable()
