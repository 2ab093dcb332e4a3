"""Cuts words into subwords: the most probable way under a unigram model.

Kudo, Subword Regularization (arXiv 1804.10959), section 3.1, as SentencePiece and the `tokenizers`
library cut. That library reads its file in 0.1 s, which is longer than all else that `mmrouter
classify` does; this reads its own in a tenth of it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from string import punctuation

import numpy as np

_MARK = "\u2581"
"""Stands before each word in the names of subwords."""

_UNKNOWN_PENALTY = 10.0
"""How much less probable than the rarest subword an unknown character is, as a logarithm."""

_LONGEST = 32
"""Characters of the longest word that is worth remembering."""

_REMEMBERED = 16_384
"""So many words are remembered, those met last."""

_MARKS = frozenset(punctuation)
"""ASCII marks. No subword reaches from a letter to one of them, so that at the end of a word it may
be cut off, and "table," is known where "table" is."""

_SHORT = 2
"""Characters beyond which what is itself a subword is best left whole. This and what is said of
marks hold for this vocabulary and need not for another: tests/unit/test_subwords.py."""


class Subwords:
    """A vocabulary. Safe from several threads.

    Args:
        folder: holds `pieces.txt` (a subword a line) and `pieces.npy` (float64, the logarithm of
            each one's probability).
        first: the row of the first subword that is text.
    """

    def __init__(self, folder: Path, first: int) -> None:
        pieces = (folder / "pieces.txt").read_text("utf-8").split("\n")
        self._scores: list[float] = np.load(folder / "pieces.npy").tolist()
        self._rows = dict(zip(pieces[first:], range(first, len(pieces)), strict=True))
        self._longest = max(map(len, pieces))
        self._unknown = min(self._scores) - _UNKNOWN_PENALTY
        self._known_word = lru_cache(maxsize=_REMEMBERED)(self._word)

    def of(self, words: list[str]) -> list[int]:
        """The rows of some words' subwords, in order; unknown characters are left out."""
        rows: list[int] = []
        for word in words:
            rows += (self._known_word if len(word) <= _LONGEST else self._word)(word)
        return rows

    def _word(self, word: str) -> tuple[int, ...]:
        if word[-1] in _MARKS and word[-2:-1].isalpha():
            row = self._rows.get(word[-1])
            return (*self.of([word[:-1]]), *(() if row is None else (row,)))
        return self._cut(word)

    def _cut(self, word: str) -> tuple[int, ...]:
        """Viterbi's algorithm: for each place, the best way that ends there."""
        text = _MARK + word
        row = self._rows.get(text)
        if row is not None and len(text) > _SHORT:
            return (row,)
        size = len(text)
        rows, scores = self._rows, self._scores
        best = [0.0] + [-1e30] * size
        came = [(0, -1)] * (size + 1)
        for start in range(size):
            base = best[start]
            alone = False
            for end in range(start + 1, min(start + self._longest, size) + 1):
                row = rows.get(text[start:end])
                if row is not None:
                    alone = alone or end == start + 1
                    score = base + scores[row]
                    if score > best[end]:
                        best[end], came[end] = score, (start, row)
            if not alone and base + self._unknown > best[start + 1]:
                best[start + 1], came[start + 1] = base + self._unknown, (start, -1)
        found = []
        while size:
            size, row = came[size]
            if row >= 0:
                found.append(row)
        return tuple(reversed(found))
