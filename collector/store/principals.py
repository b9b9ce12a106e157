"""Behaviour of principals: its part of the database. All calls block."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select

from collector.store.schema import principals
from collector.store.store import Store

_CHUNK = 500


class Row(NamedTuple):
    """`kind`: principal, group, or source (its record of novelties; then `name` is empty)."""

    source: str
    kind: str
    name: str
    seen_ns: int
    body: bytes


class PrincipalRows:
    """Reads from any thread; `put` and `trim` only in the thread that writes. All raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest(self, kind: str, limit: int) -> list[Row]:
        """Those active last, oldest first."""
        c = principals.c
        query = select(c.source, c.kind, c.name, c.seen_ns, c.body).where(c.kind == kind)
        with self._store.reading() as connection:
            rows = connection.execute(query.order_by(c.seen_ns.desc()).limit(limit)).all()
        return [Row(*row) for row in reversed(rows)]

    def count(self, kind: str) -> int:
        """How many there are of a kind."""
        query = select(func.count()).select_from(principals).where(principals.c.kind == kind)
        with self._store.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def find(self, source: str, kind: str, name: str) -> bytes | None:
        """One body."""
        query = select(principals.c.body).where(principals.c.id == _id(source, kind, name))
        with self._store.reading() as connection:
            return connection.execute(query).scalar()

    def put(self, rows: Iterable[Row]) -> None:
        """Store them in place of what was there, all or none."""
        values: dict[str, dict[str, Any]] = {}
        for row in rows:
            id_ = _id(row.source, row.kind, row.name)
            values[id_] = {"id": id_, **row._asdict()}
        ids = list(values)
        with self._store.writing() as connection:
            for start in range(0, len(ids), _CHUNK):
                some = ids[start : start + _CHUNK]
                connection.execute(delete(principals).where(principals.c.id.in_(some)))
                connection.execute(insert(principals), [values[id_] for id_ in some])

    def trim(self, before_ns: int) -> int:
        """Delete principals and groups not active since; how many."""
        old = (principals.c.seen_ns < before_ns, principals.c.kind != "source")
        with self._store.writing() as connection:
            return connection.execute(delete(principals).where(*old)).rowcount


def _id(source: str, kind: str, name: str) -> str:
    return sha256(f"{source}\0{kind}\0{name}".encode("utf-8", "replace")).hexdigest()
