"""The classifier that a command line asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mmrouter.classifier.base import Classifier

DEFAULT_CONFIG = "configs/default.yaml"


def classifier_for(config: str, strategy: str | None, trained_model: str | None) -> Classifier:
    """The local strategy of a config, or the one that options name over it.

    Reading a config costs more than classifying: where nobody has one, none is read.
    """
    from mmrouter.classifier.select import select

    if strategy == "llm":
        raise click.ClickException("--classifier llm is not built yet: use rules or embeddings")
    if strategy is None and (config != DEFAULT_CONFIG or Path(config).exists()):
        from mmrouter.config import load_config

        wanted = load_config(config).classifier
        strategy, trained_model = wanted.strategy, trained_model or wanted.trained_model
    return select(strategy or "auto", trained_model).classifier
