"""The default strategy: static embeddings and hashed n-grams under linear heads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mmrouter.classifier import features
from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.heads import COMPLEXITIES, Heads
from mmrouter.classifier.text import Judged
from mmrouter.types import Classification

SHIPPED = Path(__file__).parent / "weights"


@cache
def shipped_encoder() -> StaticEncoder:
    """The encoder in the wheel, read once."""
    return StaticEncoder(SHIPPED)


@cache
def shipped_heads() -> Heads:
    """The heads in the wheel, read once."""
    return Heads.load(SHIPPED)


class EmbeddingsClassifier:
    """See `classifier.base.Classifier`. Weights are read when it is made (about 60 ms)."""

    name = "embeddings"

    def __init__(self) -> None:
        self._encoder = shipped_encoder()
        self._heads = shipped_heads()

    def classify(self, judged: Judged) -> Classification:
        verdict = self._heads.judge(features.of(judged, self._encoder))
        complexity, category = verdict.labels
        return Classification(
            complexity=complexity,
            category=category,
            confidence=verdict.confidence,
            difficulty=float(verdict.complexity @ _LEVELS),
            strategy=self.name,
        )


_LEVELS = [level / (len(COMPLEXITIES) - 1) for level in range(len(COMPLEXITIES))]
