"""What a classifier is: judged text in, labels and two probabilities out."""

from __future__ import annotations

from typing import Protocol

from mmrouter.classifier.text import Judged
from mmrouter.dialects.question import Ask
from mmrouter.types import Classification


class Classifier(Protocol):
    """A strategy that runs on this machine: no I/O, no waiting, safe from several threads."""

    name: str

    def classify(self, judged: Judged) -> Classification:
        """The labels of what was asked. Never raises: an odd text gets low confidence."""


class RemoteClassifier(Protocol):
    """A strategy that asks a model."""

    name: str

    async def classify(self, judged: Judged, ask: Ask) -> Classification:
        """The labels. Raises MMRouterError; the local strategy then decides."""
