"""Audit events → findings → committed, in pieces small enough to leave the event loop responsive."""

import asyncio
from collections.abc import Sequence
from itertools import islice

from collector.audit.detector import Detector
from collector.audit.kubernetes import AuditEvent
from collector.audit.port import Emit

_PIECE = 100


async def take_in(events: Sequence[AuditEvent], detector: Detector, emit: Emit) -> int:
    """Detect and commit; how many findings there were. Raises: what `emit` raises, then nothing of the
    failed piece is remembered and the events may be offered again."""
    found = 0
    rest = iter(events)
    while piece := list(islice(rest, _PIECE)):
        detection = detector.detect(piece)
        if detection.findings:
            await emit(detection.findings)
        detector.commit(detection)
        found += len(detection.findings)
        await asyncio.sleep(0)
    return found
