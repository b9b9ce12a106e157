"""Takes windows from agents, keeps a sample of each workload's, trains when enough is new, and says so.

For one event loop. Training and reading happen in a thread of their own, writing in the store's.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from collector.errors import StoreError
from collector.metrics import Metrics
from collector.plain import plain
from collector.store.profiles import ProfileKey
from collector.store.rates import ForestBlob, RateHead, RateStore
from collector.train.forest import TrainConfig, train
from detection.rates.codec import model_bytes
from detection.rates.window import RateWindow

log = logging.getLogger(__name__)
T = TypeVar("T")

Writer = Callable[[Callable[[], None]], Awaitable[None]]
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class RateOptions:
    """`sample`: windows kept of a workload and version; once it is full a new one takes the place of any, so that the
    chance to be kept fades with age. Trained again when `renew` of those learned from are new. What waits to be written
    is lost if the collector is killed: at most `every_s` of it.
    """

    train: TrainConfig = field(default_factory=TrainConfig)
    sample: int = 2048
    renew: float = 0.25
    every_s: float = 15.0
    max_workloads: int = 2000
    max_pending: int = 65_536
    keep_days: int = 30


@dataclass(slots=True)
class _Containers:
    """When each container was last heard of, to know how many there are at a time."""

    last: dict[str, tuple[int, float]] = field(default_factory=dict)

    def note(self, window: RateWindow) -> None:
        self.last[window.container_id] = (window.end_ns, window.seconds)

    def count(self) -> int:
        """Those heard of within three windows of the newest."""
        newest, seconds = max(self.last.values(), default=(0, 0.0))
        self.last = {c: v for c, v in self.last.items() if newest - v[0] <= 3e9 * seconds}
        return len(self.last)


class Trainer:
    """`restore` before anything else; `run` until cancelled, then `close`."""

    def __init__(self, store: RateStore, write: Writer, metrics: Metrics, options: RateOptions | None = None) -> None:
        self._store, self._write, self._metrics = store, write, metrics
        self._options = options or RateOptions()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="train")
        self._heads: dict[ProfileKey, RateHead] = {}
        self._pending: dict[ProfileKey, list[RateWindow]] = {}
        self._waiting = 0
        self._containers: dict[ProfileKey, _Containers] = {}
        self._listeners: list[Callable[[ProfileKey], None]] = []
        self._random = random.Random()  # noqa: S311  (a sample, not a secret)

    async def restore(self) -> None:
        """Take up what an earlier run stored. Raises: StoreError."""
        self._heads = await self._in_pool(self._store.heads)
        self._tell_counts()

    def listen(self, callback: Callable[[ProfileKey], None]) -> None:
        """Call this, on the loop, with the key of every workload that has a new forest."""
        self._listeners.append(callback)

    def newest(self, key: ProfileKey) -> int:
        """Revision of the newest forest; 0 where there is none."""
        head = self._heads.get(key)
        return head.revision if head is not None else 0

    async def forest(self, key: ProfileKey) -> ForestBlob | None:
        """The newest forest. Raises: StoreError."""
        return await self._in_pool(lambda: self._store.forest(key)) if self.newest(key) else None

    async def add(self, agent_id: str, windows: Iterable[RateWindow]) -> None:
        """Take windows an agent sent; what finds no room is counted."""
        for window in windows:
            key = (window.workload, window.version)
            if self._waiting >= self._options.max_pending or not self._has_room(key):
                self._metrics.count("rate_windows", result="refused")
                continue
            self._pending.setdefault(key, []).append(window)
            self._containers.setdefault(key, _Containers()).note(window)
            self._waiting += 1
            result = "lossy" if window.lossy else "anomalous" if window.anomalous else "sound"
            self._metrics.count("rate_windows", result=result)

    def _has_room(self, key: ProfileKey) -> bool:
        known = key in self._heads or key in self._pending
        return known or len(self._heads) + len(self._pending) < self._options.max_workloads

    async def run(self) -> None:
        """Write and train every `every_s`. Ends only by cancellation."""
        while True:
            await asyncio.sleep(self._options.every_s)
            try:
                await self.work()
            except StoreError as error:
                log.error("rates: %s; trying again in %.0f s", error, self._options.every_s)

    async def work(self) -> None:
        """Write what came, then train what is due. Raises: StoreError."""
        while self._pending:
            key = next(iter(self._pending))
            windows = self._pending.pop(key)  # what comes while these are written waits for the next turn
            try:
                await self._place(key, windows)
            except StoreError:
                self._pending[key] = windows + self._pending.get(key, [])
                raise
            self._waiting -= len(windows)
        for key, head in list(self._heads.items()):
            if self._is_due(head):
                await self._train(key, head)
        self._tell_counts()

    async def _place(self, key: ProfileKey, windows: list[RateWindow]) -> None:
        head, sample = self._heads.get(key, RateHead()), self._options.sample
        numbered = enumerate(windows, head.taken)
        placed = [(n if n < sample else self._random.randrange(sample), window) for n, window in numbered]
        head = replace(head, taken=head.taken + len(windows), seen_ns=time.time_ns())
        await self._write(lambda: self._store.put(key, head, placed))
        self._heads[key] = head

    def _is_due(self, head: RateHead) -> bool:
        config = self._options
        kept = min(head.learned, config.sample)
        return head.taken - head.learned >= max(config.train.windows if not head.revision else 1, config.renew * kept)

    async def _train(self, key: ProfileKey, head: RateHead) -> None:
        seen = self._containers.get(key)
        containers, revision = seen.count() if seen is not None else 0, head.revision + 1
        body = await self._in_pool(lambda: self._learn(key, revision, containers))
        head = replace(self._heads[key], learned=head.taken, revision=revision if body else head.revision)
        await self._write(lambda: self._store.keep(key, head, body))
        self._heads[key] = head
        self._metrics.count("rate_trainings", result="trained" if body else "too_few")
        for told in self._listeners if body else ():
            told(key)

    def _learn(self, key: ProfileKey, revision: int, containers: int) -> bytes | None:
        """In the pool's thread."""
        windows, started = self._store.windows(key), time.perf_counter()
        model = train(windows, self._options.train, revision, containers=containers)
        self._metrics.observe("rate_training_seconds", time.perf_counter() - started)
        if model is not None:
            log.info("rates of %s: forest %d from %d windows", plain(model.workload), revision, model.windows)
        return model_bytes(model) if model is not None else None

    async def trim(self) -> None:
        """Forget workloads nobody runs any more. Raises: StoreError."""
        before_ns = time.time_ns() - self._options.keep_days * _DAY_NS
        gone = [key for key, head in self._heads.items() if head.seen_ns < before_ns]
        if gone:
            await self._write(lambda: self._trim(before_ns))
        for key in gone:
            del self._heads[key]
            self._containers.pop(key, None)

    def _trim(self, before_ns: int) -> None:
        self._store.trim(before_ns)

    def close(self) -> None:
        """Let the training thread go."""
        self._pool.shutdown(cancel_futures=True)

    def _tell_counts(self) -> None:
        self._metrics.set("rate_forests", sum(head.revision > 0 for head in self._heads.values()))

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
