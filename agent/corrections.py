"""Findings that were sent before their container was fully known: kept for a while, to be sent again complete."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from agent.workload import Container, Identified
from detection.finding import Finding

KEEP_NS = 600_000_000_000
_KEPT = 1024


class _Sent(NamedTuple):
    finding: Finding
    identified: Identified
    until_ns: int


def is_unfinished(container: Container | None) -> bool:
    """Whether something is still to be learned of it: what it is, or what a silent runtime would add."""
    return container is not None and (not container.complete or bool(container.awaited))


class Corrections:
    """Bounded by number and age; what is given up is counted: that finding stays marked incomplete."""

    def __init__(self, kept: int = _KEPT, keep_ns: int = KEEP_NS) -> None:
        self._kept = kept
        self._keep_ns = keep_ns
        self._sent: OrderedDict[str, _Sent] = OrderedDict()
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._sent)

    def note(self, finding: Finding, identified: Identified, now_ns: int) -> None:
        """This finding went out incomplete."""
        self._sent[finding.id] = _Sent(finding, identified, now_ns + self._keep_ns)
        if len(self._sent) > self._kept:
            self._sent.popitem(last=False)
            self.given_up += 1

    def due(self, now_ns: int, renew: Callable[[Identified], Identified]) -> Iterator[tuple[Finding, Identified]]:
        """Findings whose container is known by now, each once, with the event as it is now."""
        for finding_id, sent in list(self._sent.items()):
            identified = renew(sent.identified)
            if not is_unfinished(identified.container):
                del self._sent[finding_id]
                yield sent.finding, identified
            elif now_ns >= sent.until_ns:
                del self._sent[finding_id]
                self.given_up += 1
