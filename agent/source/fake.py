"""A sensor that plays batches it was given, for tests of everything behind the port."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.errors import SourceError
from agent.events import RawBatch
from agent.source.port import BehaviourKey, ProbeState


class FakeSource:
    """A `Source`. Plays `batches` in order, then None; keeps `known` as the kernel keeps its filter.

    With `refuses`, start fails with that text.
    """

    def __init__(
        self,
        batches: Iterable[RawBatch] = (),
        *,
        known: Mapping[BehaviourKey, int] | None = None,
        counters: Mapping[str, Mapping[str, int]] | None = None,
        probes: Sequence[ProbeState] = (ProbeState("fake", attached=True),),
        refuses: str = "",
    ) -> None:
        self._batches = iter(batches)
        self._known = dict(known or {})
        self._counters = counters or {}
        self._probes = probes
        self._refuses = refuses
        self.running = False

    def start(self) -> None:
        """Raises: SourceError if it was made to refuse."""
        if self._refuses:
            raise SourceError(self._refuses)
        self.running = True

    def read(self, timeout_s: float) -> RawBatch | None:
        """The next batch at once; None after the last, before start and after stop."""
        return next(self._batches, None) if self.running else None

    def probes(self) -> Sequence[ProbeState]:
        """As given."""
        return self._probes

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """As given."""
        return self._counters

    def behaviours(self) -> Iterator[tuple[BehaviourKey, int]]:
        """Those given and not forgotten."""
        return iter(list(self._known.items()))

    def forget(self, keys: Sequence[BehaviourKey]) -> int:
        """Drop keys; how many were there."""
        return sum(self._known.pop(key, None) is not None for key in keys)

    def stop(self) -> None:
        """Read gives None from now on."""
        self.running = False
