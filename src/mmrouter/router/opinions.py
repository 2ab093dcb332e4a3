"""What people said of answers, as the books had it a moment ago.

Every process reads the books for itself, so all of them learn of a score within
`adaptive.cache_ttl`, through whichever of them it came.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from mmrouter.config.schema import AdaptiveConfig
from mmrouter.decide.feedback import Tallies
from mmrouter.errors import TrackerError
from mmrouter.tracker.feedback import tallies
from mmrouter.tracker.store import Store

logger = logging.getLogger(__name__)


class Opinions:
    """Scores, read in the background: no request waits for them.

    Args:
        models: how many models config names.
        now: Unix seconds.
        uniform: random number in 0..1.
    """

    def __init__(
        self,
        config: AdaptiveConfig,
        store: Store,
        models: int,
        now: Callable[[], float],
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._store = store
        self._draws = models if config.strategy == "thompson" else 0
        self._now = now
        self._uniform = uniform
        self._tallies: Tallies = {}
        self._read_at = 0.0
        self._reading: asyncio.Task[None] | None = None
        # at once, for a process that answers one request and ends
        self._read()

    def current(self) -> Tallies:
        """The scores, at most `cache_ttl` and one reading old while requests come in."""
        if self._reading is None and self._now() - self._read_at >= self._config.cache_ttl:
            self._reading = asyncio.create_task(asyncio.to_thread(self._read))
            self._reading.add_done_callback(self._end)
        return self._tallies

    def draws(self, session: str | None) -> Sequence[float]:
        """Random numbers for one decision; none where the strategy needs none.

        Args:
            session: the turns of a conversation get the same ones, so that it stays with its model
                (and that one's prompt cache) until the scores themselves say otherwise.
        """
        if not self._draws:
            return ()
        uniform = self._uniform if session is None else random.Random(session).random  # noqa: S311
        return [uniform() for _ in range(self._draws)]

    async def aclose(self) -> None:
        """Waits for a reading that is under way."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    def _end(self, task: asyncio.Task[None]) -> None:
        self._reading = None

    def _read(self) -> None:
        self._read_at = now = self._now()
        try:
            self._tallies = tallies(self._store, now=now, decay_days=self._config.decay_days)
        except TrackerError as error:
            logger.warning("feedback stays what it was: %s", error)
