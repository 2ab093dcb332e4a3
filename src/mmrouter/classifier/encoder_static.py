"""Static embeddings: a vector for every subword of a text, looked up and not computed.

The vectors were distilled from multilingual-e5-small (MIT) and tuned on labelled requests by
`training/`; see the model card. They are 8-bit and memory-mapped, so loading costs little more than
reading the names of the subwords.
"""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.subwords import Subwords

HEAD, TAIL = 160, 96
"""Of a longer text, the first and the last so many subwords are read."""

_HEAD_CHARS, _TAIL_CHARS = 2_000, 1_200

SPECIAL = 4
"""The first rows belong to subwords that are no text, unknown ones among them."""


class StaticEncoder:
    """Texts to rows of vectors. Safe from several threads: nothing changes after it is made.

    Args:
        folder: holds the vocabulary (see `Subwords`), `vectors.npy` (int8, a row for each subword)
            and `scales.npy` (what a row is multiplied by: its 8-bit step times its weight).
    """

    def __init__(self, folder: Path) -> None:
        self._subwords = Subwords(folder, SPECIAL)
        # a plain array over the file: numpy takes half as long again for a look into a `memmap`
        self._vectors = np.asarray(np.load(folder / "vectors.npy", mmap_mode="r"))
        self._scales = np.load(folder / "scales.npy").astype(np.float32)
        self.rows, self.size = self._vectors.shape

    def vectors(self, subwords: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows, float32[subwords, size]."""
        vectors: NDArray[np.float32] = self._vectors[subwords] * self._scales[subwords][:, None]
        return vectors

    def mean(self, subwords: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean of the vectors of some rows, float32[size]; zero of none."""
        shares = self._scales[subwords] / np.float32(max(len(subwords), 1))
        mean: NDArray[np.float32] = shares @ self._vectors[subwords].astype(np.float32)
        return mean

    def subwords(self, text: str) -> NDArray[np.int64]:
        """The rows of a text's known subwords, in order.

        Letter case and runs of white space make no difference.
        """
        if len(text) > _HEAD_CHARS + _TAIL_CHARS:
            text = f"{text[:_HEAD_CHARS]} {text[-_TAIL_CHARS:]}"
        plain = text.lower()
        if not plain.isascii():
            plain = normalize("NFKC", " ".join(plain.split()))
        ids = np.array(self._subwords.of(plain.split()), np.int64)
        if len(ids) > HEAD + TAIL:
            ids = np.concatenate((ids[:HEAD], ids[-TAIL:]))
        return ids
