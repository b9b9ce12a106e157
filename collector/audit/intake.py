"""Audit records → findings → committed, in pieces small enough to leave the event loop responsive."""

import asyncio
from collections.abc import Sequence
from itertools import islice

from collector.audit.detector import Detector
from collector.audit.format import Format
from collector.audit.port import Emit
from collector.audit.record import AuditRecord

_PIECE = 100


async def take_in(form: Format, records: Sequence[AuditRecord], detector: Detector, emit: Emit) -> int:
    """Detect and commit; how many findings there were. Raises: what `emit` raises, then nothing of the
    failed piece is remembered and the records may be offered again."""
    found = 0
    rest = iter(records)
    while piece := list(islice(rest, _PIECE)):
        detection = detector.detect(form, piece)
        if detection.findings:
            await emit(detection.findings)
        detector.commit(detection)
        found += len(detection.findings)
        await asyncio.sleep(0)
    return found
