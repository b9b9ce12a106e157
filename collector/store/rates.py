"""Windows of rates and the forests learned from them: training's part of the database. All calls block."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import Any

from sqlalchemy import delete, insert, select, update

from collector.store.profiles import ProfileKey, digest
from collector.store.schema import rate_windows, rate_workloads
from collector.store.store import Store
from detection.rates.features import COUNT, FEATURES_VERSION
from detection.rates.window import RateWindow

# version, flags, container (a digest), end_ns, seconds, missing; then the values, and those of `lasting` if any
_HEAD = Struct("<BB8sqdI")
_VALUES = Struct(f"<{COUNT}f")
_LOSSY, _ANOMALOUS = 1, 2


@dataclass(frozen=True, slots=True)
class ForestBlob:
    """A trained model as it is stored and sent; `body` is `detection.rates.codec.model_bytes`."""

    workload: str
    version: str
    revision: int
    body: bytes


@dataclass(frozen=True, slots=True)
class RateHead:
    """What is known of a workload's windows without reading them. Columns of `rate_workloads`."""

    taken: int = 0
    learned: int = 0
    revision: int = 0
    seen_ns: int = 0


class RateStore:
    """Reads from any thread; `put`, `keep` and `trim` only in the thread that writes. All raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def heads(self) -> dict[ProfileKey, RateHead]:
        """Of every workload and version."""
        c = rate_workloads.c
        query = select(c.workload, c.version, c.taken, c.learned, c.revision, c.seen_ns)
        with self._store.reading() as connection:
            return {(row[0], row[1]): RateHead(*row[2:]) for row in connection.execute(query)}

    def windows(self, key: ProfileKey) -> list[RateWindow]:
        """The sample that is kept, in no order. Container ids are digests of what they were."""
        query = select(rate_windows.c.body).where(rate_windows.c.profile == digest(key))
        with self._store.reading() as connection:
            bodies = list(connection.execute(query).scalars())
        return [window for body in bodies if (window := _unpacked(key, body)) is not None]

    def forest(self, key: ProfileKey) -> ForestBlob | None:
        """The newest forest; None before the first."""
        c = rate_workloads.c
        query = select(c.revision, c.body).where(c.profile == digest(key), c.revision > 0)
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        return ForestBlob(*key, row.revision, row.body) if row is not None else None

    def put(self, key: ProfileKey, head: RateHead, placed: Iterable[tuple[int, RateWindow]]) -> None:
        """Store windows at their places, in place of what was there."""
        rows = {place: _packed(window) for place, window in placed}  # of two at one place the later
        profile = digest(key)
        with self._store.writing() as connection:
            self._write_head(connection, key, head)
            old = (rate_windows.c.profile == profile, rate_windows.c.place.in_(rows))
            connection.execute(delete(rate_windows).where(*old))
            values = [{"profile": profile, "place": place, "body": body} for place, body in rows.items()]
            if values:
                connection.execute(insert(rate_windows), values)

    def keep(self, key: ProfileKey, head: RateHead, body: bytes | None) -> None:
        """Store a forest in place of the one before; without a body only that it was tried."""
        with self._store.writing() as connection:
            self._write_head(connection, key, head, {} if body is None else {"body": body})

    def trim(self, before_ns: int) -> int:
        """Delete what belongs to workloads that showed nothing since; how many workloads."""
        old = select(rate_workloads.c.profile).where(rate_workloads.c.seen_ns < before_ns)
        with self._store.writing() as connection:
            connection.execute(delete(rate_windows).where(rate_windows.c.profile.in_(old)))
            return connection.execute(delete(rate_workloads).where(rate_workloads.c.seen_ns < before_ns)).rowcount

    def _write_head(self, connection: Any, key: ProfileKey, head: RateHead, more: dict[str, Any] | None = None) -> None:
        columns = {"taken": head.taken, "learned": head.learned, "revision": head.revision, "seen_ns": head.seen_ns}
        values: dict[str, Any] = {**columns, **(more or {})}
        profile = digest(key)
        known = update(rate_workloads).where(rate_workloads.c.profile == profile).values(**values)
        if connection.execute(known).rowcount == 0:
            names = {"profile": profile, "workload": key[0], "version": key[1]}
            connection.execute(insert(rate_workloads).values(**names, **values))


def _packed(window: RateWindow) -> bytes:
    flags = (_LOSSY if window.lossy else 0) | (_ANOMALOUS if window.anomalous else 0)
    container = blake2b(window.container_id.encode("utf-8", "replace"), digest_size=8).digest()
    head = _HEAD.pack(FEATURES_VERSION, flags, container, window.end_ns, window.seconds, window.missing)
    return head + _VALUES.pack(*window.values) + (_VALUES.pack(*window.lasting) if window.lasting else b"")


def _unpacked(key: ProfileKey, body: bytes) -> RateWindow | None:
    """None for a window of other features than this version's."""
    if body[:1] != bytes([FEATURES_VERSION]) or len(body) not in (_HEAD.size + n * _VALUES.size for n in (1, 2)):
        return None
    _, flags, container, end_ns, seconds, missing = _HEAD.unpack_from(body)
    lasting = _VALUES.unpack_from(body, _HEAD.size + _VALUES.size) if len(body) > _HEAD.size + _VALUES.size else ()
    return RateWindow(
        *key,
        container.hex(),
        end_ns,
        seconds,
        _VALUES.unpack_from(body, _HEAD.size),
        missing,
        lossy=bool(flags & _LOSSY),
        anomalous=bool(flags & _ANOMALOUS),
        lasting=lasting,
    )
