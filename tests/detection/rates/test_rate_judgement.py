"""Tails, thresholds, reasons, and the bytes a model travels as."""

from dataclasses import replace
from math import log

import numpy as np
import orjson
import pytest

from collector.train.forest import TrainConfig, train
from detection.errors import ForestError
from detection.finding import Severity
from detection.rates.codec import model_bytes, model_from
from detection.rates.entropy import mean_entropy
from detection.rates.features import COUNT, FEATURES, INDEX, shown, vector
from detection.rates.judge import Against, judge
from detection.rates.model import RateModel
from detection.rates.tail import tail_of
from detection.rates.window import RateWindow

SECONDS = 60.0


def windows(seed: int, count: int) -> list[RateWindow]:
    """A small server's: connections, traffic, some CPU and files."""
    rng, made = np.random.default_rng(seed), []
    for n in range(count):
        raw = {
            "connects": rng.poisson(30),
            "peers": 3,
            "bytes_in": rng.lognormal(9, 0.4),
            "bytes_out": rng.lognormal(10, 0.5),
            "cpu": rng.lognormal(-3, 0.3),
            "write_opens": rng.poisson(4),
            "files_written": 1 + rng.poisson(1),
        }
        values, missing = vector(raw, {"disk_read"})
        made.append(RateWindow("w", "", "c", 10**18 + int(n * SECONDS * 1e9), SECONDS, values, missing))
    return [
        replace(w, lasting=tuple(np.mean([v.values for v in made[n - 9 : n + 1]], axis=0)) if n > 8 else ())
        for n, w in enumerate(made)
    ]


@pytest.fixture(scope="module")
def model() -> RateModel:
    found = train(windows(1, 600), TrainConfig())
    assert found is not None
    return found


def with_values(window: RateWindow, **raw: float) -> RateWindow:
    values = list(window.values)
    for name, value in raw.items():
        values[INDEX[name]] = vector({name: value})[0][INDEX[name]]
    return replace(window, values=tuple(values), lasting=())


@pytest.mark.parametrize("excess", [0.05, 1.0, 20.0])
def test_the_tail_promises_what_it_keeps_for_exponential_excess(excess: float) -> None:
    """The share of next values with p ≤ 1 % is 1 %, over many samples, whatever the scale (floor out of the way)."""
    rng, below = np.random.default_rng(3), 0
    for _ in range(4000):
        values = rng.exponential(excess, 101)
        below += tail_of(values[:100], 1e-9).p(float(values[100])) <= 0.01
    assert 0.007 < below / 4000 < 0.013


@pytest.mark.parametrize("shape", ["normal", "uniform", "poisson", "steps"])
def test_the_tail_is_on_the_safe_side_for_lighter_ones(shape: str) -> None:
    rng, below = np.random.default_rng(4), 0
    for _ in range(4000):
        values = {
            "normal": lambda: rng.normal(0, 1, 101),
            "uniform": lambda: rng.random(101),
            "poisson": lambda: rng.poisson(3, 101).astype(float),
            "steps": lambda: rng.integers(0, 3, 101).astype(float),
        }[shape]()
        below += tail_of(values[:100], 1e-9).p(float(values[100])) <= 0.01
    assert below / 4000 <= 0.012


def test_few_values_make_a_heavy_tail_and_a_constant_one_is_as_wide_as_its_floor() -> None:
    few, many = tail_of(np.zeros(60), 0.25), tail_of(np.zeros(6000), 0.25)
    assert few.p(0.0) == 1.0
    assert few.p(3.0) > 100 * many.p(3.0)
    assert log(many.p(3.0)) == pytest.approx(log(601 / 6001) - 3.0 / 0.25, rel=0.02)


def test_windows_like_those_learned_raise_nothing(model: RateModel) -> None:
    assert [w for w in windows(2, 3000) if judge(model, w, 1.0).severity is not None] == []


@pytest.mark.parametrize(
    ("raw", "technique"),
    [
        ({"cpu": 3.9}, "T1496"),
        ({"connects": 3000, "connect_failures": 2900, "peers": 250, "failed_share": 0.95}, "T1046"),
        ({"bytes_out": 20e6}, "T1048"),
        ({"write_opens": 900, "files_written": 900, "moves": 900, "name_entropy": 3.6}, "T1486"),
        ({"dns_questions": 900, "dns_entropy": 4.1}, "T1071.004"),
    ],
)
def test_what_is_far_out_is_high_and_named(model: RateModel, raw: dict[str, float], technique: str) -> None:
    verdict = judge(model, with_values(windows(2, 20)[-1], **raw), 1.0)
    assert verdict.severity is Severity.HIGH
    assert {s.name for s in verdict.standout} <= set(raw)
    assert verdict.techniques[0].id == technique
    assert "never so" in verdict.reasons[0]
    assert "Learned from 600 windows of 60 s of 1 container" in " ".join(verdict.reasons)


