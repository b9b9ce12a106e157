"""What tells one control plane's audit log from another's. Transports, rules and findings are the same for all."""

from typing import Any, Protocol

from collector.audit.record import AuditRecord, Facts, Problem
from detection.finding import Source
from detection.principals.access import Access


class Format(Protocol):
    """The form of one audit log. Pure: no I/O, no state."""

    @property
    def source(self) -> Source:
        """What its findings are said to come from."""

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the lists its envelopes carry records in: `items`, `Records` …"""

    def unwrap(self, value: Any) -> Any:
        """The record in an item that carries it as a part or as text; other items as they are."""

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem | None:
        """One decoded value as a record, or what is wrong with it; None: sound, but of another log."""

    def facts_of(self, record: AuditRecord) -> Facts:
        """Entities, evidence and a sentence; never the payload of a request or response."""

    def access_of(self, record: AuditRecord) -> Access | None:
        """The record as behaviour of its principal; None where no principal is behind it. Called for every record."""
