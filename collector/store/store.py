"""The database. One thread writes; any may read. All calls block.

Every commit is one transaction, and on SQLite it is on the disk when `commit` returns (WAL, synchronous=FULL): what
an agent is told to forget is safe.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from collector.errors import StoreError
from collector.incident import Incident
from collector.store import codec
from collector.store.schema import dead_letters, events, findings, incidents, ledgers, metadata, records, streams
from collector.stream import BadPayload, LedgerEntry, Position, Record, StreamKey
from detection.finding import Finding

_CHUNK = 500  # bound parameters in one IN list


@dataclass(frozen=True, slots=True)
class Peer:
    """What an agent said about itself."""

    node: str = ""
    boot_id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes. `findings` are new ones, `repeats` known ones with new counts.

    Of the repeats, those `corrected` (ids) came incomplete before: readers are given them once more.
    """

    stream: StreamKey | None = None
    position: Position | None = None
    records: tuple[Record, ...] = ()
    findings: tuple[Finding, ...] = ()
    repeats: tuple[Finding, ...] = ()
    corrected: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()


class Store:
    """Opens the database at a SQLAlchemy URL or a file path and makes its tables. Raises: StoreError."""

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else f"sqlite:///{Path(url).absolute()}"
        self._engine = _engine(self.url)
        with _store_errors("open"):
            metadata.create_all(self._engine)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # -- writing

    def position(self, key: StreamKey) -> Position:
        """The newest committed record of a stream; (0, zeros) for one never seen. Raises: StoreError."""
        query = select(streams.c.committed_seq, streams.c.chain).where(_is_stream(key))
        with self.reading() as connection:
            row = connection.execute(query).first()
        return Position(row.committed_seq, row.chain) if row else Position()

    def open_stream(self, key: StreamKey, position: Position, missed: int, peer: Peer) -> None:
        """Note that an agent connected, where its stream goes on, and how many records are gone for good."""
        about: dict[str, Any] = {"node": peer.node, "boot_id": peer.boot_id, "version": peer.version}
        about |= {"committed_seq": position.seq, "chain": position.chain, "updated_ns": time.time_ns()}
        with self.writing() as connection:
            known = update(streams).where(_is_stream(key)).values(missed=streams.c.missed + missed, **about)
            if connection.execute(known).rowcount == 0:
                connection.execute(insert(streams).values(**key._asdict(), missed=missed, **about))

    def known(self, ids: Iterable[str]) -> dict[str, Finding]:
        """Those of these findings that are stored."""
        found: dict[str, Finding] = {}
        wanted = list(ids)
        with self.reading() as connection:
            for start in range(0, len(wanted), _CHUNK):
                query = select(findings.c.id, findings.c.body).where(findings.c.id.in_(wanted[start : start + _CHUNK]))
                found.update((row.id, codec.finding_from(row.body)) for row in connection.execute(query))
        return found

    def commit(self, batch: Batch) -> int:
        """Write all of it or nothing; the newest cursor. Raises: StoreError."""
        with self.writing() as connection:
            if batch.stream is not None and batch.position is not None:
                _write_records(connection, batch.stream, batch.position, batch.records)
            _write_findings(connection, batch.findings, batch.repeats, frozenset(batch.corrected))
            _write_incidents(connection, batch.incidents)
            return _newest(connection)

    def trim(self, before_ns: int, keep_events: int) -> Mapping[str, int]:
        """Delete what was last written before then, and events beyond the newest `keep_events`; rows by table."""
        old = {
            records: records.c.received_ns,
            dead_letters: dead_letters.c.received_ns,
            ledgers: ledgers.c.received_ns,
            findings: findings.c.written_ns,
            incidents: incidents.c.written_ns,
            events: events.c.written_ns,
        }
        with self.writing() as connection:
            gone = {t.name: connection.execute(delete(t).where(c < before_ns)).rowcount for t, c in old.items()}
            last = _newest(connection) - keep_events
            gone["events"] += connection.execute(delete(events).where(events.c.cursor <= last)).rowcount
            return gone

    # -- reading

    def restore(self, since_ns: int, limit: int) -> tuple[list[Finding], list[Incident]]:
        """What was written since then: findings, oldest event first, and incidents that stand. For the correlator."""
        recent = select(findings.c.body).where(findings.c.written_ns >= since_ns)
        open_ = select(incidents.c.body).where(incidents.c.written_ns >= since_ns, incidents.c.superseded_by == "")
        with self.reading() as connection:
            rows = connection.execute(recent.order_by(findings.c.time_ns.desc()).limit(limit)).scalars()
            found = [codec.finding_from(row) for row in rows]
            bodies = list(connection.execute(open_.order_by(incidents.c.first_ns)).scalars())
        return found[::-1], self._incidents(bodies)

    def incident(self, prefix: str) -> list[Incident]:
        """Incidents whose id begins so: none, the one, or two when it is not unique."""
        query = select(incidents.c.body).where(incidents.c.id.startswith(prefix, autoescape=True)).limit(2)
        with self.reading() as connection:
            bodies = list(connection.execute(query).scalars())
        return self._incidents(bodies)

    def incidents(self, limit: int, min_severity: int) -> list[Incident]:
        """Incidents that stand, newest first."""
        standing = incidents.c.superseded_by == "", incidents.c.severity >= min_severity
        query = select(incidents.c.body).where(*standing).order_by(incidents.c.last_ns.desc()).limit(limit)
        with self.reading() as connection:
            bodies = list(connection.execute(query).scalars())
        return self._incidents(bodies)

    def _incidents(self, bodies: list[bytes]) -> list[Incident]:
        ids = {id_ for body in bodies for id_ in codec.finding_ids(body)}
        known = self.known(ids)
        return [incident for body in bodies if (incident := codec.incident_from(body, known)) is not None]

    def newest_cursor(self) -> int:
        """Position of the newest event ever; 0: none."""
        with self.reading() as connection:
            return _newest(connection)

    def events(self, after: int, limit: int, min_severity: int) -> tuple[list[tuple[int, Finding | Incident]], int]:
        """Events after a position with what they are about, and the position up to which this looked.

        Findings below `min_severity` are left out; incidents never are.
        """
        query = select(events.c.cursor, events.c.kind, events.c.subject, events.c.severity)
        with self.reading() as connection:
            newest = _newest(connection)
            page = query.where(events.c.cursor > after).order_by(events.c.cursor).limit(limit)
            rows = list(connection.execute(page))
        last = rows[-1].cursor if rows else after
        looked = last if len(rows) == limit else max(newest, last)
        wanted = [row for row in rows if row.kind == "incident" or row.severity >= min_severity]
        subjects = self._subjects([(row.kind, row.subject) for row in wanted])
        entries = [(int(r.cursor), subjects[r.kind, r.subject]) for r in wanted if (r.kind, r.subject) in subjects]
        return entries, looked

    def _subjects(self, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], Finding | Incident]:
        known = self.known({id_ for kind, id_ in wanted if kind == "finding"})
        found: dict[tuple[str, str], Finding | Incident] = {("finding", id_): f for id_, f in known.items()}
        ids = [id_ for kind, id_ in wanted if kind == "incident"]
        with self.reading() as connection:
            query = select(incidents.c.body).where(incidents.c.id.in_(ids))
            bodies = list(connection.execute(query).scalars()) if ids else []
        found.update((("incident", incident.id), incident) for incident in self._incidents(bodies))
        return found

    def counts(self) -> Mapping[str, int]:
        """Rows by table."""
        with self.reading() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
            }

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with. Raises: StoreError."""
        with _store_errors("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction; for the one thread that writes. Raises: StoreError."""
        with _store_errors("write"), self._engine.begin() as connection:
            yield connection


