"""What every audit source offers and needs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from detection.finding import Finding

# Returns once the findings are committed; raises CollectorError when they could not be.
Emit = Callable[[list[Finding]], Awaitable[None]]


class AuditSource(Protocol):
    """A transport of audit events: a file, a webhook, a queue."""

    async def run(self, emit: Emit) -> None:
        """Bring in events until cancelled; a position is kept or acknowledged only after `emit` returned."""

    def counters(self) -> Mapping[str, int]:
        """Cause → count since start: what came, what was refused and why."""
