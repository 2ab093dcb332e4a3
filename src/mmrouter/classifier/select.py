"""Which strategy runs: what is wanted, and what is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmrouter.classifier.base import Classifier
from mmrouter.classifier.rules import RulesClassifier


@dataclass(frozen=True, slots=True)
class Selected:
    """The strategy in force, and why it is not the wanted one (None if it is)."""

    classifier: Classifier
    degraded: str | None = None


def select(strategy: str, trained_model: str | None = None, second_look: bool = True) -> Selected:
    """The local strategy for "auto", "rules", "embeddings" or "llm" (behind which stand the rules).

    It never fails for want of an extra: rules are always there.

    Raises:
        ConfigError: `trained_model` is not a folder that `mmrouter train` wrote.
    """
    if strategy in ("rules", "llm"):
        return Selected(RulesClassifier())
    try:
        from mmrouter.classifier.embeddings import EmbeddingsClassifier
    except ImportError as error:
        why = f'embeddings need {error.name}: pip install "mmrouter[embeddings]"'
        wanted = strategy == "embeddings" or trained_model is not None
        return Selected(RulesClassifier(), why if wanted else None)
    folder = Path(trained_model) if trained_model else None
    return Selected(EmbeddingsClassifier(folder, second_look))
