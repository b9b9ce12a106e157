"""What one rate should be, given all the others: CPU time belongs to a load, traffic to connections."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RIDGE = 0.1  # of a standardised rate's variance: rates that move together share their weight

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """Linear, on the scale of `features.FEATURES`: expected = weights · values + offset. The diagonal is 0."""

    weights: Matrix
    offset: Matrix

    def expected(self, values: Matrix) -> Matrix:
        """What each rate should be; a row for each row of `values`."""
        return values @ self.weights.T + self.offset


def relation_of(vectors: Matrix, floors: Matrix) -> Relation:
    """Ridge regression of each rate on the rest, all at once, from the inverse of their correlations.

    `floors`: the least spread of each rate that is believed, so that one that never moved explains nothing.
    """
    centre = vectors.mean(axis=0)
    spread = np.maximum(vectors.std(axis=0), floors)
    standard = (vectors - centre) / spread
    inverse = np.linalg.inv(standard.T @ standard / len(vectors) + _RIDGE * np.eye(vectors.shape[1]))
    weights = -inverse / np.diag(inverse)[:, None]
    np.fill_diagonal(weights, 0.0)
    weights = weights * spread[:, None] / spread[None, :]
    return Relation(weights, centre - weights @ centre)
