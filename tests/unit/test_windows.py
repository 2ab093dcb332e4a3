"""Windows of subwords: what is remembered of earlier texts may not show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mmrouter.classifier import windows
from mmrouter.classifier.embeddings import shipped_encoder
from mmrouter.classifier.windows import Windows

ENCODER = shipped_encoder()
RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((3 * ENCODER.size, 16)).astype(np.float32)
BIAS = RNG.standard_normal(16).astype(np.float32)

Rows = NDArray[np.int64]

texts = st.lists(st.integers(4, 60), min_size=1, max_size=24).map(lambda ids: np.array(ids))


def multiplied(subwords: Rows) -> NDArray[np.float32]:
    """The same by the definition: three vectors side by side, times the weights."""
    vectors = ENCODER.vectors(subwords)
    nothing = np.zeros((1, ENCODER.size), np.float32)
    sides = [
        np.concatenate([nothing, vectors[:-1]]),
        vectors,
        np.concatenate([vectors[1:], nothing]),
    ]
    found: NDArray[np.float32] = np.maximum(np.concatenate(sides, 1) @ WEIGHTS + BIAS, 0)
    return found


@given(texts)
@settings(deadline=None)
def test_a_window_is_the_product_of_three_vectors(subwords: Rows) -> None:
    found = Windows(ENCODER, WEIGHTS, BIAS).of(subwords)
    assert np.allclose(found, multiplied(subwords), atol=1e-4)


@given(st.lists(texts, min_size=2, max_size=8))
@settings(deadline=None)
def test_what_came_before_makes_no_difference_to_the_last_bit(series: list[Rows]) -> None:
    used = Windows(ENCODER, WEIGHTS, BIAS)
    for subwords in series:
        assert np.array_equal(used.of(subwords), Windows(ENCODER, WEIGHTS, BIAS).of(subwords))


def test_when_all_places_are_taken_the_text_at_hand_still_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(windows, "REMEMBERED", 40)
    small = Windows(ENCODER, WEIGHTS, BIAS)
    for start in (4, 30, 50, 4, 10_000):
        subwords = np.arange(start, start + 40)
        assert np.allclose(small.of(subwords), multiplied(subwords), atol=1e-4)


def test_threads_do_not_forget_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "REMEMBERED", 40)
    small = Windows(ENCODER, WEIGHTS, BIAS)
    series = [np.arange(start, start + 30) for start in range(4, 2_004, 7)]
    with ThreadPoolExecutor(4) as pool:
        for subwords, found in zip(series, pool.map(small.of, series), strict=True):
            assert np.allclose(found, multiplied(subwords), atol=1e-4)
