"""What the collector has, read as a SIEM reads it: from the event stream."""

from dataclasses import dataclass, field
from typing import Any

from cli.demo.errors import DemoError
from collector.errors import CollectorError
from collector.incident import Incident
from collector.publish.client import EventClient
from detection.finding import Finding


@dataclass(slots=True)
class Collected:
    """Findings and the newest revision of every incident, by id, as plain JSON-ready values."""

    client: EventClient
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    cursor: int = 0

    def refresh(self) -> int:
        """Read on to the newest event; how many there were. Blocks. Raises: DemoError if the collector refuses."""
        count = 0
        try:
            for entry in self.client.subscribe(self.cursor, end_at_newest=True):
                self.cursor = entry.cursor
                self._take(entry.body)
                count += 1
        except CollectorError as e:
            raise DemoError(f"the collector's event stream broke: {e}") from e
        return count

    def _take(self, body: Finding | Incident | None) -> None:
        if isinstance(body, Finding):
            self.findings[body.id] = body.as_dict()
        elif isinstance(body, Incident):
            self.incidents[body.id] = body.as_dict()
