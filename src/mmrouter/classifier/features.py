"""What the network reads of a judged text: its subwords, and its cues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.cues import Reader
from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.text import Judged

CUE_ROWS = 1 << 18
"""Cues are hashed into a table of so many rows, a power of two."""

_MASK = CUE_ROWS - 1


@dataclass(frozen=True, slots=True)
class Features:
    """The input of the network.

    Attributes:
        subwords: int64[subwords], the encoder's rows of them, in order.
        mean: float32[encoder.size], of their vectors.
        cues: the rows of the text's cues, each once.
    """

    subwords: NDArray[np.int64]
    mean: NDArray[np.float32]
    cues: NDArray[np.int64]


def of(judged: Judged, encoder: StaticEncoder) -> Features:
    """The features of a judged text; a follow-up is read after what it answers."""
    subwords = encoder.subwords(whole(judged))
    return Features(subwords, encoder.mean(subwords), cue_rows(judged))


def whole(judged: Judged) -> str:
    """The request, after what it answers where it is a follow-up."""
    return f"{judged.context}\n{judged.text}" if judged.follow_up else judged.text


def cue_rows(judged: Judged) -> NDArray[np.int64]:
    """Where the cues of a judged text are in the table, ascending."""
    rows = _read(judged)
    return np.sort(np.fromiter(rows, np.int64, len(rows)))


def _row(cue: str) -> int:
    return crc32(cue.encode("utf-8", "surrogatepass")) & _MASK


@lru_cache(maxsize=16_384)
def _begun(word: str) -> int:
    """The checksum of a pair's name up to its second word."""
    return crc32(f"b:{word} ".encode())


def _rows_in_a_row(words: Sequence[str]) -> list[int]:
    """As `_row` of each pair's name, which is not written out: a checksum can be gone on with."""
    seconds = map(str.encode, islice(words, 1, None))
    return [found & _MASK for found in map(crc32, seconds, map(_begun, words))]


_read = Reader(_row, _rows_in_a_row)
