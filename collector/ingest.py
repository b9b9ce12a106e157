"""The one path of every finding, runtime or audit: correlate, commit, tell the readers, acknowledge."""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, TypeVar

from collector.errors import StoreError, StreamError
from collector.incident import Incident
from collector.metrics import Metrics
from collector.store import codec
from collector.store.store import Batch, Peer, Store, kind_of
from collector.stream import BadPayload, LedgerEntry, Position, Record, StreamKey, follow, opening
from detection.finding import Finding

log = logging.getLogger(__name__)
T = TypeVar("T")

_STREAMS_KEPT = 4096
_RETRY_S = (0.05, 5.0)


class Correlator(Protocol):
    """Joins findings into incidents; keeps its state in memory."""

    def add_many(self, findings: Sequence[Finding]) -> list[Incident]:
        """The incidents these findings opened or changed (merged ones included, with `superseded_by`)."""

    def expire(self, now_ns: int) -> int:
        """Forget what is too old to be joined."""

    def restore(self, findings: Sequence[Finding], incidents: Sequence[Incident]) -> None:
        """Take up the state of an earlier run."""


class NoCorrelator:
    """The fake beside the port: joins nothing."""

    def add_many(self, findings: Sequence[Finding]) -> list[Incident]:
        """No incident."""
        return []

    def expire(self, now_ns: int) -> int:
        """Nothing to forget."""
        return 0

    def restore(self, findings: Sequence[Finding], incidents: Sequence[Incident]) -> None:
        """Nothing to take up."""


