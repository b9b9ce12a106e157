"""An edge of the graph."""

from typing import NamedTuple

from collector.correlate.bucket import Stamp
from collector.correlate.execs import Match

EXEC = "exec_audit_event"


class Edge(NamedTuple):
    """Two findings, the earlier first, and the key under which they meet."""

    rule: str
    value: str
    earlier: str
    later: str
    confidence: float
    order: tuple[float, int, Stamp, Stamp, str]  # surest first, then by kind of key, then by time
    confirms: bool = False
    match: Match | None = None
