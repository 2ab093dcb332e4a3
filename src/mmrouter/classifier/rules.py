"""Structural features and patterns."""

from __future__ import annotations

from mmrouter.classifier.text import Judged
from mmrouter.types import Category, Classification, Complexity


class RulesClassifier:
    """See `classifier.base.Classifier`."""

    name = "rules"

    def classify(self, judged: Judged) -> Classification:
        return Classification(
            complexity=Complexity.SIMPLE,
            category=Category.FACTUAL,
            confidence=0.8,
            difficulty=0.2,
            strategy="rules",
        )
