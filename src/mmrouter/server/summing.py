"""Sums up the books' hours beside the requests, so that looking at them is quick."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from mmrouter.errors import MMRouterError
from mmrouter.tracker.store import Store
from mmrouter.tracker.sums import sum_up

logger = logging.getLogger(__name__)

EVERY_S = 300.0
_SHARE = 0.2
"""Of one core, at most, while there is much to sum up."""


class Summing:
    """A task that sums up whatever is due, until it is closed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Returns when the store is no longer used."""
        self._stop.set()
        await self._task

    async def _run(self) -> None:
        while not self._stop.is_set():
            began = time.perf_counter()
            try:
                more = await asyncio.to_thread(sum_up, self._store, time.time())
            except MMRouterError as error:  # the tracker itself meets the same fault, and acts
                logger.warning("hours are not summed up: %s", error)
                more = False
            except Exception:
                logger.exception("hours are not summed up: a fault of our own")
                more = False
            took = time.perf_counter() - began
            with suppress(TimeoutError):
                async with asyncio.timeout(took * (1 / _SHARE - 1) if more else EVERY_S):
                    await self._stop.wait()
