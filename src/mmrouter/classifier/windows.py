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

REMEMBERED = 16_384
"""Subwords whose products are kept, 25 MB when all are there. The English of the labelled rows uses
11,000; a text has 256 at most."""


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
        self._weights = np.concatenate(np.split(weights.astype(np.float64), 3), axis=1)
        self._bias = bias
        self._products = np.empty((3, REMEMBERED, len(bias)), np.float32)
        self._places = np.full(encoder.rows, -1, np.int64)
        self._holders = np.zeros(REMEMBERED, np.int64)  # row 0 is no text: nobody misses it
        self._next = 0
        self._lock = Lock()

    def of(self, subwords: NDArray[np.int64]) -> Vector:
        """float32[subwords, channels], none of them negative, of a text's subwords."""
        before, at, after = self._products
        with self._lock:
            places = self._places[subwords]
            while (places < 0).any():  # more than once where its own were forgotten for others
                self._learn(np.unique(subwords[places < 0]))
                places = self._places[subwords]
            windows: Vector = at.take(places, axis=0)
            windows[1:] += before.take(places[:-1], axis=0)
            windows[:-1] += after.take(places[1:], axis=0)
        windows += self._bias
        return np.maximum(windows, 0, out=windows)

    def _learn(self, subwords: NDArray[np.int64]) -> None:
        """Remembers some, instead of those that have been remembered for longest."""
        places = np.arange(self._next, self._next + len(subwords)) % REMEMBERED
        self._next = (self._next + len(subwords)) % REMEMBERED
        self._places[self._holders[places]] = -1
        vectors = self._encoder.vectors(subwords).astype(np.float64)
        parts = (vectors @ self._weights).reshape(len(subwords), len(self._products), -1)
        self._products[:, places] = parts.swapaxes(0, 1)
        self._holders[places] = subwords
        self._places[subwords] = places
