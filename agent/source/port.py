"""The port every sensor fills, whatever loads it: CO-RE, bcc or polling."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from agent.events import EventType, FileId, RawBatch


class ProbeState(NamedTuple):
    """Whether a probe watches; if not, `consequence` says why and what goes unseen.

    way: how it is attached, "BPF LSM", "fentry", "tracepoint" or "" where there is but one.
    """

    name: str
    attached: bool
    consequence: str = ""
    way: str = ""


class BehaviourKey(NamedTuple):
    """One behaviour in the novelty filter. `object` is opaque: equal bytes, same object."""

    cgroup_id: int
    type: EventType
    exe: FileId
    object: bytes


class Phase(NamedTuple):
    """Which part of all behaviours is due to be reported again: number `part`, from 0, of `parts`."""

    part: int
    parts: int


class ThrottleState(NamedTuple):
    """A cgroup's records of one class are held back: since when (CLOCK_BOOTTIME), and how many so far."""

    cgroup_id: int
    type: EventType
    since_ns: int
    held_back: int


class Source(Protocol):
    """A sensor. `read` is called by one thread; the rest by another."""

    def start(self) -> None:
        """Load and attach. Raises: SourceError, saying what is missing and what to do."""

    def read(self, timeout_s: float) -> RawBatch | None:
        """The next records, at most a few hundred kilobytes; None when none came in time."""

    def probes(self) -> Sequence[ProbeState]:
        """Every probe this sensor knows, attached or not."""

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Class → cause → count since start; causes as `enum ev_counter`, lower case, without CTR_."""

    def behaviours(self) -> Iterator[tuple[BehaviourKey, int]]:
        """Every behaviour the kernel knows and how often it was seen, the first time included."""

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        """Drop behaviours from the filter, so that their next time is reported again; how many were there."""

    def stop(self) -> None:
        """Detach; read gives None from then on."""


@runtime_checkable
class Upkeep(Protocol):
    """What a sensor with a novelty filter and budgets in the kernel needs done regularly, by one thread."""

    def sweep(
        self, due: Phase | None = None, *, crowded: bool = False, programs: Sequence[BehaviourKey] = ()
    ) -> list[tuple[BehaviourKey, int]]:
        """Behaviours whose count changed since the last sweep, and those let go, with their last count.

        due: the part to report again. crowded: there was no room for a behaviour; the coldest go. programs: report
        again what has the cgroup, program and type of one of these, whatever the object; at most a few dozen.
        """

    def throttled(self) -> list[ThrottleState]:
        """Who is over its budget now."""

    def release(self) -> list[ThrottleState]:
        """Those over their budget that fell silent; no record will say that it ended."""
