"""Which strategy runs: what is wanted, and what is installed."""

from __future__ import annotations

from dataclasses import dataclass

from mmrouter.classifier.base import Classifier
from mmrouter.classifier.rules import RulesClassifier


@dataclass(frozen=True, slots=True)
class Selected:
    """The strategy in force, and why it is not the wanted one (None if it is)."""

    classifier: Classifier
    degraded: str | None = None


def select(strategy: str, trained_model: str | None = None) -> Selected:
    """The local strategy for "auto", "rules", "embeddings" or "llm" (which rests on a local one).

    It never fails: rules are always there.
    """
    return Selected(RulesClassifier())
