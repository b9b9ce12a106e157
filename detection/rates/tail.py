"""How improbable is a value beyond nearly everything seen?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHARE = 0.1  # of the values make the tail


@dataclass(frozen=True, slots=True)
class Tail:
    """The upper end of a sample of `n` values: `k` of them lie beyond `start`, together by `excess`.

    The excess over a high quantile is taken for exponential; on a logarithmic scale that is a Pareto tail with Hill's
    estimate. How steep it is, is known from k values only. With the prior that is flat in the logarithm, the next
    value's predictive probability is a Lomax law:

        P(X > x) = (k + 1) / (n + 1) · (1 + (x − start) / excess)^−k

    So few values make a heavy tail: 60 windows let one be sure of less than 6,000 do.
    """

    n: int
    k: int
    start: float
    excess: float

    def p(self, value: float) -> float:
        """Probability of a value at least so large; 1 up to the start of the tail."""
        if value <= self.start:
            return 1.0
        return float((self.k + 1) / (self.n + 1) * (1.0 + (value - self.start) / self.excess) ** -self.k)


def tail_of(values: NDArray[np.float64], floor: float) -> Tail:
    """The tail of at least two values. `floor` is the least mean excess that is believed."""
    ordered = np.sort(values)
    n = len(ordered)
    k = min(n - 1, max(1, int(np.ceil(n * _SHARE))))
    start = float(ordered[n - k - 1])
    excess = float((ordered[n - k :] - start).sum())
    return Tail(n, k, start, max(excess, k * floor))
