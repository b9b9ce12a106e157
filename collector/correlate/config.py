"""Bounds of the correlation."""

from dataclasses import dataclass

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Config:
    """Times in nanoseconds of event time.

    Two findings that share a key belong together when no more than `window_ns` lies between them. An incident ends
    when nothing joined it for as long. `max_findings` bounds memory (about 4 kB a finding), `max_members` one
    incident: beyond it, repeats of the same rule in the same place fold into a count.
    """

    window_ns: int = 24 * HOUR
    max_findings: int = 50_000
    max_members: int = 256
    remember_ids: int = 200_000
    max_slots: int = 48
