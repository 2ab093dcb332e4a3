"""What is read off a judged text: its static embedding, a few presences, and its n-grams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier import grams
from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.text import Judged


@dataclass(frozen=True, slots=True)
class Features:
    """The input of the heads.

    Attributes:
        dense: float32[encoder.size + PRESENCES].
        rows, counts: see `grams.grams`.
    """

    dense: NDArray[np.float32]
    rows: NDArray[np.uint32]
    counts: NDArray[np.float32]


PRESENCES = 2


def of(judged: Judged, encoder: StaticEncoder) -> Features:
    """The features of a judged text; a follow-up is read after what it answers."""
    text = f"{judged.context}\n{judged.text}" if judged.follow_up else judged.text
    text = grams.normalised(text)
    rows, counts = grams.grams(text)
    presences = np.array([judged.follow_up, judged.code_chars > 0], np.float32)
    return Features(np.concatenate((encoder.encode(text), presences)), rows, counts)
