"""The classification step: it can never fail a request."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mmrouter.classifier.base import Classifier, RemoteClassifier, Unsure
from mmrouter.classifier.text import judge
from mmrouter.dialects import Conversation
from mmrouter.dialects.question import Ask
from mmrouter.errors import MMRouterError
from mmrouter.types import Classification

logger = logging.getLogger(__name__)

_THREADS = min(4, os.cpu_count() or 1)

WAITING = 8 * _THREADS
"""Second looks under way at once. Beyond these, labels at first sight are taken: a flood of
requests is served less exactly and not later."""

FLOODED = "second look: too many at once"


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
        self._threads = ThreadPoolExecutor(_THREADS, "second-look")
        self._waiting = 0

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
        found = self._classifier.begin(judged)
        classification = await self._again(found) if isinstance(found, Unsure) else found
        if degraded is not None:
            classification = replace(classification, degraded=degraded)
        return classification, judged.text

    async def _again(self, unsure: Unsure) -> Classification:
        """The second look, in a thread, so that others are served meanwhile."""
        if self._waiting >= WAITING:
            return replace(unsure.first, degraded=FLOODED)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, unsure.look_again)
        finally:
            self._waiting -= 1
