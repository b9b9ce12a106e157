"""An agent's record stream: its sequence, its hash chain, and what a record carries."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from collector.errors import StreamError
from detection.finding import Finding


class StreamKey(NamedTuple):
    """Whose stream, and which: a new spool is a new stream."""

    agent_id: str
    stream_id: str


@dataclass(frozen=True, slots=True)
class Position:
    """The newest committed record. `chain` is b"" where it is unknown: the next record's value is then taken over."""

    seq: int = 0
    chain: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A coverage ledger as plain data, under the names of `vedette.v1.Ledger`."""

    time_ns: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BadPayload:
    """A payload that is not what the contract says, and why; kept aside, its place in the sequence is taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record as received. `payload` is what the chain covers, `content` what it says."""

    seq: int
    chain: bytes
    payload: bytes
    content: Finding | LedgerEntry | BadPayload


def follow(position: Position, record: Record) -> Position:
    """The position after `record`. Raises: StreamError when it is not the next one of this chain."""
    if record.seq != position.seq + 1:
        raise StreamError(f"record {record.seq} came where {position.seq + 1} was due")
    if position.chain:
        covered = position.chain + record.seq.to_bytes(8, "big") + record.payload
        if hashlib.sha256(covered).digest() != record.chain:
            raise StreamError(f"record {record.seq} does not continue the hash chain of this stream")
    return Position(record.seq, record.chain)


def opening(committed: Position, oldest_seq: int, newest_seq: int) -> Position:
    """Where a stream goes on, given what is committed and what the agent still has.

    Records the agent no longer has, and this collector never got (its database was lost), are a gap: the
    position jumps over them and the chain starts anew.
    """
    first_due = oldest_seq if oldest_seq else newest_seq + 1
    if first_due <= committed.seq + 1:
        return committed
    return Position(first_due - 1, b"")