def test_cpu_time_is_a_miner_only_where_it_stands_out_most(model: RateModel) -> None:
    window = windows(2, 20)[-1]
    scan = judge(model, with_values(window, connect_failures=30_000, failed_share=1.0, cpu=0.9), 1.0)
    assert {s.name for s in scan.standout} >= {"cpu", "connect_failures"}
    assert [t.id for t in scan.techniques] == ["T1046"]


def test_a_load_that_lasts_stands_out_where_each_window_alone_does_not(model: RateModel) -> None:
    one = with_values(windows(2, 20)[-1], cpu=0.42)
    assert judge(model, one, 1.0).severity is None
    verdict = judge(model, replace(one, lasting=one.values), 1.0)
    assert verdict.severity is not None
    assert verdict.standout[0].against is Against.LASTING
    assert "over the last 10 windows" in verdict.reasons[0]


def test_the_budget_sets_the_threshold_and_replicas_share_it(model: RateModel) -> None:
    assert model.threshold(1.0) == pytest.approx(1 / 10080)
    assert replace(model, containers=10).threshold(1.0) == pytest.approx(1 / 100800)
    assert model.threshold(1e9) == 1.0
    window = with_values(windows(2, 20)[-1], cpu=1.2)
    severities = [judge(model, window, budget).severity for budget in (1e-6, 1.0, 1e6)]
    assert severities[0] is None
    assert severities[2] is Severity.HIGH


def test_a_feature_that_could_not_be_had_says_nothing(model: RateModel) -> None:
    window = with_values(windows(2, 20)[-1], cpu=50.0, disk_read=1e12)
    assert judge(model, replace(window, missing=1 << INDEX["cpu"]), 1.0).severity is None


def test_a_mixture_of_usual_rates_is_low_and_says_so(model: RateModel) -> None:
    verdict = judge(replace(model, scores=replace(model.scores, start=-1.0, excess=1e-3)), windows(2, 20)[-1], 1.0)
    usual = tuple(replace(s, high=99.0, largest=99.0) for s in model.summaries)
    odd = replace(model, scores=replace(model.scores, start=-1.0, excess=1e-3), summaries=usual, lasting=())
    verdict = judge(odd, windows(2, 20)[-1], 1.0)
    assert verdict.severity is Severity.LOW
    assert "this combination" in verdict.reasons[0]


def test_a_model_comes_back_from_bytes_and_judges_alike(model: RateModel) -> None:
    again = model_from(model_bytes(model))
    for window in [*windows(5, 20), with_values(windows(2, 20)[-1], cpu=3.0)]:
        assert judge(again, window, 1.0) == judge(model, window, 1.0)


def test_a_forest_takes_a_few_hundred_kilobytes_at_most(model: RateModel) -> None:
    assert len(model_bytes(model)) < 300_000


def test_broken_bytes_are_refused_whatever_is_broken(model: RateModel) -> None:
    """Fuzz: one change at a time, anywhere; either it is refused, or what comes out can be judged with."""
    rng, body = np.random.default_rng(6), model_bytes(model)
    document = orjson.loads(body)
    junk = (None, -1, 1e999, "x", [], {}, True, 2**70)
    trials = [body[: int(n)] for n in rng.integers(0, len(body), 30)]
    for name in document:
        trials += [orjson.dumps({**document, name: j}) for j in junk if j != 2**70]
    for name in document["forest"]:
        trials += [
            orjson.dumps({**document, "forest": {**document["forest"], name: j}}) for j in (None, "", "AAAA", -1)
        ]
    for _ in range(200):
        at = int(rng.integers(0, len(body)))
        trials.append(body[:at] + bytes([int(rng.integers(32, 127))]) + body[at + 1 :])
    window = windows(2, 20)[-1]
    refused = 0
    for trial in trials:
        try:
            judge(model_from(trial), window, 1.0)
        except ForestError:
            refused += 1
    assert refused > 100


def test_another_format_says_that_it_will_be_trained_anew(model: RateModel) -> None:
    document = orjson.loads(model_bytes(model))
    with pytest.raises(ForestError, match="trained anew"):
        model_from(orjson.dumps({**document, "features_version": 99}))


def test_values_are_shown_as_people_read_them() -> None:
    raw = {"bytes_out": 48e6, "cpu": 1.5, "execs": 12_345, "failed_share": 0.25, "dns_entropy": 3.2, "peers": 7}
    values, _ = vector(raw)
    assert [shown(INDEX[name], values[INDEX[name]]) for name in raw] == [
        "48 MB/s",
        "1.5 cores",
        "12,345/min",
        "0.25",
        "3.2 bits/character",
        "7",
    ]


def test_the_table_has_one_bit_a_feature_and_no_two_of_a_name() -> None:
    assert len({f.name for f in FEATURES}) == COUNT <= 32


def test_random_names_have_more_entropy_than_words() -> None:
    words, drawn = ["access.log", "data.csv", "index"], ["9f8a7c6b5d4e3f2a", "q8Zr2LxWv0Tn5Yk1"]
    assert mean_entropy(words) < 3.0 < mean_entropy(drawn)
    assert mean_entropy([]) == mean_entropy([""]) == 0.0
