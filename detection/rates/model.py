"""What is learned from a workload's windows: the forest, and what it and every single rate gave in training."""

from dataclasses import dataclass

from detection.rates.forest import Forest
from detection.rates.relation import Relation
from detection.rates.tail import Tail

WEEK_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Summary:
    """One rate over the training windows, on the scale of `features.FEATURES`."""

    median: float
    high: float  # 99th percentile
    largest: float
    tail: Tail


@dataclass(frozen=True, slots=True, eq=False)
class RateModel:
    """One revision of what is normal for a workload in one version.

    Learned from `windows` windows of `seconds` of `containers` containers. `missing`: features nobody could measure in
    training, which are not judged. `scores` is the tail of the anomaly scores of windows the forest that scored them
    was not grown from. `summaries` are of single windows, `lasting` of means over `features.LASTING` windows (() where
    there were too few), `relative` of how far each rate was above what `relation` makes of the others; both that and
    `scores` are of windows that were not learned from when they were held against the rest.
    """

    workload: str
    version: str
    revision: int
    trained_ns: int
    seconds: float
    windows: int
    containers: int
    missing: int
    forest: Forest
    scores: Tail
    summaries: tuple[Summary, ...]
    relation: Relation
    relative: tuple[Summary, ...]
    lasting: tuple[Summary, ...] = ()

    def threshold(self, budget: float) -> float:
        """The p-value a window is reported at, where the workload may raise `budget` false anomalies a week."""
        return min(1.0, budget * self.seconds / WEEK_S / max(1, self.containers))
