"""Difficulty: the chance that a weak model fails where a strong one succeeds.

A logistic regression over what can be counted in a text, over the mean of its subwords' vectors,
and over the verdict on its complexity and category. Fitted by `training/difficulty.py` on which
model got which benchmark prompt right; see the model card for what it is worth on tasks that it has
not seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log, log1p
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier.heads import Verdict

Vector = NDArray[np.float32]

HEAD, TAIL = 2_000, 1_200
"""Of a longer text, the first and the last so many characters are counted."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_OPTION = re.compile(r"^\(?[A-J][.)] ", re.MULTILINE)
_OPERATORS = "=+*/^<>|%"
_DIGITS = "0123456789"
_CODE = ("def ", "return", "function", "{\n", ";\n", "};")


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Weights over `features` and the expected complexity.

    Attributes:
        mean, scale: float32[features]; features are centred and divided by these.
        weights: float32[features].
        offset: of the log-odds.
        level_weight: of the expected complexity (0 to 1), added to the log-odds: more complex is
            never less difficult.
    """

    mean: Vector
    scale: Vector
    weights: Vector
    offset: float
    level_weight: float

    @classmethod
    def load(cls, folder: Path) -> Difficulty:
        """Reads `difficulty.npz`, which `training/difficulty.py` wrote."""
        with np.load(folder / "difficulty.npz") as file:
            return cls(
                file["mean"],
                file["scale"],
                file["weights"],
                float(file["offset"]),
                float(file["level_weight"]),
            )

    def of(self, text: str, mean: Vector, verdict: Verdict) -> float:
        """The difficulty of a judged text, in 0..1; `mean` is that of its subwords' vectors."""
        values = (features(text, mean, verdict) - self.mean) / self.scale
        odds = float(values @ self.weights) + self.offset + self.level_weight * level(verdict)
        return float(1 / (1 + np.exp(-odds)))


def level(verdict: Verdict) -> float:
    """The expected complexity: 0 simple, 0.5 medium, 1 complex."""
    return float(verdict.complexity[1] / 2 + verdict.complexity[2])


def features(text: str, mean: Vector, verdict: Verdict) -> Vector:
    """Counts, chances of the categories, mean vector: float32[features]."""
    return np.concatenate((counts(text), verdict.category, mean)).astype(np.float32)


def counts(text: str) -> Vector:
    """What is counted in a text, float32."""
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]} {text[-TAIL:]}"
    size = len(text) + 1
    words = text.split()
    many = len(words) + 1
    digits = sum(map(text.count, _DIGITS))
    operators = sum(map(text.count, _OPERATORS))
    capitals = sum(map(str.istitle, words))
    return np.array(
        [
            log(size),
            digits / size,
            log1p(digits),
            operators / size,
            log1p(operators),
            log1p(text.count("\\") + text.count("$")),
            log1p(text.count("\n")),
            log1p(text.count("?")),
            log1p(len(_NUMBER.findall(text)) if digits or not text.isascii() else 0),
            sum(map(len, words)) / many,
            capitals / many,
            len(set(words)) / many,
            log1p(text.count("(")),
            log1p(len(_OPTION.findall(text))),
            float(any(mark in text for mark in _CODE)),
        ],
        np.float32,
    )
