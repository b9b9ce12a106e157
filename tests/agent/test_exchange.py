"""What is told of profiles, when, and what becomes of it."""

from typing import Any

import pytest

from agent.exchange import Exchange, ExchangeConfig, Forest
from detection.baseline.decision import Decisions
from detection.baseline.parts import Update
from detection.baseline.profile import Profile, ProfileConfig
from detection.baseline.snapshot import Snapshot

SECOND = 10**9
SLOT = 60 * SECOND


class Bench:
    """An exchange with a collector, and a workload."""

    def __init__(self, **config: Any) -> None:
        self.exchange = Exchange(ExchangeConfig(**config))
        self.exchange.connected(("profiles", "rates"))
        self.now = 10**6 * SLOT
        self.profile = Profile("k8s/shop/deployment/web/web", "v1", ProfileConfig())
        self.profile.witnessed = 1

    def slots(self, count: int, *programs: str) -> None:
        known = self.profile.of("exec")
        for _ in range(count):
            self.now += SLOT
            for program in programs:
                row = known.row(program)
                known.touch(row if row >= 0 else known.take(program, "c", self.now), "c")
            self.profile.alive.add("c")
            self.profile.close_slot(self.now)

    def told(self) -> Update | None:
        self.exchange.offer([self.profile], self.now)
        return self.exchange.next()

    def tell(self) -> Update:
        update = self.told()
        assert update is not None
        self.exchange.acked(update.key, update.number)
        return update


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_new_workload_is_told_at_once_and_changes_follow(bench: Bench) -> None:
    assert bench.tell().base == 0
    bench.slots(40, "/a → /b")
    first = bench.tell()
    assert (first.base, first.snapshot.classes["exec"].units) == (1, 40)
    bench.slots(1, "/a → /b", "/a → /c")
    assert set(bench.tell().snapshot.classes["exec"].members) == {"/a → /b", "/a → /c"}


def test_only_what_changed_is_told_again(bench: Bench) -> None:
    bench.slots(10, *(f"/a → /{i}" for i in range(50)))
    bench.tell()
    bench.slots(10)
    bench.tell()
    bench.slots(10, "/a → /new")
    assert set(bench.tell().snapshot.classes["exec"].members) == {"/a → /new"}


def test_what_only_repeats_is_told_ever_less_often(bench: Bench) -> None:
    updates = 0
    for _ in range(24 * 60):  # a day
        bench.slots(1, "/a → /b")
        if (update := bench.told()) is not None:
            bench.exchange.acked(update.key, update.number)
            updates += 1
    assert updates < 24 + 40  # every hour, and as units grow by an eighth


def test_what_is_not_answered_is_told_again_later(bench: Bench) -> None:
    assert bench.told() is not None
    bench.now += 30 * SECOND
    assert bench.told() is None
    bench.now += 40 * SECOND
    assert bench.told() is None  # given up
    assert bench.exchange.counters()["profiles_unanswered"] == 1
    bench.now += 301 * SECOND
    assert bench.told() is not None


def test_a_collector_that_lost_it_gets_the_whole(bench: Bench) -> None:
    bench.slots(40, "/a → /b")
    bench.tell()
    bench.slots(100)
    update = bench.told()
    assert update is not None
    assert update.base == 1
    bench.exchange.acked(update.key, 0)
    bench.now += 20 * SECOND
    whole = bench.tell()
    assert whole.base == 0
    assert set(whole.snapshot.classes["exec"].members) == {"/a → /b"}


def test_after_a_new_connection_everything_is_announced_again(bench: Bench) -> None:
    bench.slots(40, "/a → /b")
    bench.tell()
    bench.exchange.disconnected()
    bench.now += SLOT
    assert bench.told() is None
    bench.exchange.connected(("profiles",))
    assert bench.tell().base == 1


def test_now_and_then_the_whole_is_told_so_that_what_is_gone_here_goes_there(bench: Bench) -> None:
    bases = []
    for _ in range(70):
        bench.now += 2 * 3600 * SECOND
        bases.append(bench.tell().base)
    assert [place for place, base in enumerate(bases) if base == 0] == [0, 32, 64]


def test_the_hosts_own_profile_stays_at_home(bench: Bench) -> None:
    for name in ("host", "host/db"):
        bench.exchange.offer([Profile(name, "", ProfileConfig())], bench.now)
        assert bench.exchange.next() is None


def test_few_updates_wait_at_a_time() -> None:
    bench = Bench(waiting=3)
    many = [Profile(f"w{i}", "", ProfileConfig()) for i in range(10)]
    told = set()
    for _ in range(4):
        bench.exchange.offer(many, bench.now)
        batch = [update for _ in range(5) if (update := bench.exchange.next()) is not None]
        assert len(batch) <= 3
        told.update(update.key[0] for update in batch)
    assert len(told) == 10


def test_of_what_comes_down_the_newest_counts_and_the_inbox_is_bounded() -> None:
    bench = Bench(inbox=2)
    for number, workload in enumerate(("a", "b", "c", "a"), 1):
        bench.exchange.profile(Update(Snapshot(workload, "", 0, {}), number))
    assert [(u.key[0], u.number) for u in bench.exchange.take_profiles()] == [("a", 4), ("b", 2)]
    assert bench.exchange.take_profiles() == []
    assert bench.exchange.counters()["fleet_inbox_full"] == 1
    bench.exchange.decided(Decisions("a", "", True))
    bench.exchange.forest(Forest("a", "", 1, b"x"))
    assert bench.exchange.take_decisions() == [Decisions("a", "", True)]
    assert bench.exchange.take_forests() == [Forest("a", "", 1, b"x")]


def test_an_answer_about_something_never_told_changes_nothing(bench: Bench) -> None:
    bench.exchange.acked(("never", "told"), 5)
    bench.tell()
    bench.exchange.acked((bench.profile.workload, "v1"), 99)
    bench.now += 7200 * SECOND
    assert bench.tell().base == 1


def test_a_clock_set_back_delays_nothing_and_loses_nothing(bench: Bench) -> None:
    bench.slots(40, "/a → /b")
    bench.tell()
    bench.slots(1, "/a → /b", "/a → /c")
    assert bench.told() is not None  # never answered
    bench.now -= 365 * 86_400 * SECOND
    bench.slots(1, "/a → /d")
    assert bench.told() is None  # given up at once
    bench.now += 301 * SECOND
    whole = bench.tell()
    assert whole.base == 0
    assert set(whole.snapshot.classes["exec"].members) == {"/a → /b", "/a → /c", "/a → /d"}
