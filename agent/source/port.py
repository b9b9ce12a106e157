"""The port every sensor fills, whatever loads it: CO-RE, bcc or polling."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from agent.events import EventType, FileId, RawBatch


class ProbeState(NamedTuple):
    """Whether a probe watches; if not, `consequence` says why and what goes unseen."""

    name: str
    attached: bool
    consequence: str = ""


class BehaviourKey(NamedTuple):
    """One behaviour in the novelty filter. `object` is opaque: equal bytes, same object."""

    cgroup_id: int
    type: EventType
    exe: FileId
    object: bytes


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