def _write_records(connection: Connection, key: StreamKey, position: Position, batch: tuple[Record, ...]) -> None:
    where = key._asdict()
    now = time.time_ns()
    rows: dict[str, list[dict[str, Any]]] = {"record": [], "ledger": [], "dead": []}
    for record in batch:
        content = record.content
        place = {**where, "seq": record.seq}
        finding_id = content.id if isinstance(content, Finding) else None
        rows["record"].append({**place, "kind": kind_of(record), "finding_id": finding_id, "received_ns": now})
        if isinstance(content, LedgerEntry):
            rows["ledger"].append(
                {**place, "time_ns": content.time_ns, "received_ns": now, "body": codec.plain_json(content.body)}
            )
        elif isinstance(content, BadPayload):
            rows["dead"].append(
                {**place, "reason": content.reason, "payload": record.payload[:65536], "received_ns": now}
            )
    for table, name in ((records, "record"), (ledgers, "ledger"), (dead_letters, "dead")):
        if rows[name]:
            connection.execute(insert(table), rows[name])
    moved = {"committed_seq": position.seq, "chain": position.chain, "updated_ns": now}
    connection.execute(update(streams).where(_is_stream(key)).values(**moved))


def kind_of(record: Record) -> str:
    """finding, ledger or bad_payload."""
    if isinstance(record.content, Finding):
        return "finding"
    return "ledger" if isinstance(record.content, LedgerEntry) else "bad_payload"


