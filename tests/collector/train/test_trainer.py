"""The trainer keeps a bounded sample, trains when enough is new, and keeps its forests over a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector.errors import StoreError
from collector.metrics import Metrics
from collector.store.rates import RateStore
from collector.store.store import Store
from collector.train import RateOptions, Trainer
from collector.train.forest import TrainConfig, train
from detection.rates.codec import model_from
from detection.rates.features import COUNT, INDEX
from detection.rates.window import RateWindow

KEY = ("container/web", "sha256:1")


def window(n: int, container: str = "c1", **changes: Any) -> RateWindow:
    values = tuple(np.random.default_rng(n).normal(3.0, 0.1, COUNT))
    return replace(RateWindow(*KEY, container, 10**18 + n * 60 * 10**9, 60.0, values, lasting=values), **changes)


async def write(work: Callable[[], None]) -> None:
    work()


def trainer_on(path: Path, **options: Any) -> Trainer:
    return Trainer(
        RateStore(Store(str(path))), write, Metrics(), RateOptions(TrainConfig(windows=60, trees=16), **options)
    )


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_no_forest_before_enough_windows_then_one_and_its_listeners_hear(tmp_path: Path) -> None:
    async def story() -> None:
        trainer = trainer_on(tmp_path / "db")
        told: list[tuple[str, str]] = []
        trainer.listen(told.append)
        await trainer.restore()
        await trainer.add("a", [window(n) for n in range(59)])
        await trainer.work()
        assert (trainer.newest(KEY), told, await trainer.forest(KEY)) == (0, [], None)
        await trainer.add("a", [window(59)])
        await trainer.work()
        assert (trainer.newest(KEY), told) == (1, [KEY])
        blob = await trainer.forest(KEY)
        assert blob is not None
        assert (model_from(blob.body).windows, blob.revision) == (60, 1)
        await trainer.add("a", [window(n) for n in range(60, 74)])
        await trainer.work()
        assert trainer.newest(KEY) == 1
        await trainer.add("a", [window(74)])
        await trainer.work()
        assert trainer.newest(KEY) == 2
        trainer.close()

    run(story)


def test_windows_that_come_while_others_are_written_are_kept(tmp_path: Path) -> None:
    async def story() -> None:
        store = RateStore(Store(str(tmp_path / "db")))

        async def slowly(work: Callable[[], None]) -> None:
            if not late.empty():
                await trainer.add("a", [late.get_nowait()])
            work()

        late: asyncio.Queue[RateWindow] = asyncio.Queue()
        late.put_nowait(window(1))
        trainer = Trainer(store, slowly, Metrics())
        await trainer.add("a", [window(0)])
        await trainer.work()
        assert len(store.windows(KEY)) == 2
        trainer.close()

    run(story)


def test_windows_that_could_not_be_written_are_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        store = RateStore(Store(str(tmp_path / "db")))
        full = [True]

        async def failing(work: Callable[[], None]) -> None:
            if full.pop() if full else False:
                raise StoreError("disk full")
            work()

        trainer = Trainer(store, failing, Metrics())
        await trainer.add("a", [window(0), window(1)])
        with pytest.raises(StoreError):
            await trainer.work()
        await trainer.work()
        assert len(store.windows(KEY)) == 2
        trainer.close()

    run(story)


def test_forests_and_windows_outlive_the_collector(tmp_path: Path) -> None:
    async def story() -> None:
        first = trainer_on(tmp_path / "db")
        await first.restore()
        await first.add("a", [window(n) for n in range(60)])
        await first.work()
        blob = await first.forest(KEY)
        first.close()
        second = trainer_on(tmp_path / "db")
        await second.restore()
        assert (second.newest(KEY), await second.forest(KEY)) == (1, blob)
        await second.add("a", [window(n) for n in range(60, 80)])
        await second.work()
        renewed = await second.forest(KEY)
        assert renewed is not None
        assert model_from(renewed.body).windows == 80
        second.close()

    run(story)


def test_the_sample_is_bounded_and_new_windows_push_out_old_ones(tmp_path: Path) -> None:
    async def story() -> None:
        store = RateStore(Store(str(tmp_path / "db")))
        trainer = Trainer(store, write, Metrics(), RateOptions(TrainConfig(trees=2), sample=100))
        for start in range(0, 1000, 50):
            await trainer.add("a", [window(n) for n in range(start, start + 50)])
            await trainer.work()
        kept = sorted(round((w.end_ns - 10**18) / 60e9) for w in store.windows(KEY))
        assert len(kept) == 100
        assert np.mean(kept) > 800
        trainer.close()

    run(story)


def test_too_many_workloads_and_too_many_windows_are_refused_and_counted(tmp_path: Path) -> None:
    async def story() -> None:
        metrics = Metrics()
        trainer = Trainer(
            RateStore(Store(str(tmp_path / "db"))), write, metrics, RateOptions(max_workloads=2, max_pending=4)
        )
        await trainer.add("a", [window(1, workload=f"w{n}") for n in range(5)])
        assert metrics.value("vedette_collector_rate_windows_total", result="refused") == 3
        await trainer.add("a", [window(n, workload="w0") for n in range(5)])
        assert metrics.value("vedette_collector_rate_windows_total", result="refused") == 6
        trainer.close()

    run(story)


def test_workloads_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        trainer = trainer_on(tmp_path / "db", keep_days=0)
        await trainer.add("a", [window(n) for n in range(60)])
        await trainer.work()
        await trainer.trim()
        assert trainer.newest(KEY) == 0
        again = trainer_on(tmp_path / "db")
        await again.restore()
        assert again.newest(KEY) == 0
        for one in (trainer, again):
            one.close()

    run(story)


def test_windows_come_back_from_the_store_as_they_were(tmp_path: Path) -> None:
    store = RateStore(Store(str(tmp_path / "db")))
    trainer = Trainer(store, write, Metrics())
    sent = [window(1, lossy=True), window(2, anomalous=True, missing=5), window(3, lasting=())]
    run(lambda: trainer.add("a", sent))
    run(trainer.work)
    for before, after in zip(sent, sorted(store.windows(KEY), key=lambda w: w.end_ns), strict=True):
        assert np.allclose(before.values, after.values, atol=1e-6)
        assert len(before.lasting) == len(after.lasting)
        assert replace(before, container_id="", values=(), lasting=()) == replace(
            after, container_id="", values=(), lasting=()
        )
    trainer.close()


CONFIG = TrainConfig(windows=20)


def test_lossy_and_reported_windows_teach_nothing() -> None:
    sound = [window(n) for n in range(20)]
    spoilt = [window(100, lossy=True), window(101, anomalous=True)]
    model = train([*sound, *spoilt], CONFIG)
    assert model is not None
    assert model.windows == 20
    assert train([*sound[1:], *spoilt], CONFIG) is None


@pytest.mark.parametrize(("reported", "learned"), [(1, 0), (2, 30), (3, 30)])
def test_what_most_of_three_containers_show_is_a_change_and_is_learned(reported: int, learned: int) -> None:
    sound = [window(n, f"c{n % 3}") for n in range(30)]
    high = [window(n, f"c{c}", anomalous=c < reported) for n in range(90, 120) for c in range(3)]
    model = train([*sound, *high], CONFIG)
    assert model is not None
    assert model.windows == 30 + 30 * (3 - reported) + (30 * reported if learned else 0)


def test_a_feature_most_windows_lack_is_left_out_and_a_window_lacking_another_too() -> None:
    bytes_in, cpu = 1 << INDEX["bytes_in"], 1 << INDEX["cpu"]
    windows = [window(n, missing=bytes_in) for n in range(30)] + [
        window(n, missing=bytes_in | cpu) for n in range(30, 35)
    ]
    model = train(windows, CONFIG)
    assert model is not None
    assert (model.windows, model.missing) == (30, bytes_in)
    assert model.summaries[INDEX["bytes_in"]].largest == 0.0


def test_containers_at_a_time_are_told_from_the_windows_where_nobody_counted_them() -> None:
    three = train([window(n, f"c{c}") for n in range(30) for c in range(3)], CONFIG)
    replaced = train([window(n, f"c{n}") for n in range(90)], CONFIG)
    assert three is not None
    assert replaced is not None
    assert (three.containers, replaced.containers) == (3, 1)
