"""What a classifier is: judged text in, labels and two probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mmrouter.classifier.text import Judged
from mmrouter.dialects.question import Ask
from mmrouter.types import Classification


@dataclass(frozen=True, slots=True)
class Unsure:
    """Labels at first sight, and what would make surer of them.

    Attributes:
        first: the labels to take where there is no time.
        look_again: the labels after some 3 to 80 ms of work; safe in another thread. Never raises.
    """

    first: Classification
    look_again: Callable[[], Classification]


class Labeller(Protocol):
    """Whatever labels requests."""

    name: str

    def classify(self, judged: Judged) -> Classification:
        """The labels of what was asked. Never raises: an odd text gets low confidence."""


class Classifier(Labeller, Protocol):
    """A strategy that runs on this machine: no I/O, no waiting, safe from several threads."""

    def begin(self, judged: Judged) -> Classification | Unsure:
        """The same within a millisecond or two, for a caller who serves others meanwhile."""


class RemoteClassifier(Protocol):
    """A strategy that asks a model."""

    name: str

    async def classify(self, judged: Judged, ask: Ask) -> Classification:
        """The labels. Raises MMRouterError; the local strategy then decides."""
