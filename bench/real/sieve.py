"""A recording without what the host's own processes opened and connected to: smaller, and quicker to replay."""

from collections.abc import Iterator, Set
from pathlib import Path
from struct import Struct

from agent.decode import layout
from agent.decode.decode import Decoder
from agent.events import Cgroup, EventType, RawBatch
from agent.record import BEHAVIOUR
from agent.recording import Frame, Kind, RecordingReader, RecordingWriter, batch_of

_PREFIX = Struct("=HHI")  # of struct ev_head: type, flags, size
_CGROUP_ID = Struct("=Q")
_AT = layout.EV_HEAD_OFFSETS["task.cgroup_id"]
# Who is whose parent, which cgroups there are, and who does what to whom: a replay needs to know that of all.
_ALL = frozenset(
    (
        EventType.FORK,
        EventType.EXEC,
        EventType.EXIT,
        EventType.CGROUP_MKDIR,
        EventType.CGROUP_RMDIR,
        EventType.CALL,
    )
)


def sieve(source: Path, target: Path, below: str) -> None:
    """Copy a recording; of other cgroups than those directly `below` this one, keep only what moves processes.

    Raises: RecordingError, OSError.
    """
    cgroups: set[int] = set()
    decoder = Decoder()
    with target.open("wb") as file:
        writer = RecordingWriter(file)
        for frame in RecordingReader(source):
            if frame.kind is Kind.BATCH:
                _batch(frame, writer, decoder, cgroups, f"/{below}/")
            elif frame.kind is Kind.BEHAVIOURS:
                rows = (row for row in _rows(frame.payload) if _CGROUP_ID.unpack_from(row)[0] in cgroups)
                writer.write(Kind.BEHAVIOURS, *rows)
            else:
                writer.write(frame.kind, frame.payload)


def _rows(payload: bytes) -> Iterator[bytes]:
    return (payload[at : at + BEHAVIOUR.size] for at in range(0, len(payload), BEHAVIOUR.size))


def _batch(frame: Frame, writer: RecordingWriter, decoder: Decoder, cgroups: set[int], below: str) -> None:
    time_ns, batch = batch_of(frame.payload)
    for event in decoder.decode(_only(batch, frozenset((EventType.CGROUP_MKDIR,)), frozenset())):
        if isinstance(event, Cgroup) and below in f"{event.path}/":
            cgroups.add(event.id)
    kept = _only(batch, _ALL, cgroups)
    if kept.records:
        writer.batch(time_ns, kept)


def _only(batch: RawBatch, kinds: Set[int], cgroups: Set[int]) -> RawBatch:
    """The records of these types or cgroups."""
    data, end, at = batch.data, len(batch.data), 0
    kept: list[bytes] = []
    while at + layout.EV_HEAD_SIZE <= end:
        kind, _, size = _PREFIX.unpack_from(data, at)
        if size < layout.EV_HEAD_SIZE:
            break
        if kind in kinds or _CGROUP_ID.unpack_from(data, at + _AT)[0] in cgroups:
            kept.append(data[at : at + size])
        at += size
    return RawBatch(b"".join(kept), len(kept), batch.boot_to_unix_ns)
