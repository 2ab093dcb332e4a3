"""Judges a share of live answers in the background, after the client has them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mmrouter.eval.quality import Comparison, Referee
from mmrouter.types import Outcome, Status, Surface

logger = logging.getLogger(__name__)

_AT_ONCE = 2
_WAITING = 100
"""Answers that may wait to be judged; those that come while it is full are not judged."""

_DOORS = frozenset(Surface) - {Surface.QUALITY, Surface.EMBEDDINGS}


class Shadow:
    """Observes finished requests (see `router.ports.Observer`), and judges some of them.

    Args:
        noted: writes a comparison down.
        share: of the routed answers, 0..1.
        draw: random number in 0..1.
    """

    def __init__(
        self,
        referee: Referee,
        noted: Callable[[Comparison], Awaitable[None]],
        share: float,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._referee = referee
        self._noted = noted
        self._share = share
        self._draw = draw
        self._waiting: asyncio.Queue[tuple[Outcome, str]] = asyncio.Queue(_WAITING)
        self._workers: list[asyncio.Task[None]] = []

    def __call__(self, outcome: Outcome, text: str) -> None:
        """Takes a routed answer with the share's chance; never waits."""
        if not _may_be_judged(outcome) or self._draw() >= self._share:
            return
        if not self._workers:  # the first: now there is a loop to run in
            self._workers = [asyncio.create_task(self._work()) for _ in range(_AT_ONCE)]
        try:
            self._waiting.put_nowait((outcome, text))
        except asyncio.QueueFull:
            logger.warning(
                "shadow: %s is not judged, %d wait already", outcome.request.id, _WAITING
            )

    async def aclose(self) -> None:
        """Gives up what is not judged yet; calls under way are cancelled, and priced."""
        for worker in self._workers:
            worker.cancel()
        for worker in self._workers:
            with suppress(asyncio.CancelledError):
                await worker

    async def _work(self) -> None:
        while True:
            outcome, text = await self._waiting.get()
            try:
                await self._noted(await self._referee.compare(outcome, text))
            except Exception:  # nothing that happens here may end the judging of later answers
                logger.exception("shadow: %s could not be judged", outcome.request.id)


def _may_be_judged(outcome: Outcome) -> bool:
    """We chose the model, it answered, and the client has the answer."""
    routed = outcome.plan is not None and outcome.plan.classification is not None
    return routed and outcome.status is Status.OK and outcome.request.surface in _DOORS
