"""What agents told of profiles, and what people decided: the fleet's part of the database. All calls block."""

import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import delete, func, insert, select, update

from collector.errors import StoreError
from collector.store.schema import decisions, profiles
from collector.store.store import Store
from detection.baseline.decision import Decisions, parse, to_plain
from detection.baseline.merge import Share
from detection.baseline.packing import PackingError, unpack_classes
from detection.baseline.snapshot import Snapshot
from detection.errors import DetectionError

ProfileKey = tuple[str, str]  # workload, version


class Head(NamedTuple):
    """What is known of a stored profile without reading it."""

    run_id: str
    number: int
    ordinal: int
    seen_ns: int
    first_ns: int


class ProfileStore:
    """Reads from any thread; `put`, `decide` and `trim` only in the thread that writes. All raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def heads(self) -> dict[ProfileKey, dict[str, Head]]:
        """Of every profile, by agent."""
        table = profiles.c
        columns = (table.run_id, table.number, table.ordinal, table.seen_ns, table.first_ns)
        found: dict[ProfileKey, dict[str, Head]] = {}
        with self._store.reading() as connection:
            for row in connection.execute(select(table.agent_id, table.workload, table.version, *columns)):
                found.setdefault((row[1], row[2]), {})[row[0]] = Head(*row[3:])
        return found

    def shares(self, key: ProfileKey) -> dict[str, Share]:
        """What every agent told of one profile."""
        table = profiles.c
        query = select(table.agent_id, table.ordinal, table.seen_ns, table.closed_ns, table.body)
        with self._store.reading() as connection:
            rows = list(connection.execute(query.where(table.profile == digest(key))))
        return {
            agent: Share(ordinal, seen, _snapshot(key, closed, body)) for agent, ordinal, seen, closed, body in rows
        }

    def share(self, agent_id: str, key: ProfileKey) -> Snapshot | None:
        """What one agent told of one profile; None where it told nothing."""
        table = profiles.c
        query = select(table.closed_ns, table.body).where(table.agent_id == agent_id, table.profile == digest(key))
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        return _snapshot(key, row.closed_ns, row.body) if row else None

    def put(self, agent_id: str, key: ProfileKey, head: Head, closed_ns: int, body: bytes) -> None:
        """Store a whole profile (`pack_classes`) in place of what the agent told before."""
        values: dict[str, Any] = {**head._asdict(), "closed_ns": closed_ns, "body": body}
        where = (profiles.c.agent_id == agent_id, profiles.c.profile == digest(key))
        with self._store.writing() as connection:
            if connection.execute(update(profiles).where(*where).values(**values)).rowcount == 0:
                names = {"agent_id": agent_id, "profile": digest(key), "workload": key[0], "version": key[1]}
                connection.execute(insert(profiles).values(**names, **values))

    def forget(self, agent_id: str, key: ProfileKey) -> None:
        """Delete what one agent told of one profile."""
        where = (profiles.c.agent_id == agent_id, profiles.c.profile == digest(key))
        with self._store.writing() as connection:
            connection.execute(delete(profiles).where(*where))

    def trim(self, before_ns: int) -> int:
        """Delete what was told before then and not since; how many."""
        with self._store.writing() as connection:
            return connection.execute(delete(profiles).where(profiles.c.seen_ns < before_ns)).rowcount

    def decisions(self) -> list[Decisions]:
        """All that people decided."""
        with self._store.reading() as connection:
            bodies = list(connection.execute(select(decisions.c.body)).scalars())
        try:
            return [parse(orjson.loads(body)) for body in bodies]
        except (ValueError, DetectionError) as error:
            raise StoreError(f"a stored decision cannot be read: {error}; use the version that wrote it") from error

    def decide(self, decided: Iterable[Decisions], who: str) -> None:
        """Store decisions in place of earlier ones about the same workload and version; empty ones withdraw them."""
        with self._store.writing() as connection:
            for one in decided:
                key = (one.workload, one.version)
                connection.execute(delete(decisions).where(decisions.c.profile == digest(key)))
                if one:
                    row = {"profile": digest(key), "workload": key[0], "version": key[1], "body": _plain(one)}
                    connection.execute(insert(decisions).values(**row, decided_by=who, decided_ns=time.time_ns()))

    def counts(self) -> Mapping[str, int]:
        """Rows by table."""
        with self._store.reading() as connection:
            return {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in _TABLES}


_TABLES = (profiles, decisions)


def digest(key: ProfileKey) -> str:
    """A key of fixed length."""
    return hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()


def _snapshot(key: ProfileKey, closed_ns: int, body: bytes) -> Snapshot:
    try:
        return Snapshot(*key, closed_ns, unpack_classes(body))
    except PackingError as error:
        raise StoreError(f"stored profile of {key[0][:200]!r} cannot be read: {error}") from error


def _plain(decided: Decisions) -> bytes:
    return orjson.dumps(to_plain(decided))
