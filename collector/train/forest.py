"""One training: windows in, a model out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.rates.features import COUNT, FEATURES
from detection.rates.forest import Forest
from detection.rates.model import RateModel, Summary
from detection.rates.relation import relation_of
from detection.rates.tail import tail_of
from detection.rates.window import RateWindow

_STRETCH = 30  # windows
_FLOORS = np.array([feature.floor for feature in FEATURES])
_SCORE_FLOOR = 0.004  # spread of scores two forests of the same data give one vector


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """`windows` at least: fewer make tails so heavy that nothing would be found; `trees` of `samples` vectors each;
    `folds` of consecutive windows for calibration.
    """

    windows: int = 120
    trees: int = 64
    samples: int = 128
    folds: int = 5


def train(
    windows: Sequence[RateWindow], config: TrainConfig, revision: int = 1, *, containers: int = 0, now_ns: int = 0
) -> RateModel | None:
    """A model of these windows of one workload and version; None where too few are fit to learn from.

    `containers`: how many there are at a time (0: told from the windows). Lossy windows are left out, and reported ones
    but those most containers share. A feature most windows lack is left out; a window that lacks another too.
    The calibration scores each fifth of the windows, in order of time, by a forest grown from the other four: windows
    close to each other resemble each other, so folds drawn at random would flatter.
    """
    shared = _shared(windows)
    sound = [w for w in windows if not w.lossy and (not w.anomalous or _bucket(w) in shared)]
    missing = _missing(sound)
    sound = sorted((w for w in sound if not w.missing & ~missing), key=lambda w: (w.end_ns, w.container_id))
    if len(sound) < max(config.windows, 2 * config.folds):
        return None
    vectors = np.array([w.values for w in sound], dtype=np.float64)
    lasting = np.array([w.lasting for w in sound if len(w.lasting) == COUNT], dtype=np.float64).reshape(-1, COUNT)
    for matrix in (vectors, lasting):
        matrix[:, [i for i in range(COUNT) if missing >> i & 1]] = 0.0
    latest = sound[-1]
    scores, apart = _held_out(vectors, config)
    return RateModel(
        workload=latest.workload,
        version=latest.version,
        revision=revision,
        trained_ns=now_ns or time.time_ns(),
        seconds=float(np.median([w.seconds for w in sound])),
        windows=len(sound),
        containers=containers or _at_once(sound),
        missing=missing,
        forest=export(grow(vectors, config)),
        scores=tail_of(scores, _SCORE_FLOOR),
        summaries=_summaries(vectors),
        relation=relation_of(vectors, _FLOORS),
        relative=_summaries(apart),
        lasting=_summaries(lasting) if len(lasting) >= config.windows else (),
    )


def _shared(windows: Sequence[RateWindow]) -> set[int]:
    """Stretches of time in which most containers, of at least three, were reported: a change, not an intrusion."""
    by_time: dict[int, dict[str, bool]] = {}
    for w in windows:
        seen = by_time.setdefault(_bucket(w), {})
        seen[w.container_id] = seen.get(w.container_id, False) or w.anomalous
    return {at for at, seen in by_time.items() if len(seen) >= 3 and sum(seen.values()) * 2 > len(seen)}


def _bucket(window: RateWindow) -> int:
    return int(window.end_ns // (_STRETCH * window.seconds * 1e9))


def _missing(windows: Sequence[RateWindow]) -> int:
    """Features more than half of the windows lack."""
    return sum(1 << i for i in range(COUNT) if 2 * sum(w.missing >> i & 1 for w in windows) > len(windows))


def _at_once(windows: Sequence[RateWindow]) -> int:
    """How many containers the workload had at a time, on average: so many windows it has to be judged by."""
    seconds = float(np.median([w.seconds for w in windows]))
    span = (windows[-1].end_ns - windows[0].end_ns) / 1e9 + seconds
    most = len({w.container_id for w in windows})
    return max(1, min(most, round(len(windows) * seconds / span)))


def _summaries(vectors: NDArray[np.float64]) -> tuple[Summary, ...]:
    return tuple(_summary(vectors[:, i], feature.floor) for i, feature in enumerate(FEATURES))


def _summary(values: NDArray[np.float64], floor: float) -> Summary:
    median, high = np.quantile(values, (0.5, 0.99))
    return Summary(float(median), float(high), float(values.max()), tail_of(values, floor))


def _held_out(vectors: NDArray[np.float64], config: TrainConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every vector, by what did not see it: its anomaly score (higher is odder), and how far each of its rates is
    above what the others make one expect.
    """
    scores, apart = np.empty(len(vectors)), np.empty_like(vectors)
    for part in np.array_split(np.arange(len(vectors)), config.folds):
        rest = np.delete(vectors, part, axis=0)
        scores[part] = -export(grow(rest, config)).score(vectors[part])
        apart[part] = vectors[part] - relation_of(rest, _FLOORS).expected(vectors[part])
    return scores, apart


def grow(vectors: NDArray[np.float64], config: TrainConfig) -> Any:
    """scikit-learn's forest of these vectors. The same vectors give the same forest."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415  (a second of start-up nobody needs before training)

    samples = min(config.samples, len(vectors))
    return IsolationForest(n_estimators=config.trees, max_samples=samples, random_state=0).fit(vectors)


def export(fitted: Any) -> Forest:
    """The trees of a fitted `IsolationForest` as arrays.

    Thresholds are rounded down to 32 bits: vectors are compared as 32-bit floats, so nothing changes sides.
    """
    trees = [estimator.tree_ for estimator in fitted.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees)])
    parts = [_tree(tree, int(root)) for tree, root in zip(trees, roots[:-1], strict=True)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Forest(roots=roots[:-1].astype(np.uint32), samples=int(fitted.max_samples_), **joined)


def _tree(tree: Any, root: int) -> dict[str, NDArray[Any]]:
    left, right, index = tree.children_left, tree.children_right, np.arange(tree.node_count)
    leaf = left < 0
    assert (left[~leaf] == index[~leaf] + 1).all(), "trees are grown depth first"
    depth = np.zeros(tree.node_count, dtype=np.uint8)
    for node in index[~leaf]:
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    return {
        "feature": np.where(leaf, 0, tree.feature).astype(np.uint8),
        "threshold": np.where(leaf, np.float32(-np.inf), _rounded_down(tree.threshold)),
        "right": (root + np.where(leaf, index, right)).astype(np.uint32),
        "depth": depth,
        "size": tree.n_node_samples.astype(np.uint16),
    }


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    near = thresholds.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > thresholds, below, near)
