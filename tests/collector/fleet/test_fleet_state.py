"""The fleet without a network: what is stored, who is its predecessor, when it is told, what goes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from collector.fleet import Fleet, FleetOptions
from collector.metrics import Metrics
from collector.store.profiles import ProfileStore
from collector.store.store import Store
from detection.baseline.decision import Decisions
from detection.baseline.merge import FleetConfig
from detection.baseline.parts import Update
from detection.baseline.snapshot import ClassSnapshot, Shown, Snapshot, Window

DAY_NS = 86_400 * 10**9
CGI, SHELL = "/bin/httpd → /bin/cgi", "/bin/httpd → /bin/sh"


def told(
    *members: str, version: str = "v1", number: int = 1, base: int = 0, units: int = 100, run: str = "r"
) -> Update:
    windows = (Window(8, 1), Window(8, 0), Window(16, 0), Window(32, 0), Window(64, 0), Window(max(units - 128, 0), 0))
    known = ClassSnapshot(windows, {m: Shown(9, 50, 1, time.time_ns()) for m in members}, instances=1)
    return Update(Snapshot("w", version, 5, {"exec": known}), number, base, run)


class Bench:
    """A fleet over a store on disk."""

    def __init__(self, path: Path, options: FleetOptions | None = None) -> None:
        self.store = Store(str(path / "c.db"))
        self.metrics = Metrics()
        self.fleet = Fleet(ProfileStore(self.store), self.write, lambda update: (b"m",), self.metrics, options)

    async def write(self, work: Callable[[], None]) -> None:
        work()

    async def tell(self, agent: str, update: Update) -> int:
        return await self.fleet.take(self.fleet.connect(agent), update)

    async def known(self, version: str = "v1") -> set[str]:
        merged = (await self.fleet.current(("w", version))).update.snapshot.classes["exec"]
        return {name for name, shown in merged.members.items() if not shown.held}

    def close(self) -> None:
        self.fleet.close()
        self.store.close()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    def go(story: Callable[[Bench], Awaitable[None]], options: FleetOptions | None = None) -> None:
        async def whole() -> None:
            bench = Bench(tmp_path, options)
            await bench.fleet.restore()
            try:
                await story(bench)
            finally:
                bench.close()

        asyncio.run(whole())

    return go


def test_changes_need_the_base_they_build_on(run: Callable[..., None]) -> None:
    async def story(bench: Bench) -> None:
        assert await bench.tell("n1", told(CGI, number=1)) == 1
        assert await bench.tell("n1", told(SHELL, number=2, base=1)) == 2
        assert await bench.known() == {CGI, SHELL}
        assert await bench.tell("n1", told(SHELL, number=2, base=1)) == 2  # told again
        assert await bench.tell("n1", told(SHELL, number=5, base=4)) == 0
        assert await bench.tell("n1", told(SHELL, number=2, base=1, run="another")) == 0
        assert await bench.tell("n1", told(CGI, number=1, run="another")) == 1
        assert await bench.known() == {CGI}
        results = {
            r: bench.metrics.value("vedette_collector_profiles_total", result=r)
            for r in ("stored", "repeated", "whole_asked")
        }
        assert results == {"stored": 3, "repeated": 1, "whole_asked": 2}

    run(story)


def test_what_was_told_and_decided_survives_a_restart(run: Callable[..., None]) -> None:
    async def before(bench: Bench) -> None:
        for agent in ("n1", "n2"):
            await bench.tell(agent, told(CGI))
        await bench.fleet.decide([Decisions("w", "", True)], "admin anna")

    async def after(bench: Bench) -> None:
        assert await bench.known() == {CGI}
        assert bench.fleet.decided(("w", "v1")) == Decisions("w", "v1", True)
        assert await bench.tell("n1", told(SHELL, number=2, base=1)) == 2

    run(before)
    run(after)


def test_an_agent_is_told_once_and_again_when_something_changed(run: Callable[..., None]) -> None:
    async def story(bench: Bench) -> None:
        link = bench.fleet.connect("n1")
        await bench.fleet.take(link, told(CGI))
        assert await asyncio.wait_for(link.next(), 1) == ("w", "v1")
        work = asyncio.create_task(bench.fleet.run())
        await bench.fleet.merged(("w", "v1"))
        await bench.tell("n2", told(CGI, SHELL))
        assert await asyncio.wait_for(link.next(), 5) == ("w", "v1")
        await bench.tell("n2", told(number=2, base=1, units=101))  # nothing worth telling
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.next(), 0.3)
        work.cancel()

    run(story, FleetOptions(merge_every_s=0.02))


def test_the_predecessor_is_the_version_before_and_none_that_one_agent_made_up(run: Callable[..., None]) -> None:
    async def story(bench: Bench) -> None:
        for agent in ("n1", "n2"):
            await bench.tell(agent, told(CGI))
        await bench.tell("evil", told(SHELL, version="made up"))
        await bench.tell("n1", told(version="v2", units=128))
        assert (await bench.fleet.current(("w", "v2"))).update.inherited_from == "v1"
        assert await bench.known("v2") == {CGI}
        assert (await bench.fleet.current(("w", "v1"))).update.inherited_from == ""

    run(story)


def test_one_agent_may_not_fill_the_store_nor_one_workload_the_merge(run: Callable[..., None]) -> None:
    async def story(bench: Bench) -> None:
        for number in range(5):
            await bench.tell("greedy", told(CGI, version=f"v{number}"))
        for agent in ("a", "b", "c"):
            await bench.tell(agent, told(CGI, version="v0"))
        assert bench.metrics.value("vedette_collector_profiles_total", result="stored") == 5
        assert bench.metrics.value("vedette_collector_profiles_total", result="refused") == 3

    run(story, FleetOptions(max_profiles_per_agent=3, max_agents_per_profile=3))


def test_the_longest_gone_makes_room(run: Callable[..., None]) -> None:
    async def story(bench: Bench) -> None:
        for agent in ("a", "b", "c"):
            await bench.tell(agent, told(CGI))
        assert set(bench.fleet.profiles()["w", "v1"]) == {"b", "c"}

    run(story, FleetOptions(max_agents_per_profile=2, merge=FleetConfig(gone_s=0.0)))


def test_what_was_not_heard_of_for_the_retention_goes(run: Callable[..., None]) -> None:
    async def story(bench: Bench) -> None:
        await bench.tell("n1", told(CGI))
        await bench.fleet.trim()
        assert bench.fleet.profiles() != {}

    async def later(bench: Bench) -> None:
        await bench.fleet.trim()
        assert bench.fleet.profiles() == {}
        assert ProfileStore(bench.store).counts() == {"profiles": 0, "decisions": 0}

    run(story)
    run(later, FleetOptions(keep_days=0))
