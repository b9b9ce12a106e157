"""Keeps what every agent told of every workload, merges it, and knows who is to hear of it.

Sans network: messages come and go through `collector.receive`. Reading and merging happen in a thread of their own,
writing in the store's; the event loop only decides. Nothing here holds members in memory but the newest merges.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from collector.errors import CollectorError
from collector.fleet.link import Link
from collector.metrics import Metrics
from collector.plain import plain
from collector.store.profiles import Head, ProfileKey, ProfileStore
from detection.baseline.decision import DecisionBook, Decisions, approved
from detection.baseline.merge import FleetConfig, inherited, total
from detection.baseline.packing import pack_classes
from detection.baseline.parts import MAX_UPDATE_MEMBERS, Update, clamped
from detection.baseline.snapshot import ClassSnapshot, Snapshot, applied

log = logging.getLogger(__name__)
T = TypeVar("T")

Writer = Callable[[Callable[[], None]], Awaitable[None]]
_GROWTH = 1.25  # units grown by so much are worth telling, if nothing else changed


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """Bounds and pace. `inherit` is the weight of the version before; `keep_days` without news are an agent's end."""

    merge: FleetConfig = field(default_factory=FleetConfig)
    merge_every_s: float = 15.0
    inherit: float = 0.25
    keep_days: int = 90
    max_profiles_per_agent: int = 4096
    max_agents_per_profile: int = 256
    merges_kept: int = 256


class Merged(NamedTuple):
    """A merged profile and the messages that carry it."""

    update: Update
    print: str
    messages: tuple[bytes, ...]


