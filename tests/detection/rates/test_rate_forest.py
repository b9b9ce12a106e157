"""The exported forest gives what scikit-learn gives; a broken one is refused."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from collector.train.forest import TrainConfig, export, grow
from detection.errors import ForestError
from detection.rates.features import COUNT
from detection.rates.forest import Forest

Matrix = NDArray[np.float64]


def heavy(rng: np.random.Generator, rows: int) -> Matrix:
    return np.log1p(rng.pareto(1.2, (rows, COUNT)) * rng.integers(0, 2, (rows, COUNT)))


def in_steps(rng: np.random.Generator, rows: int) -> Matrix:
    return rng.integers(0, 3, (rows, COUNT)).astype(float)


def mostly_constant(rng: np.random.Generator, rows: int) -> Matrix:
    values = np.zeros((rows, COUNT))
    values[:, 3] = rng.normal(size=rows)
    return values


def huge_and_tiny(rng: np.random.Generator, rows: int) -> Matrix:
    return rng.normal(size=(rows, COUNT)) * 10.0 ** rng.integers(-30, 30, (rows, COUNT))


@pytest.mark.parametrize("make", [heavy, in_steps, mostly_constant, huge_and_tiny])
@pytest.mark.parametrize("rows", [2, 3, 17, 300])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn(make: type, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fitted = grow(make(rng, rows), TrainConfig())
    vectors = np.concatenate([make(rng, 100), fitted.estimators_[0].tree_.threshold[:, None] * np.ones(COUNT)])
    vectors = np.concatenate([vectors, vectors.astype(np.float32).astype(np.float64)])
    assert np.abs(export(fitted).score(vectors) - fitted.score_samples(vectors)).max() < 1e-9


def test_a_forest_of_one_point_scores_all_alike_as_scikit_learn_does() -> None:
    fitted = grow(np.ones((1, COUNT)), TrainConfig())
    vectors = np.arange(2.0 * COUNT).reshape(2, COUNT)
    assert np.abs(export(fitted).score(vectors) - fitted.score_samples(vectors)).max() < 1e-9


def test_all_points_equal_make_trees_of_one_leaf() -> None:
    fitted = grow(np.ones((50, COUNT)), TrainConfig())
    forest = export(fitted)
    assert len(forest.feature) == TrainConfig().trees
    vectors = np.zeros((1, COUNT))
    assert np.abs(forest.score(vectors) - fitted.score_samples(vectors)).max() < 1e-9


@pytest.fixture
def forest() -> Forest:
    return export(grow(heavy(np.random.default_rng(1), 100), TrainConfig(trees=4)))


def test_a_sound_forest_passes_the_check(forest: Forest) -> None:
    forest.check(COUNT)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: {"right": np.zeros_like(f.right)},
        lambda f: {"right": f.right + 1},
        lambda f: {"feature": f.feature + COUNT},
        lambda f: {"threshold": np.zeros_like(f.threshold)},
        lambda f: {"roots": f.roots + len(f.feature)},
        lambda f: {"roots": f.roots[:0]},
        lambda f: {"size": f.size[:-1]},
        lambda f: {"depth": f.depth + 200},
        lambda f: {"samples": 0},
    ],
)
def test_a_forest_that_could_lead_astray_is_refused(forest: Forest, change: object) -> None:
    with pytest.raises(ForestError):
        dataclasses.replace(forest, **change(forest)).check(COUNT)  # type: ignore[operator]
