"""An isolation forest as plain arrays (Liu, Ting & Zhou 2008), scored for many vectors at once.

Gives what scikit-learn's `IsolationForest.score_samples` gives for the forest it was exported from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.errors import ForestError

_EULER = 0.5772156649015329
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """All trees' nodes, one after the other, each tree in depth-first order: a node's left child is the next one.

    A vector goes left where value ≤ threshold, compared as 32-bit floats. `right` is the right child's index; a leaf is
    its own (and its threshold −∞). `depth` is below the tree's root, `size` how many training vectors reached the node.
    `samples` is how many vectors each tree was grown from. Ten bytes a node.
    """

    roots: NDArray[np.uint32]
    feature: NDArray[np.uint8]
    threshold: NDArray[np.float32]
    right: NDArray[np.uint32]
    depth: NDArray[np.uint8]
    size: NDArray[np.uint16]
    samples: int

    def check(self, features: int) -> None:
        """Raises: ForestError unless every walk ends in a leaf and every index is in range."""
        nodes, index = len(self.feature), np.arange(len(self.feature))
        same = all(len(a) == nodes for a in (self.threshold, self.right, self.depth, self.size))
        if not same or not len(self.roots) or not nodes or self.samples < 1:
            raise ForestError("a forest needs trees, and arrays of one length")
        leaf = self.right == index
        inner_ok = (self.right[~leaf] > index[~leaf] + 1) & (self.right[~leaf] < nodes)
        if not inner_ok.all() or not np.isneginf(self.threshold[leaf]).all() or leaf.sum() == 0 or not leaf[-1]:
            raise ForestError("a forest's children must come after their parents, its leaves lead nowhere")
        if int(self.roots.max()) >= nodes or int(self.feature.max()) >= features or int(self.depth.max()) > _MAX_DEPTH:
            raise ForestError("a forest has an index out of range")

    def score(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """One score for each row, in [−1, 0): the lower, the easier it is to tell apart; −0.5 is average."""
        x = np.ascontiguousarray(vectors, dtype=np.float32)
        at = np.broadcast_to(self.roots.astype(np.intp), (len(x), len(self.roots))).copy()
        for _ in range(int(self.depth.max())):
            value = np.take_along_axis(x, self.feature[at].astype(np.intp), axis=1)
            at = np.where(value <= self.threshold[at], at + 1, self.right[at])
        lengths = (self.depth[at] + average_path(self.size[at])).sum(axis=1)
        usual = len(self.roots) * float(average_path(np.array([self.samples]))[0])
        shares = lengths / usual if usual else np.ones(len(x))
        return np.asarray(-(2.0**-shares), dtype=np.float64)


def average_path(sizes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean length of an unsuccessful search in a binary tree of so many vectors: what a leaf still hides."""
    n = np.asarray(sizes, dtype=np.float64)
    more = np.maximum(n, 3.0)
    long = 2.0 * (np.log(more - 1.0) + _EULER) - 2.0 * (more - 1.0) / more
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, long))
