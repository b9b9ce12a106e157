"""Behaviour of principals in the store: read at start, written in batches, looked up when one comes back."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson

from collector.errors import CollectorError, StoreError
from collector.metrics import Metrics
from collector.principals.state import SourceState
from collector.principals.watch import PrincipalWatch
from collector.store.principals import PrincipalRows, Row
from detection.baseline.conformal import Calibration
from detection.errors import DetectionError
from detection.finding import Source
from detection.principals.profile import Group, PrincipalProfile

log = logging.getLogger(__name__)

Write = Callable[[Callable[[], None]], Awaitable[None]]
_BATCH = 200
_KEEP_NS = 180 * 86_400 * 10**9
_SPLIT = "/"  # between kind and home of a group


class Keeper:
    """`write` runs work in the thread that writes. What is not stored yet is lost with the process: at most
    `every_s` of learning, never a finding: who has one that is not stored waits. Records that come again count once."""

    def __init__(
        self, watch: PrincipalWatch, rows: PrincipalRows, write: Write, metrics: Metrics, every_s: float = 60.0
    ) -> None:
        self._watch = watch
        self._rows = rows
        self._write = write
        self._metrics = metrics
        self._every_s = every_s
        self._beyond = False  # more are stored than memory holds
        watch.find, watch.stored = self._find, True
        metrics.mirror("behaviour", lambda: {(cause,): count for cause, count in watch.counters().items()})

    async def restore(self) -> None:
        """Take up what was stored. Raises: StoreError."""
        limit = self._watch.config.principals
        loaded = [row for kind in ("source", "group", "principal") for row in self._rows.newest(kind, limit)]
        for row in loaded:
            with_state = self._state(row.source)
            if with_state is not None:
                self._take(with_state, row)
        self._beyond = self._rows.count("principal") > limit
        self._gauge()

    async def run(self) -> None:
        """Store what changed, every so often; never returns."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.save()
            except CollectorError as error:
                log.warning("behaviour of principals: %s; trying again later", error)

    async def save(self) -> None:
        """Store what changed. Raises: StoreError; then it is stored next time."""
        for state in self._watch.states.values():
            untold = self._watch.untold(state.source)
            dirty = {name: profile for name, profile in state.dirty.items() if name not in untold}
            state.dirty = {name: profile for name, profile in state.dirty.items() if name in untold}
            state.saving = dirty
            groups, state.dirty_groups = state.dirty_groups, {}
            try:
                await self._save(state, list(_rows_of(state, dirty, groups)), dirty)
            except BaseException:
                state.dirty = {**dirty, **state.dirty}
                state.dirty_groups = {**groups, **state.dirty_groups}
                raise
            finally:
                state.saving = {}
        self._gauge()

    async def trim(self) -> None:
        """Forget principals not heard of for half a year. Raises: StoreError."""
        gone: list[int] = []
        await self._write(lambda: gone.append(self._rows.trim(time.time_ns() - _KEEP_NS)))
        self._metrics.count("trimmed", sum(gone), table="principals")

    async def _save(
        self, state: SourceState, makers: list[Callable[[], Row]], dirty: dict[str, PrincipalProfile]
    ) -> None:
        for start in range(0, len(makers), _BATCH):
            rows = [make() for make in makers[start : start + _BATCH]]
            await self._write(lambda rows=rows: self._rows.put(rows))  # type: ignore[misc]
            await asyncio.sleep(0)
        self._beyond = self._beyond or any(name not in state.profiles for name in dirty)

    def _take(self, state: SourceState, row: Row) -> None:
        try:
            data: Any = orjson.loads(row.body)
            if row.kind == "source":
                state.record = Calibration.from_dict(data["record"], state.budget.window)
                state.hour = int(data["hour"])
                for kind in data["trusted"]:
                    state.trust(str(kind)[:16])
            elif row.kind == "group":
                kind, _, home = row.name.partition(_SPLIT)
                state.groups[kind, home] = Group.from_plain(data)
            else:
                state.put(PrincipalProfile.from_plain(data))
        except (DetectionError, ValueError, KeyError, TypeError) as error:
            self._metrics.count("behaviour_broken")
            log.warning("stored behaviour of a %s is left out: %s", row.kind, str(error)[:200])

    def _state(self, source: str) -> SourceState | None:
        return self._watch.state(Source(source)) if source in {s.value for s in Source} else None

    def _find(self, source: str, name: str) -> PrincipalProfile | None:
        """One that left memory; never asked while memory holds all there are."""
        if not self._beyond:
            return None
        try:
            body = self._rows.find(source, "principal", name)
            return PrincipalProfile.from_plain(orjson.loads(body)) if body else None
        except (StoreError, DetectionError, ValueError) as error:
            self._metrics.count("behaviour_broken")
            log.warning("behaviour of a principal cannot be read, it begins anew: %s", str(error)[:200])
            return None

    def _gauge(self) -> None:
        self._metrics.set("principals", sum(len(state.profiles) for state in self._watch.states.values()))


def _rows_of(
    state: SourceState, dirty: dict[str, PrincipalProfile], groups: dict[tuple[str, str], Group]
) -> Iterator[Callable[[], Row]]:
    """Made when it is their turn: a profile that changes in between is stored as it is then."""
    source, now = state.source.value, time.time_ns()

    def of(kind: str, name: str, plain_of: Callable[[], Any]) -> Callable[[], Row]:
        return lambda: Row(source, kind, name, now, orjson.dumps(plain_of()))

    for name, profile in dirty.items():
        yield of("principal", name, profile.to_plain)
    for key, group in groups.items():
        yield of("group", _SPLIT.join(key), group.to_plain)
    if dirty or groups:
        yield of("source", "", state.about)
