"""What the network reads of a judged text: its subwords' vectors, and its cues."""

from __future__ import annotations

from dataclasses import dataclass
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
        vectors: float32[subwords, encoder.size], in order.
        cues: the rows of the text's cues, each once.
    """

    subwords: NDArray[np.int64]
    vectors: NDArray[np.float32]
    cues: NDArray[np.int64]


def of(judged: Judged, encoder: StaticEncoder) -> Features:
    """The features of a judged text; a follow-up is read after what it answers."""
    subwords = encoder.subwords(whole(judged))
    return Features(subwords, encoder.vectors(subwords), cue_rows(judged))


def whole(judged: Judged) -> str:
    """The request, after what it answers where it is a follow-up."""
    return f"{judged.context}\n{judged.text}" if judged.follow_up else judged.text


def cue_rows(judged: Judged) -> NDArray[np.int64]:
    """Where the cues of a judged text are in the table, ascending."""
    rows = _read(judged)
    return np.sort(np.fromiter(rows, np.int64, len(rows)))


def _row(cue: str) -> int:
    return crc32(cue.encode("utf-8", "surrogatepass")) & _MASK


_read = Reader(_row)
