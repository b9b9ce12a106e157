"""What the collector has, read as a SIEM reads it: from the event stream."""

from dataclasses import dataclass, field
from typing import Any

import grpc
from vedette.v1 import event_pb2, event_pb2_grpc

from cli.demo.errors import DemoError
from collector.publish.wire import incident_from_message
from collector.receive.wire import finding_from_message

_CALL_S = 10


@dataclass(slots=True)
class Collected:
    """Findings and the newest revision of every incident, by id, as plain JSON-ready values."""

    channel: grpc.Channel
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    cursor: int = 0

    def refresh(self) -> int:
        """Read on to the newest event; how many there were. Blocks. Raises: DemoError if the collector refuses."""
        request = event_pb2.SubscribeRequest(cursor=self.cursor, end_at_newest=True)
        count = 0
        try:
            for event in event_pb2_grpc.EventServiceStub(self.channel).Subscribe(request, timeout=_CALL_S):
                self._take(event)
                count += 1
        except grpc.RpcError as e:
            raise DemoError(f"the collector's event stream broke: {e.details()}") from e
        return count

    def _take(self, event: event_pb2.Event) -> None:
        self.cursor = event.cursor
        if event.HasField("finding"):
            finding = finding_from_message(event.finding)
            self.findings[finding.id] = finding.as_dict()
        elif event.HasField("incident"):
            incident = incident_from_message(event.incident)
            self.incidents[incident.id] = incident.as_dict()
