"""The classification step: it can never fail a request."""

from __future__ import annotations

import logging
from dataclasses import replace

from mmrouter.classifier.base import Classifier, RemoteClassifier
from mmrouter.classifier.text import judge
from mmrouter.dialects import Conversation
from mmrouter.dialects.question import Ask
from mmrouter.errors import MMRouterError
from mmrouter.types import Classification

logger = logging.getLogger(__name__)


class ClassifyStep:
    """Asks the configured classifier, and the local one where that one cannot answer.

    Args:
        classifier: the local strategy.
        remote: asked first, where config wants a model to classify.
        degraded: why a wanted strategy is not here, noted on every classification.
    """

    def __init__(
        self,
        classifier: Classifier,
        remote: RemoteClassifier | None = None,
        degraded: str | None = None,
    ) -> None:
        self._classifier = classifier
        self._remote = remote
        self._degraded = degraded

    async def __call__(
        self, conversation: Conversation, ask: Ask | None = None
    ) -> tuple[Classification, str]:
        judged = judge(conversation)
        degraded = self._degraded
        if self._remote is not None and ask is None:
            degraded = f"{self._remote.name}: a decision alone calls no model"
        elif self._remote is not None and ask is not None:
            try:
                return await self._remote.classify(judged, ask), judged.text
            except MMRouterError as error:
                degraded = f"{self._remote.name}: {type(error).__name__}"
                logger.warning(
                    "classifier %s failed, the local one decides: %s", self._remote.name, error
                )
        classification = self._classifier.classify(judged)
        if degraded is not None:
            classification = replace(classification, degraded=degraded)
        return classification, judged.text
