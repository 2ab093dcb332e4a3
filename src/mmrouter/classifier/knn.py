"""Nearest neighbours: a request is labelled as the examples that are most like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.heads import CATEGORIES, COMPLEXITIES, Vector, Verdict

NEIGHBOURS = 7
_SHARPNESS = 12.0
"""A neighbour's vote is e to the power of this times its cosine."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The examples.

    Attributes:
        vectors: float32[examples, units], each of length 1.
        levels: int64[examples], places in `COMPLEXITIES`.
        kinds: int64[examples], places in `CATEGORIES`.
    """

    vectors: Vector
    levels: NDArray[np.int64]
    kinds: NDArray[np.int64]

    def verdict(self, vector: Vector) -> Verdict:
        """The votes of the nearest examples; confidence is the share of the winning pair."""
        likeness = self.vectors @ unit(vector)
        near = np.argsort(-likeness, kind="stable")[:NEIGHBOURS]
        votes = np.exp(_SHARPNESS * (likeness[near] - likeness[near[0]]))
        votes /= votes.sum()
        pairs = np.zeros((len(COMPLEXITIES), len(CATEGORIES)), np.float32)
        np.add.at(pairs, (self.levels[near], self.kinds[near]), votes)
        complexity, category = pairs.sum(1), pairs.sum(0)
        share = float(pairs[int(complexity.argmax()), int(category.argmax())])
        return Verdict(complexity, category, min(share, 1.0))


def unit(vector: Vector) -> Vector:
    """The vector (or the rows of a matrix) scaled to length 1; zero stays zero."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    scaled: Vector = (vector / np.maximum(length, 1e-9)).astype(np.float32)
    return scaled