class Ingest:
    """Commits batches one after another; a caller's await returns when its batch is on the disk.

    While the database cannot be written (disk full, locked) the same transaction is tried again and again: callers
    wait, agents get no acknowledgement and keep their records, audit sources keep their position.
    """

    def __init__(self, store: Store, correlator: Correlator, notify: Callable[[int], None], metrics: Metrics) -> None:
        self._store = store
        self._correlator = correlator
        self._notify = notify
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._positions: OrderedDict[StreamKey, Position] = OrderedDict()
        # Changes no transaction has taken yet: they outlive a commit that was given up.
        self._unsaved: dict[str, Incident] = {}

    async def open(self, key: StreamKey, oldest_seq: int, newest_seq: int, peer: Peer) -> int:
        """An agent connected: the sequence number after which its stream goes on. Raises: StoreError."""
        async with self._lock:
            committed = await self._position(key)
            position = opening(committed, oldest_seq, newest_seq)
            missed = position.seq - committed.seq
            await self._in_writer(lambda: self._store.open_stream(key, position, missed, peer))
            self._remember(key, position)
        if missed:
            self._metrics.count("records_missed", missed)
            log.warning("agent %s: %d records of stream %s are gone for good", key.agent_id, missed, key.stream_id)
        return position.seq

    async def records(self, key: StreamKey, batch: Sequence[Record]) -> int:
        """Commit what continues the stream; the newest committed sequence number.

        Records already committed are dropped. Raises: StreamError after committing what came before the break.
        """
        async with self._lock:
            position = await self._position(key)
            fresh, reached, broken = _continue(position, batch)
            duplicates = len(batch) - len(fresh) if broken is None else 0
            self._metrics.count("records_duplicate", duplicates)
            if fresh:
                self._positions.pop(key, None)  # if this is cancelled, only the database knows where it stands
                await self._commit(Batch(stream=key, position=reached, records=tuple(fresh)))
                self._remember(key, reached)
                for record in fresh:
                    self._metrics.count("records", kind=kind_of(record))
        if broken is not None:
            self._metrics.count("stream_breaks")
            raise broken
        return reached.seq

    async def findings(self, found: Sequence[Finding]) -> None:
        """Commit findings that have no record: those of audit logs. Known ids are merged."""
        async with self._lock:
            await self._commit(Batch(findings=tuple(found)))

    async def restore(self, window_ns: int, limit: int) -> None:
        """Give the correlator back what it knew. Raises: StoreError."""
        since = time.time_ns() - window_ns
        findings, incidents = await self._in_writer(lambda: self._store.restore(since, limit))
        self._correlator.restore(findings, incidents)
        self._notify(await self._in_writer(self._store.newest_cursor))

    async def trim(self, before_ns: int, keep_events: int, first: Callable[[], None] = lambda: None) -> None:
        """Apply the retention bounds; `first` runs before, in the same thread, with no commit between them.

        Raises: StoreError.
        """

        def work() -> Mapping[str, int]:
            first()
            return self._store.trim(before_ns, keep_events)

        self._correlator.expire(time.time_ns())
        gone = await self._in_writer(work)
        for table, rows in gone.items():
            self._metrics.count("trimmed", rows, table=table)

    async def write(self, work: Callable[[], None]) -> None:
        """Run something else that writes, between two commits. Raises: StoreError."""
        await self._in_writer(work)

    async def close(self) -> None:
        """Wait for the commit that is under way."""
        await asyncio.to_thread(self._writer.shutdown)

    # -- one batch

    async def _commit(self, batch: Batch) -> None:
        """Complete the batch (repeats, incidents) and write it. `batch.findings` are audit findings, if any."""
        batch = replace(batch, records=tuple(_storable(record) for record in batch.records))
        from_records = [record.content for record in batch.records if isinstance(record.content, Finding)]
        storable = [f for f in batch.findings if self._is_storable(f)]
        found = [*from_records, *storable]
        known = await self._retrying(lambda: self._store.known({f.id for f in found}))
        new, repeats = self._sort(found, known)
        self._correlate([*new, *repeats])
        incidents = tuple(self._unsaved.values())
        corrected = tuple(f.id for f in repeats if known[f.id].incomplete and not f.incomplete)
        batch = replace(batch, findings=tuple(new), repeats=tuple(repeats), corrected=corrected, incidents=incidents)
        started = time.perf_counter()
        cursor = await self._retrying(lambda: self._store.commit(batch))
        self._unsaved.clear()
        self._metrics.observe("commit_seconds", time.perf_counter() - started)
        self._metrics.count("incident_changes", len(incidents))
        self._notify(cursor)

    def _sort(self, found: Iterable[Finding], known: dict[str, Finding]) -> tuple[list[Finding], list[Finding]]:
        """(new findings, known ones that changed), each id once, in order."""
        current = dict(known)
        changed: dict[str, None] = {}
        for finding in found:
            before = current.get(finding.id)
            merged = finding if before is None else codec.merge_repeat(before, finding)
            news = before is None or codec.is_news(before, merged)
            result = "new" if before is None else "repeated" if news else "duplicate"
            self._metrics.count("findings", source=finding.source.value, result=result)
            if news:
                current[finding.id] = merged
                changed[finding.id] = None
        return (
            [current[id_] for id_ in changed if id_ not in known],
            [current[id_] for id_ in changed if id_ in known],
        )

    def _correlate(self, found: Sequence[Finding]) -> None:
        """Note the changed incidents, each in its last form."""
        try:
            changed = self._correlator.add_many(found)
        except Exception:
            log.exception("correlate: a batch of %d findings failed; trying each alone", len(found))
            changed = [incident for finding in found for incident in self._joined(finding)]
        self._unsaved.update((incident.id, incident) for incident in changed)

    def _joined(self, finding: Finding) -> list[Incident]:
        try:
            return self._correlator.add_many((finding,))
        except Exception:  # a finding that trips the correlator must still be stored
            log.exception("correlate: finding %s is stored without joins", finding.id)
            self._metrics.count("correlator_errors")
            return []

    def _is_storable(self, finding: Finding) -> bool:
        why = _unstorable(finding)
        if why:
            log.warning("audit finding of rule %s dropped: %s", finding.rule_id, why)
            self._metrics.count("findings", source=finding.source.value, result="unstorable")
        return not why

    # -- the writer thread

    async def _position(self, key: StreamKey) -> Position:
        if key not in self._positions:
            return await self._retrying(lambda: self._store.position(key))
        return self._positions[key]

    def _remember(self, key: StreamKey, position: Position) -> None:
        self._positions[key] = position
        self._positions.move_to_end(key)
        if len(self._positions) > _STREAMS_KEPT:
            self._positions.popitem(last=False)

    async def _retrying(self, work: Callable[[], T]) -> T:
        """Run it until the database takes it; ends only by success or cancellation."""
        for pause in _pauses():
            try:
                return await self._in_writer(work)
            except StoreError as error:
                self._metrics.count("commit_retries")
                log.error("%s; trying again in %.1f s, agents keep their records meanwhile", error, pause)
                await asyncio.sleep(pause)
        raise AssertionError("unreachable: the pauses never end")

    async def _in_writer(self, work: Callable[[], T]) -> T:
        """Run it in the writer thread. Cancelled or not, a begun transaction is waited for: the next needs its end."""
        future = asyncio.get_running_loop().run_in_executor(self._writer, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await future
            raise


def _pauses() -> Iterator[float]:
    pause, longest = _RETRY_S
    while True:
        yield pause
        pause = min(pause * 2, longest)


def _continue(position: Position, batch: Sequence[Record]) -> tuple[list[Record], Position, StreamError | None]:
    """Records that follow the position, the position after them, and the break, if any."""
    fresh: list[Record] = []
    for record in batch:
        if record.seq <= position.seq:
            continue
        try:
            position = follow(position, record)
        except StreamError as error:
            return fresh, position, error
        fresh.append(record)
    return fresh, position, None


def _storable(record: Record) -> Record:
    """The record, or its place with a note why its content cannot be stored."""
    content = record.content
    why = _unstorable(content) if isinstance(content, Finding) else ""
    if isinstance(content, LedgerEntry):
        why = _trial(lambda: codec.plain_json(content.body))
    return replace(record, content=BadPayload(why)) if why else record


def _unstorable(finding: Finding) -> str:
    return _trial(lambda: codec.finding_json(finding))


def _trial(encode: Callable[[], bytes]) -> str:
    try:
        encode()
    except (TypeError, ValueError) as error:
        return f"cannot be kept as JSON: {error}"
    return ""