def _write_findings(
    connection: Connection, new: tuple[Finding, ...], repeats: tuple[Finding, ...], corrected: frozenset[str]
) -> None:
    if new:
        connection.execute(insert(findings), [{"id": f.id, **_finding_row(f)} for f in new])
        connection.execute(insert(events), [_event("finding", f.id, f.severity) for f in new])
    for finding in repeats:
        connection.execute(update(findings).where(findings.c.id == finding.id).values(**_finding_row(finding)))
        if finding.id in corrected:
            connection.execute(insert(events).values(**_event("finding", finding.id, finding.severity)))


def _finding_row(finding: Finding) -> dict[str, Any]:
    return {
        "time_ns": finding.time_ns,
        "last_ns": finding.last_ns or finding.time_ns,
        "written_ns": time.time_ns(),
        "severity": int(finding.severity),
        "source": finding.source.value,
        "body": codec.finding_json(finding),
    }


def _write_incidents(connection: Connection, changed: tuple[Incident, ...]) -> None:
    for incident in changed:
        row = _incident_row(incident)
        if connection.execute(update(incidents).where(incidents.c.id == incident.id).values(**row)).rowcount == 0:
            connection.execute(insert(incidents).values(id=incident.id, **row))
        older = (events.c.kind == "incident", events.c.subject == incident.id)
        connection.execute(delete(events).where(*older))
        connection.execute(insert(events).values(**_event("incident", incident.id, incident.severity)))


def _incident_row(incident: Incident) -> dict[str, Any]:
    return {
        "revision": incident.revision,
        "severity": int(incident.severity),
        "first_ns": incident.first_ns,
        "last_ns": incident.last_ns,
        "written_ns": time.time_ns(),
        "superseded_by": incident.superseded_by,
        "body": codec.incident_json(incident),
    }


def _event(kind: str, subject: str, severity: int) -> dict[str, Any]:
    return {"kind": kind, "subject": subject, "severity": int(severity), "written_ns": time.time_ns()}


def _newest(connection: Connection) -> int:
    """The newest cursor given out, even if its row was compacted away since: rows go, positions stay."""
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'events'").scalar() or 0
    return connection.execute(select(func.max(events.c.cursor))).scalar() or 0


def _is_stream(key: StreamKey) -> Any:
    return (streams.c.agent_id == key.agent_id) & (streams.c.stream_id == key.stream_id)


def _engine(url: str) -> Engine:
    with _store_errors("open"):
        where = make_url(url)
        if where.get_backend_name() != "sqlite":
            return create_engine(url, pool_pre_ping=True)
        path = Path(where.database or "")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite gives its other files the same mode
        engine = create_engine(url, connect_args={"timeout": 5})
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


@contextmanager
def _store_errors(action: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"cannot {action} the store: {cause}") from error
