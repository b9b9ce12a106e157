"""The method: blocks of base, agent, base; the ratio is taken inside a block, the noise floor is base over base.

Two workers keep both cores busy, so the agent competes with the load for them. Every run waits for a quiet machine and
is repeated when something foreign worked meanwhile. The agent's processor time includes what it did after the load
had ended.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench import loads
from bench.loads import Load, Timing
from bench.machine import Group, busy_s, wait_until_quiet
from bench.subject import Subject

_FOREIGN_SHARE = 0.3  # of a core
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Options:
    """`scale` multiplies the work; `patience_s` is how long a run waits for a quiet machine."""

    blocks: int = 5
    scale: float = 1.0
    patience_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """One block. Ratios are to the mean of its two bases; `foreign` is the worst share of a core others used."""

    load: str
    wall_ratio: float
    cpu_ratio: float
    noise: float
    base_wall_s: float
    added_cpu_ns: float  # per operation, in the load itself
    agent_cpu_s: float
    agent_memory_mb: float
    drain_s: float
    emitted: int
    lost: int
    throttled: int
    foreign: float


@dataclass(frozen=True, slots=True)
class _Run:
    timing: Timing
    foreign: float
    agent_cpu_s: float = 0.0
    drain_s: float = 0.0


def measure(chosen: Sequence[Load], options: Options, tell: Callable[[Block], None]) -> list[Block]:
    """Every load in `options.blocks` blocks, in random order within each round."""
    group = Group("load")
    for load in chosen:  # warm caches; the files and the learned state are then the same for all blocks
        loads.run(load, 0.1 * options.scale, group)
    found: list[Block] = []
    for _ in range(options.blocks):
        for load in random.sample(chosen, len(chosen)):
            block = _block(load, options, group)
            tell(block)
            found.append(block)
    return found


def _block(load: Load, options: Options, group: Group) -> Block:
    first = _quietest(_tries(load, options, group))
    with Subject() as agent:
        before = agent.counts()
        run = _quietest(_tries(load, options, group, agent))
        after = agent.counts()
        memory_mb = agent.memory_mb()
    second = _quietest(_tries(load, options, group))
    wall_s = (first.timing.wall_s + second.timing.wall_s) / 2
    cpu_s = (first.timing.cpu_s + second.timing.cpu_s) / 2
    return Block(
        load=load.name,
        wall_ratio=run.timing.wall_s / wall_s,
        cpu_ratio=run.timing.cpu_s / cpu_s,
        noise=second.timing.wall_s / first.timing.wall_s,
        base_wall_s=wall_s,
        added_cpu_ns=(run.timing.cpu_s - cpu_s) / run.timing.operations * 1e9,
        agent_cpu_s=run.agent_cpu_s,
        agent_memory_mb=memory_mb,
        drain_s=run.drain_s,
        emitted=after["emitted"] - before["emitted"],
        lost=after["lost"] - before["lost"],
        throttled=after["throttled"] - before["throttled"],
        foreign=max(r.foreign for r in (first, run, second)),
    )


def _tries(load: Load, options: Options, group: Group, agent: Subject | None = None) -> Iterable[_Run]:
    return (_once(load, options, group, agent) for _ in range(_TRIES))


def _quietest(runs: Iterable[_Run]) -> _Run:
    """The first quiet enough, else the quietest."""
    seen: list[_Run] = []
    for run in runs:
        seen.append(run)
        if run.foreign < _FOREIGN_SHARE:
            break
    return min(seen, key=lambda r: r.foreign)


def _once(load: Load, options: Options, group: Group, agent: Subject | None) -> _Run:
    begun: dict[str, float] = {}

    def settled() -> None:
        wait_until_quiet(options.patience_s)
        begun.update(machine=busy_s(), load=group.cpu_s(), agent=agent.group.cpu_s() if agent else 0.0)

    timing = loads.run(load, options.scale, group, settled)
    machine = busy_s() - begun["machine"]
    ours = group.cpu_s() - begun["load"] + (agent.group.cpu_s() - begun["agent"] if agent else 0.0)
    foreign = max(0.0, machine - ours) / timing.wall_s
    if agent is None:
        return _Run(timing, foreign)
    drain_s = agent.drain()
    return _Run(timing, foreign, agent.group.cpu_s() - begun["agent"], drain_s)
