"""The disk spool between core and uplink: a gap-free, hash-chained sequence of frames."""

from agent.spool.frame import Frame
from agent.spool.spool import Priority, Spool, SpoolStatus

__all__ = ["Frame", "Priority", "Spool", "SpoolStatus"]
