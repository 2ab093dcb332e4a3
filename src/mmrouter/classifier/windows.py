"""Windows of three subwords: what the network sees of their order.

A window is a sum of three products, of the subword before, at and after a place, and a subword's
products are the same in every text. So those met lately are remembered, and most texts are added up
without multiplying anything.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.encoder_static import StaticEncoder

Vector = NDArray[np.float32]

REMEMBERED = 8_192
"""Subwords whose products are kept: 12 MB of them. More than a text can have."""


class Windows:
    """Safe from several threads.

    Args:
        encoder: has the subwords' vectors.
        weights: float32[3 * encoder.size, channels], for the vector before, at and after a place.
        bias: float32[channels].
    """

    def __init__(self, encoder: StaticEncoder, weights: Vector, bias: Vector) -> None:
        self._encoder = encoder
        # In float64 a product is, after rounding, the same whatever is computed beside it: how a
        # request is classified does not depend on what came before.
        self._weights = np.split(weights.astype(np.float64), 3)
        self._bias = bias
        self._products = [np.empty((REMEMBERED, len(bias)), np.float32) for _ in self._weights]
        self._places = np.full(encoder.rows, -1, np.int64)
        self._used = 0
        self._lock = Lock()

    def of(self, subwords: NDArray[np.int64]) -> Vector:
        """float32[subwords, channels], none of them negative, of a text's subwords."""
        before, at, after = self._products
        with self._lock:
            places = self._places[subwords]
            if (places < 0).any():
                self._learn(np.unique(subwords))
                places = self._places[subwords]
            windows: Vector = at.take(places, axis=0)
            windows[1:] += before.take(places[:-1], axis=0)
            windows[:-1] += after.take(places[1:], axis=0)
        windows += self._bias
        return np.maximum(windows, 0, out=windows)

    def _learn(self, subwords: NDArray[np.int64]) -> None:
        """Sees to it that all of a text's subwords are remembered; forgets others for them."""
        if self._used + len(subwords) > REMEMBERED:
            self._places.fill(-1)
            self._used = 0
        new = subwords[self._places[subwords] < 0]
        end = self._used + len(new)
        vectors = self._encoder.vectors(new).astype(np.float64)
        for products, weights in zip(self._products, self._weights, strict=True):
            products[self._used : end] = vectors @ weights
        self._places[new] = np.arange(self._used, end)
        self._used = end
