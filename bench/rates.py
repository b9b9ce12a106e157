"""What rates cost in false alarms, and what they find: workloads made by known laws, a week watched after learning.

`python -m bench.rates [RUNS]` prints one row for each kind of workload and length of learning.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from collector.train.forest import TrainConfig, train
from detection.finding import Severity
from detection.rates.features import COUNT, LASTING, vector
from detection.rates.judge import judge
from detection.rates.model import RateModel
from detection.rates.window import RateWindow

SECONDS, WEEK = 60.0, 10_080
QUIET = 3  # windows that end an episode, as agent/rates/config.py has it
LEARNED = (120, 240, 1440, 10_080)
Raw = Mapping[str, float]
Random = np.random.Generator

ATTACKS: Mapping[str, Raw] = {
    "miner": {"cpu": 0.95},
    "scan": {"connects": 2000, "connect_failures": 1900, "peers": 250, "failed_share": 0.9},
    "leak": {"bytes_out": 5e6, "bytes_in": 1e5},
    "encrypt": {"write_opens": 600, "files_written": 600, "moves": 600, "disk_written": 3e6, "name_entropy": 3.6},
}


def steady(rng: Random, count: int) -> list[Raw]:
    """A server under even load."""
    return [
        {
            "connects": rng.poisson(30),
            "peers": 3,
            "bytes_in": rng.lognormal(9, 0.4),
            "bytes_out": rng.lognormal(10, 0.5),
            "cpu": rng.lognormal(-3, 0.3),
            "write_opens": rng.poisson(4),
            "files_written": 1 + rng.poisson(1),
            "disk_written": rng.lognormal(8, 1),
            "dns_questions": rng.poisson(2),
        }
        for _ in range(count)
    ]


def idle(rng: Random, count: int) -> list[Raw]:
    """Next to nothing, and a probe now and then."""
    probe = {"execs": 3, "forks": 3, "programs": 2, "write_opens": 2, "files_written": 1}
    return [{"cpu": rng.lognormal(-7, 0.5), **(probe if rng.random() < 0.02 else {})} for _ in range(count)]


def _loaded(rng: Random, load: float) -> Raw:
    return {
        "connects": rng.poisson(load),
        "peers": min(50, rng.poisson(load / 3)),
        "bytes_in": load * 900 * rng.lognormal(0, 0.5),
        "bytes_out": load * 3000 * rng.lognormal(0, 0.7),
        "cpu": load * 0.004 * rng.lognormal(0, 0.2),
        "execs": rng.poisson(0.2 * load),
        "forks": rng.poisson(0.3 * load),
        "programs": 2,
        "write_opens": rng.poisson(load / 5),
    }


def restless(rng: Random, count: int) -> list[Raw]:
    """A load that wanders over two decades, slowly: neighbours resemble each other."""
    level, made = 0.0, []
    for _ in range(count):
        level = 0.9 * level + 0.4 * rng.normal()
        made.append(_loaded(rng, 20 * np.exp(level)))
    return made


def daily(rng: Random, count: int) -> list[Raw]:
    """Nights and days, eleven times as much at noon as at midnight, where learning may begin."""
    waves = 1.2 - np.cos(np.arange(count) / 1440 * 2 * np.pi)
    return [_loaded(rng, 10 * wave * rng.lognormal(0, 0.3)) for wave in waves]


def hourly(rng: Random, count: int) -> list[Raw]:
    """Quiet, and a heavy job once an hour."""
    return [
        {
            "cpu": 0.6 * rng.lognormal(0, 0.2),
            "execs": rng.poisson(40),
            "forks": rng.poisson(60),
            "programs": 12,
            "disk_read": rng.lognormal(15, 0.5),
            "write_opens": rng.poisson(30),
            "files_written": 20,
        }
        if n % 60 == 59
        else {"cpu": 0.005 * rng.lognormal(0, 0.2)}
        for n in range(count)
    ]


KINDS: tuple[Callable[[Random, int], list[Raw]], ...] = (steady, idle, restless, daily, hourly)


def windows(raws: Sequence[Raw]) -> list[RateWindow]:
    """With the mean of the last ten in each."""
    values = [vector(raw)[0] for raw in raws]
    means = np.cumsum(np.array([(0.0,) * COUNT, *values]), axis=0)
    return [
        RateWindow(
            *("w", "", "c"),
            10**18 + int(n * SECONDS * 1e9),
            SECONDS,
            values[n],
            lasting=tuple((means[n + 1] - means[n + 1 - LASTING]) / LASTING) if n >= LASTING - 1 else (),
        )
        for n in range(len(raws))
    ]


def false_alarms(model: RateModel, week: list[RateWindow]) -> int:
    """Episodes in a week in which nothing was wrong."""
    episodes, quiet = 0, QUIET
    for window in week:
        if judge(model, window, 1.0).severity is None:
            quiet += 1
            continue
        episodes += quiet >= QUIET
        quiet = 0
    return episodes


def found(model: RateModel, raws: list[Raw], attack: Raw) -> Severity | None:
    """How loud the attack is after ten windows on top of what the workload did."""
    on_top = [{**raw, **{name: max(raw.get(name, 0.0), value) for name, value in attack.items()}} for raw in raws]
    return judge(model, windows(on_top)[-1], 1.0).severity


def row(kind: Callable[[Random, int], list[Raw]], learned: int, runs: int) -> str:
    """One row of the report."""
    alarms, seconds, loud = 0, 0.0, dict.fromkeys(ATTACKS, 0)
    for run in range(runs):
        raws = kind(np.random.default_rng(run), learned + WEEK)
        every = windows(raws)
        started = time.perf_counter()
        model = train(every[:learned], TrainConfig())
        seconds += time.perf_counter() - started
        assert model is not None
        alarms += false_alarms(model, every[learned:])
        for name, attack in ATTACKS.items():
            severity = found(model, raws[-LASTING:], attack)
            loud[name] += severity is not None and severity >= Severity.MEDIUM
    shown = " ".join(f"{name} {count}/{runs}" for name, count in loud.items())
    return f"{kind.__name__:9} {learned:6} {alarms / runs:6.2f} {seconds / runs:6.2f}  {shown}"


def main(runs: int) -> None:
    """Print the report."""
    print("workload  learned false/week train/s  found at medium or higher")
    for kind in KINDS:
        for learned in LEARNED:
            print(row(kind, learned, runs), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
