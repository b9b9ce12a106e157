"""What a sink is: it takes events in order, and says whether the far end has them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from collector.errors import CollectorError
from collector.incident import Incident
from detection.finding import Finding

Subject = Finding | Incident
Format = Callable[[Subject], bytes]


class Item(NamedTuple):
    """One event to deliver: its position in the store, what it is about, and the bytes the far end gets."""

    cursor: int
    subject: Subject
    body: bytes


class RetryError(CollectorError):
    """The far end could not take it now; nothing is said about what was sent. `after_s`: not before."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class RefusedError(CollectorError):
    """The far end is well and will never take this: sending it again is useless."""


class Sink(Protocol):
    """One far end. Called from one thread; may block up to its own timeout per exchange."""

    def send(self, items: Sequence[Item]) -> None:
        """Deliver all, in order, before returning. Raises: RetryError, RefusedError; then any of them may have
        arrived."""

    def close(self) -> None:
        """Let go of connections; `send` may be called again."""


@dataclass(slots=True)
class MemorySink:
    """A sink for tests: keeps what it takes. `faults` are raised first, one per call; `poison` is refused."""

    taken: list[Item] = field(default_factory=list)
    faults: list[CollectorError] = field(default_factory=list)
    poison: frozenset[str] = frozenset()
    calls: int = 0

    def send(self, items: Sequence[Item]) -> None:
        """Keep them."""
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        if any(item.subject.id in self.poison for item in items):
            raise RefusedError("400: poison")
        self.taken.extend(items)

    def close(self) -> None:
        """Nothing to let go."""
