"""Votes of the nearest examples."""

from __future__ import annotations

import numpy as np
import pytest

from mmrouter.classifier.knn import Neighbours, unit
from mmrouter.types import Category, Complexity

VECTORS = unit(np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [0.2, 0.8]], np.float32))
NEAR = Neighbours(VECTORS, np.array([0, 0, 2, 2, 2]), np.array([0, 0, 3, 3, 3]))


def test_the_nearest_win() -> None:
    first, second = NEAR.verdict(np.array([5, 0], np.float32)), NEAR.verdict(np.array([0, 2.0]))
    assert first.labels == (Complexity.SIMPLE, Category.FACTUAL)
    assert second.labels == (Complexity.COMPLEX, Category.CODE)


def test_confidence_falls_between_the_groups() -> None:
    sure = NEAR.verdict(np.array([1, 0], np.float32)).confidence
    torn = NEAR.verdict(np.array([1, 1], np.float32)).confidence
    assert torn < sure <= 1


def test_votes_are_probabilities() -> None:
    verdict = NEAR.verdict(np.array([0.3, 0.4], np.float32))
    assert verdict.complexity.sum() == pytest.approx(1, abs=1e-5)
    assert verdict.category.sum() == pytest.approx(1, abs=1e-5)


def test_a_zero_vector_has_neighbours_too() -> None:
    assert 0 < NEAR.verdict(np.zeros(2, np.float32)).confidence <= 1
