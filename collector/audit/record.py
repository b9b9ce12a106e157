"""One audit record, whatever control plane wrote it, and what a piece of input held."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detection.finding import Entity, FieldValue


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One record of a control plane.

    `event_id` is the record's own id, the same whatever way it comes; `time_ns` is when the thing was done (Unix,
    nanoseconds); `rule_key` says which rules look at it (`detection.rules.ir.event_key`); `raw` is what they read.
    `early` marks a record of something not yet decided, which comes again: no rule looks at it.
    """

    event_id: str
    time_ns: int
    rule_key: str
    raw: Mapping[str, Any]
    early: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that could not be used: where it stood and what is wrong with it (never its content).

    `record` is its beginning, for the dead letter only: it never reaches a log, an answer or a finding.
    """

    position: str
    reason: str
    record: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one piece of input held. `other` counts sound records of another log, which formats pass over."""

    records: tuple[AuditRecord, ...]
    problems: tuple[Problem, ...]
    other: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """A record as findings show it: entities, evidence, and one sentence. Bounded, and without secrets."""

    entities: tuple[Entity, ...]
    fields: Mapping[str, FieldValue]
    summary: str
