"""The default strategy: static embeddings under a small network, beside the rules' cues."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mmrouter.classifier import features, trained
from mmrouter.classifier.difficulty import Difficulty
from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.heads import Network
from mmrouter.classifier.text import Judged
from mmrouter.types import Classification

SHIPPED = Path(__file__).parent / "weights"


@cache
def shipped_encoder() -> StaticEncoder:
    """The encoder in the wheel, read once."""
    return StaticEncoder(SHIPPED)


@cache
def shipped_network() -> Network:
    """The network in the wheel, read once."""
    return Network.load(SHIPPED)


@cache
def shipped_difficulty() -> Difficulty:
    """The weights of `difficulty` in the wheel, read once."""
    return Difficulty.load(SHIPPED)


class EmbeddingsClassifier:
    """See `classifier.base.Classifier`. The shipped weights are read when the first is made.

    Args:
        trained_model: folder that `mmrouter train` wrote, or None for the shipped network alone.
            Raises ConfigError where it cannot be used.
    """

    name = "embeddings"

    def __init__(self, trained_model: Path | None = None) -> None:
        self._encoder = shipped_encoder()
        self._network = shipped_network()
        self._difficulty = shipped_difficulty()
        self._trained = None if trained_model is None else trained.load(trained_model, SHIPPED)

    def classify(self, judged: Judged) -> Classification:
        read = features.of(judged, self._encoder)
        hidden = self._network.embed(read.vectors)
        scores = self._network.scores(hidden, read.cues)
        verdict = self._network.calibration.verdict(scores)
        difficulty = self._difficulty.of(judged.text, read.vectors, verdict)
        if self._trained is not None:
            verdict = self._trained.verdict(hidden, scores)
        complexity, category = verdict.labels
        return Classification(
            complexity=complexity,
            category=category,
            confidence=verdict.confidence,
            difficulty=difficulty,
            strategy=self.name,
        )