class Fleet:
    """For one event loop. `encode` makes the messages of a merged profile; they are the same for every agent."""

    def __init__(
        self,
        store: ProfileStore,
        write: Writer,
        encode: Callable[[Update], tuple[bytes, ...]],
        metrics: Metrics,
        options: FleetOptions | None = None,
    ) -> None:
        self._store = store
        self._write = write
        self._encode = encode
        self._metrics = metrics
        self._options = options or FleetOptions()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fleet")
        self._lock = asyncio.Lock()
        self._heads: dict[ProfileKey, dict[str, Head]] = {}
        self._versions: dict[str, set[str]] = {}
        self._told: dict[str, int] = {}  # profiles by agent
        self._ordinal = 0
        self._decided: dict[ProfileKey, Decisions] = {}
        self._decided_times = 0
        self._book = DecisionBook()
        self._merged: OrderedDict[ProfileKey, Merged] = OrderedDict()
        self._dirty: set[ProfileKey] = set()
        self._links: set[Link] = set()

    async def restore(self) -> None:
        """Take up what an earlier run stored. Raises: StoreError."""
        self._heads = await self._in_pool(self._store.heads)
        for key, heads in self._heads.items():
            self._versions.setdefault(key[0], set()).add(key[1])
            for agent, head in heads.items():
                self._told[agent] = self._told.get(agent, 0) + 1
                self._ordinal = max(self._ordinal, head.ordinal)
        self._remember(await self._in_pool(self._store.decisions))
        self._metrics.set("fleet_profiles", len(self._heads))

    def close(self) -> None:
        """Let the merging thread go."""
        self._pool.shutdown(cancel_futures=True)

    # -- agents

    def connect(self, agent_id: str) -> Link:
        """An agent is here."""
        link = Link(agent_id, self._options.max_profiles_per_agent)
        self._links.add(link)
        return link

    def disconnect(self, link: Link) -> None:
        """It is gone; what it told stays."""
        self._links.discard(link)

    async def take(self, link: Link, told: Update) -> int:
        """Store what an agent told; the number to confirm, 0 where only the whole would do. Raises: StoreError."""
        async with self._lock:
            head = self._heads.get(told.key, {}).get(link.agent_id)
            follows = head is not None and head.run_id == told.run_id
            if head is not None and follows and told.number <= head.number:
                result, number = "repeated", told.number
            elif told.base and not (head is not None and follows and told.base == head.number):
                result, number = "whole_asked", 0
            elif head is None and not await self._make_room(link.agent_id, told.key):
                result, number = "refused", told.number
            else:
                kept = await self._keep(link.agent_id, told, head)
                result, number = "stored" if kept else "refused", told.number
        self._metrics.count("profiles", result=result)
        if number:
            link.announce(told.key)
        return number

    async def _make_room(self, agent_id: str, key: ProfileKey) -> bool:
        """One agent may not fill the store, and one workload not the merge: there the longest gone makes room."""
        limits = self._options
        if self._told.get(agent_id, 0) >= limits.max_profiles_per_agent:
            return False
        heads = self._heads.get(key, {})
        if len(heads) < limits.max_agents_per_profile:
            return True
        oldest = min(heads, key=lambda agent: heads[agent].seen_ns)
        if heads[oldest].seen_ns > time.time_ns() - int(limits.merge.gone_s * 1e9):
            return False
        await self._write(lambda: self._store.forget(oldest, key))
        del heads[oldest]
        self._told[oldest] -= 1
        return True

    async def _keep(self, agent_id: str, told: Update, head: Head | None) -> bool:
        now_ns = time.time_ns()
        body = await self._in_pool(lambda: self._whole(agent_id, told))
        if body is None:
            return False
        first_ns = head.first_ns if head is not None else now_ns
        fresh = Head(told.run_id, told.number, self._ordinal + 1, now_ns, first_ns)
        await self._write(lambda: self._store.put(agent_id, told.key, fresh, told.snapshot.closed_ns, body))
        self._ordinal += 1
        self._told[agent_id] = self._told.get(agent_id, 0) + (head is None)
        self._heads.setdefault(told.key, {})[agent_id] = fresh
        self._versions.setdefault(told.key[0], set()).add(told.key[1])
        # Later versions inherit from this one.
        self._dirty.update((told.key[0], version) for version in self._versions[told.key[0]])
        self._metrics.set("fleet_profiles", len(self._heads))
        return True

    def _whole(self, agent_id: str, told: Update) -> bytes | None:
        """The profile with these changes, packed. In the pool's thread."""
        shown = told.snapshot
        if told.base:
            before = self._store.share(agent_id, told.key)
            shown = shown if before is None else applied(before, shown)
        if shown.size > MAX_UPDATE_MEMBERS:
            log.warning("agent %s: profile of %s holds %d members, too many", agent_id, plain(told.key[0]), shown.size)
            return None
        return pack_classes({name: clamped(known) for name, known in shown.classes.items()})

    # -- merging

    async def run(self) -> None:
        """Merge what changed and tell who runs it, every `merge_every_s`. Ends only by cancellation."""
        while True:
            await asyncio.sleep(self._options.merge_every_s)
            for key in list(self._dirty):
                if self._is_wanted(key):
                    await self._refresh(key)
                else:
                    self._forget(key)

    async def _refresh(self, key: ProfileKey) -> None:
        before = self._merged.get(key)
        self._forget(key)
        try:
            merged = await self.merged(key)
        except CollectorError as error:
            log.error("profile of %s is not merged: %s", plain(key[0]), error)
            return
        if before is None or before.print != merged.print:
            self.tell(key)

    def _forget(self, key: ProfileKey) -> None:
        self._dirty.discard(key)
        self._merged.pop(key, None)

    def _is_wanted(self, key: ProfileKey) -> bool:
        return any(key in link.runs for link in self._links)

    def tell(self, key: ProfileKey) -> None:
        """There is news about this for every agent that runs it."""
        for link in self._links:
            link.offer(key)

    async def current(self, key: ProfileKey) -> Merged:
        """The same with everything that was told until now. Raises: StoreError."""
        if key in self._dirty:
            await self._refresh(key)
        return await self.merged(key)

    async def merged(self, key: ProfileKey) -> Merged:
        """What all agents showed of one profile, its predecessor included. Raises: StoreError."""
        found = self._merged.get(key)
        if found is None:
            before = self._predecessor(key)
            number = self._ordinal + 1
            with self._metrics.timing("fleet_merge_seconds"):
                found = await self._in_pool(lambda: self._merge(key, before, number))
            self._merged[key] = found
            if len(self._merged) > self._options.merges_kept:
                self._merged.popitem(last=False)
        self._merged.move_to_end(key)
        return found

    def tells_more(self, key: ProfileKey, agent_id: str) -> bool:
        """Whether the merge holds more than what this agent told itself."""
        others = self._heads.get(key, {}).keys() - {agent_id}
        return bool(others) or self._predecessor(key) is not None or self._book.of(*key) is not None

    def _predecessor(self, key: ProfileKey) -> str | None:
        """The version of this workload that appeared last before this one.

        Versions one agent alone tells of do not count where there are others: else it could make predecessors up.
        """
        workload, version = key
        told = {v: self._heads[workload, v] for v in self._versions.get(workload, ()) if self._heads.get((workload, v))}
        own = min((head.first_ns for head in told.pop(version, {}).values()), default=math.inf)
        ages = {v: min(head.first_ns for head in heads.values()) for v, heads in told.items()}
        older = [v for v, age in ages.items() if age < own]
        most = max((len(told[v]) for v in older), default=0)
        real = [v for v in older if len(told[v]) >= min(self._options.merge.agents, most)]
        return max(real, key=lambda v: (ages[v], v)) if real else None

    def _merge(self, key: ProfileKey, before: str | None, number: int) -> Merged:
        """In the pool's thread."""
        agents, classes, closed_ns = self._total(key)
        if before is not None:
            classes = inherited(classes, self._total((key[0], before))[1], self._options.inherit)
        shown = Snapshot(*key, closed_ns, classes)
        update = Update(shown, number, agents=agents, inherited_from=before or "")
        return Merged(update, _fingerprint(classes, self._book.of(*key)), self._encode(update))

    def _total(self, key: ProfileKey) -> tuple[int, dict[str, ClassSnapshot], int]:
        shares = self._store.shares(key)
        decided = self._book.of(*key)
        people = approved(decided) if decided else None
        closed_ns = max((share.snapshot.closed_ns for share in shares.values()), default=0)
        return len(shares), total(shares, self._options.merge, now_ns=time.time_ns(), people=people), closed_ns

    # -- people

    def profiles(self) -> dict[ProfileKey, Mapping[str, Head]]:
        """What there is, by agent."""
        return dict(self._heads)

    def stand(self, key: ProfileKey) -> tuple[int, int]:
        """Changes with everything that is told of a workload, in any version, or decided by people."""
        told = (self._heads.get((key[0], version), {}) for version in self._versions.get(key[0], ()))
        return max((head.ordinal for heads in told for head in heads.values()), default=0), self._decided_times

    def decisions(self) -> list[Decisions]:
        """All that people decided."""
        return list(self._decided.values())

    def decided(self, key: ProfileKey) -> Decisions | None:
        """What holds for one profile."""
        return self._book.of(*key)

    async def decide(self, decided: Iterable[Decisions], who: str) -> int:
        """Take decisions in place of earlier ones, all or none; how many changed anything. Raises: StoreError."""
        news = [one for one in decided if (self._decided.get((one.workload, one.version)) or _nothing(one)) != one]
        if not news:
            return 0
        await self._write(lambda: self._store.decide(news, who))
        self._remember([*({**self._decided, **{(d.workload, d.version): d for d in news}}.values())])
        about = {one.workload for one in news}
        self._metrics.count("decisions", len(news))
        log.info("%s decided about %s", who, ", ".join(sorted(plain(workload) for workload in about))[:500])
        for key in {*self._heads, *(k for link in self._links for k in link.runs)}:
            if key[0] in about:
                self._forget(key)
                self.tell(key)
        return len(news)

    async def trim(self) -> None:
        """Forget agents that were not heard of for the retention. Raises: StoreError."""
        before_ns = time.time_ns() - self._options.keep_days * 86_400 * 10**9
        async with self._lock:
            if not any(head.seen_ns < before_ns for heads in self._heads.values() for head in heads.values()):
                return
            await self._write(lambda: self._trim(before_ns))
            self._heads, self._versions, self._told = {}, {}, {}
            await self.restore()
            self._merged.clear()

    def _trim(self, before_ns: int) -> None:
        self._store.trim(before_ns)

    def _remember(self, decided: Iterable[Decisions]) -> None:
        self._decided_times += 1
        self._decided = {(one.workload, one.version): one for one in decided if one}
        self._book = DecisionBook(self._decided.values())

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _nothing(decided: Decisions) -> Decisions:
    return Decisions(decided.workload, decided.version)


def _fingerprint(classes: Mapping[str, ClassSnapshot], decided: Decisions | None) -> str:
    """Changes with every name, and with units once they have grown by a quarter: what is worth telling."""
    seen = hashlib.sha256(repr(decided).encode("utf-8", "replace"))
    for name, known in sorted(classes.items()):
        bucket = int(math.log(known.units + 1, _GROWTH))
        members = sorted((member, shown.held) for member, shown in known.members.items())
        seen.update(repr((name, bucket, members, sorted(known.condemned))).encode("utf-8", "replace"))
    return seen.hexdigest()
