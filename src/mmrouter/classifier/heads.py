"""From features to labels: two softmax heads, and the probability that both are right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.features import Features
from mmrouter.types import Category, Complexity

COMPLEXITIES = tuple(Complexity)
CATEGORIES = tuple(Category)
LABELS = len(COMPLEXITIES) + len(CATEGORIES)

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Probabilities over `COMPLEXITIES` and `CATEGORIES`, calibrated."""

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
class Heads:
    """A linear map of all features, and the temperatures that calibrate it.

    Attributes:
        dense: float32[dense features, LABELS].
        bias: float32[LABELS].
        grams: int8[2**BITS, LABELS], times `step`.
        rarity: uint8[2**BITS], times `rarity_step`: the weight of an n-gram before the vector is
            scaled to length 1 (inverse document frequency in the training texts).
        temperatures: what the logits of complexity and of category are divided by.
        trust: slope and offset of the confidence's logit.
    """

    dense: Vector
    bias: Vector
    grams: NDArray[np.int8]
    step: float
    rarity: NDArray[np.uint8]
    rarity_step: float
    temperatures: tuple[float, float]
    trust: tuple[float, float]

    @classmethod
    def load(cls, folder: Path) -> Heads:
        """Reads what `save` of `training/` wrote: `heads.npz`, `grams.npy`, `rarity.npy`."""
        with np.load(folder / "heads.npz") as file:
            small = {name: file[name] for name in file.files}
        return cls(
            dense=small["dense"],
            bias=small["bias"],
            grams=np.load(folder / "grams.npy", mmap_mode="r"),
            step=float(small["step"]),
            rarity=np.load(folder / "rarity.npy", mmap_mode="r"),
            rarity_step=float(small["rarity_step"]),
            temperatures=(float(small["temperatures"][0]), float(small["temperatures"][1])),
            trust=(float(small["trust"][0]), float(small["trust"][1])),
        )

    def judge(self, features: Features) -> Verdict:
        """The verdict on one text."""
        logits = features.dense @ self.dense + self.bias + self._of_grams(features)
        cut = len(COMPLEXITIES)
        complexity = softmax(logits[:cut] / self.temperatures[0])
        category = softmax(logits[cut:] / self.temperatures[1])
        both = float(complexity.max() * category.max())
        return Verdict(complexity, category, self._trusted(both))

    def _of_grams(self, features: Features) -> Any:
        weights = features.counts * (self.rarity[features.rows] * np.float32(self.rarity_step))
        length = float(np.sqrt(weights @ weights))
        if not length:
            return np.float32(0)
        table = self.grams[features.rows].astype(np.float32)
        return (weights @ table) * np.float32(self.step / length)

    def _trusted(self, both: float) -> float:
        slope, offset = self.trust
        kept = min(max(both, 1e-6), 1 - 1e-6)
        logit = np.log(kept / (1 - kept))
        return float(1 / (1 + np.exp(-(slope * logit + offset))))


def softmax(logits: Vector) -> Vector:
    """Probabilities of a vector of logits."""
    powers = np.exp(logits - logits.max())
    chances: Vector = powers / powers.sum()
    return chances
