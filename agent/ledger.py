"""The coverage ledger: what this agent watched, counted and lost. It makes silence provable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from agent.identify.sources import RuntimeState
from agent.rulebook import RulesState
from agent.source.port import ProbeState
from agent.throttling import ThrottleEntry


class LedgerEvent(IntEnum):
    """Why an entry was written; the numbers go over the wire."""

    START = 1
    HEARTBEAT = 2
    STOP = 3


@dataclass(frozen=True, slots=True)
class ProfileState:
    """One class of a profile in one phase. `state`: learning, stable, churning, lossy; `completeness` 0..1."""

    workload: str
    behaviour: str
    state: str
    completeness: float
    members: int
    phase: str = "steady"


@dataclass(frozen=True, slots=True)
class Ledger:
    """One entry. Times are Unix nanoseconds.

    `watching_since_ns` is 0 until the sensor is attached; `previous_entry_ns` is the time of the last entry of the
    run before (0: none known): between it and `watching_since_ns` nobody watched. `counters` is class → cause →
    count since the sensor started, summed over CPUs; `dropped` what was refused after the kernel, by cause; `throttles`
    what was held back of which container; `runtimes` how each container runtime answers; `rules` which
    are in force.
    """

    time_ns: int
    event: LedgerEvent
    run_id: str
    watching_since_ns: int = 0
    previous_entry_ns: int = 0
    probes: tuple[ProbeState, ...] = ()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    container_ids: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    profiles: tuple[ProfileState, ...] = ()
    throttles: tuple[ThrottleEntry, ...] = ()
    runtimes: tuple[RuntimeState, ...] = ()
    rules: RulesState = field(default_factory=RulesState)
