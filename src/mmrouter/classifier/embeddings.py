"""The default strategy: static embeddings under a small network, beside the rules' cues.

Where these are not sure, a transformer looks again (`second_look`), if it is installed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmrouter.classifier import features, trained
from mmrouter.classifier.base import Unsure
from mmrouter.classifier.difficulty import Difficulty
from mmrouter.classifier.encoder_static import StaticEncoder
from mmrouter.classifier.heads import Network, Vector, Verdict
from mmrouter.classifier.second_look import SecondLook
from mmrouter.classifier.text import Judged
from mmrouter.classifier.trained import TunedHeads
from mmrouter.types import Classification

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "weights"

UNSURE = 0.75
"""Whose confidence at first sight is lower, is looked at again. Of two held-out authors these are
38 % of the requests (47 % of long ones): 77 % right before, 88 after; looking at all again, 89."""


@cache
def shipped_encoder() -> StaticEncoder:
    """The encoder in the wheel, read once."""
    return StaticEncoder(SHIPPED)


@cache
def shipped_network() -> Network:
    """The network in the wheel, read once."""
    return Network.load(SHIPPED, shipped_encoder())


@cache
def shipped_difficulty() -> Difficulty:
    """The weights of `difficulty` in the wheel, read once."""
    return Difficulty.load(SHIPPED)


@cache
def shipped_look() -> SecondLook:
    """The transformer in the wheel, read once. Raises ImportError without ONNX Runtime."""
    return SecondLook.load(SHIPPED)


def can_look_again() -> bool:
    """Whether what the transformer runs on is installed."""
    return find_spec("onnxruntime") is not None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A request as the first sight has it: subwords, hidden layer, scores, difficulty."""

    subwords: NDArray[np.int64]
    hidden: Vector
    scores: Vector
    difficulty: float


class EmbeddingsClassifier:
    """See `classifier.base.Classifier`. The shipped weights are read when the first is made.

    Args:
        trained_model: folder that `mmrouter train` wrote, or None for the shipped network alone.
            Raises ConfigError where it cannot be used.
        second_look: whether the unsure are looked at again.
    """

    name = "embeddings"

    def __init__(self, trained_model: Path | None = None, second_look: bool = True) -> None:
        self._encoder = shipped_encoder()
        self._network = shipped_network()
        self._difficulty = shipped_difficulty()
        self._trained = None if trained_model is None else trained.load(trained_model, SHIPPED)
        # Neighbours are found by the hidden layer: better scores would change nothing.
        scored = self._trained is None or isinstance(self._trained, TunedHeads)
        self._second_look = second_look and scored and can_look_again()

    def classify(self, judged: Judged) -> Classification:
        found = self.begin(judged)
        return found.look_again() if isinstance(found, Unsure) else found

    def begin(self, judged: Judged) -> Classification | Unsure:
        read = features.of(judged, self._encoder)
        hidden = self._network.embed(read)
        scores = self._network.scores(hidden, read.cues)
        verdict = self._network.calibration.verdict(scores)
        difficulty = self._difficulty.of(judged.text, read.mean, verdict)
        seen = _Seen(read.subwords, hidden, scores, difficulty)
        first = self._said(seen, self._corrected(seen, scores) or verdict)
        if self._second_look and verdict.confidence < UNSURE:
            return Unsure(first, lambda: self._look_again(seen, first))
        return first

    def _look_again(self, seen: _Seen, first: Classification) -> Classification:
        try:
            look = shipped_look()
            scores = look.scores(seen.subwords, seen.scores)
        except Exception as error:
            # Whatever is wrong with a file or a library, a request has its labels at first sight.
            logger.exception("second look failed")
            return replace(first, degraded=f"second look: {type(error).__name__}")
        return self._said(seen, self._corrected(seen, scores) or look.calibration.verdict(scores))

    def _corrected(self, seen: _Seen, scores: Vector) -> Verdict | None:
        return None if self._trained is None else self._trained.verdict(seen.hidden, scores)

    def _said(self, seen: _Seen, verdict: Verdict) -> Classification:
        complexity, category = verdict.labels
        return Classification(
            complexity=complexity,
            category=category,
            confidence=verdict.confidence,
            difficulty=seen.difficulty,
            strategy=self.name,
        )
