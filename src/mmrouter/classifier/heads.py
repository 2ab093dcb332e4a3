"""From features to labels: a small network over vectors, linear weights over cues."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.features import Features
from mmrouter.classifier.windows import Windows
from mmrouter.types import Category, Complexity

COMPLEXITIES = tuple(Complexity)
CATEGORIES = tuple(Category)
LABELS = len(COMPLEXITIES) + len(CATEGORIES)

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Probabilities over `COMPLEXITIES` and over `CATEGORIES`, and that both labels are right."""

    complexity: Vector
    category: Vector
    confidence: float

    @property
    def labels(self) -> tuple[Complexity, Category]:
        """The likeliest of each."""
        return (
            COMPLEXITIES[int(self.complexity.argmax())],
            CATEGORIES[int(self.category.argmax())],
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes probabilities of scores.

    Attributes:
        temperatures: what the scores of complexity and of category are divided by.
        slope, offset: log-odds that both labels are right = slope * log-odds of the product of
            the two probabilities + offset.
    """

    temperatures: tuple[float, float] = (1.0, 1.0)
    slope: float = 1.0
    offset: float = 0.0

    def verdict(self, scores: Vector) -> Verdict:
        """The verdict that float[LABELS] scores amount to."""
        cut = len(COMPLEXITIES)
        complexity = softmax(scores[:cut] / np.float32(self.temperatures[0]))
        category = softmax(scores[cut:] / np.float32(self.temperatures[1]))
        both = min(max(float(complexity.max() * category.max()), 1e-6), 1 - 1e-6)
        odds = self.slope * log(both / (1 - both)) + self.offset
        return Verdict(complexity, category, 1 / (1 + exp(-odds)))


@dataclass(frozen=True, slots=True)
class Network:
    """Three-subword windows and the mean vector, one hidden layer, and the cues beside it.

    Attributes:
        windows: over a vector, the one before and the one after.
        hidden: float32[size + 2 * channels, units]: mean vector, mean and maximum of the windows.
        hidden_bias: float32[units].
        out: float32[units, LABELS].
        bias: float32[LABELS].
        cues: int8[CUE_ROWS, LABELS], times `cue_step`.
        rarity: uint8[CUE_ROWS], times `rarity_step`: a cue's weight before the vector of all is
            scaled to length 1 (inverse document frequency in the training texts).
        calibration: from scores to probabilities.
    """

    windows: Windows
    hidden: Vector
    hidden_bias: Vector
    out: Vector
    bias: Vector
    cues: NDArray[np.int8]
    cue_step: float
    rarity: NDArray[np.uint8]
    rarity_step: float
    calibration: Calibration

    @classmethod
    def load(cls, folder: Path, encoder: StaticEncoder) -> Network:
        """Reads `network.npz`, `cues.npy` and `rarity.npy`, which `training/fit.py` wrote."""
        with np.load(folder / "network.npz") as file:
            small = {name: file[name].astype(np.float32) for name in file.files}
        steps, calibration = small["steps"], small["calibration"]
        return cls(
            windows=Windows(encoder, small["window"], small["window_bias"]),
            hidden=small["hidden"],
            hidden_bias=small["hidden_bias"],
            out=small["out"],
            bias=small["bias"],
            cues=np.asarray(np.load(folder / "cues.npy", mmap_mode="r")),
            cue_step=float(steps[0]),
            rarity=np.load(folder / "rarity.npy"),
            rarity_step=float(steps[1]),
            calibration=Calibration(
                (float(calibration[0]), float(calibration[1])),
                float(calibration[2]),
                float(calibration[3]),
            ),
        )

    def embed(self, read: Features) -> Vector:
        """The hidden layer, float32[units]: what the request is like, as far as labels go."""
        pooled = np.zeros(len(self.hidden), np.float32)
        if len(read.subwords):
            windows = self.windows.of(read.subwords)
            size, channels = len(read.mean), windows.shape[1]
            share = np.full(len(windows), 1 / len(windows), np.float32)
            pooled[:size] = read.mean
            pooled[size : size + channels] = share @ windows
            pooled[size + channels :] = windows.max(0)
        hidden: Vector = np.maximum(pooled @ self.hidden + self.hidden_bias, 0)
        return hidden

    def scores(self, hidden: Vector, cues: NDArray[np.int64]) -> Vector:
        """A score for each label, float32[LABELS], of `embed`'s answer and the cues' rows."""
        total: Vector = hidden @ self.out + self.bias
        weights = self.rarity[cues].astype(np.float32) * np.float32(self.rarity_step)
        length = float(np.sqrt(weights @ weights))
        if length:
            total += (weights @ self.cues[cues].astype(np.float32)) * np.float32(
                self.cue_step / length
            )
        return total


def softmax(scores: Vector) -> Vector:
    """Probabilities of a vector of scores."""
    powers = np.exp(scores - scores.max())
    chances: Vector = powers / powers.sum()
    return chances
