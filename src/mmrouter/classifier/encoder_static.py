"""Static embeddings: a vector for every subword, and their weighted mean for a text.

The vectors were distilled from multilingual-e5-small (MIT) by `training/encoder.py`; see the model
card. They are 8-bit and memory-mapped, so loading costs little more than reading the tokenizer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer


class StaticEncoder:
    """Texts to vectors. Safe from several threads: nothing changes after it is made.

    Args:
        folder: holds `tokenizer.json`, `vectors.npy` (int8, a row for each subword) and
            `scales.npy` (what a row is multiplied by: its 8-bit step times the subword's weight).
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        self._scales = np.load(folder / "scales.npy").astype(np.float32)
        self.size: int = self._vectors.shape[1]

    def encode(self, text: str) -> NDArray[np.float32]:
        """The vector of a normalised text (`grams.normalised`), float32[size]; zero if empty."""
        ids = np.asarray(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64)
        if not len(ids):
            return np.zeros(self.size, np.float32)
        mean: NDArray[np.float32] = self._scales[ids] @ self._vectors[ids].astype(np.float32)
        return mean / np.float32(len(ids))
