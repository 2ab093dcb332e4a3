"""Sums over many requests, worked out by one thread at a time however many viewers ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Any

_KEPT_FOR = 10.0
"""An answer is kept for this many times as long as it took: looking at the books then never takes
more than a tenth of one core from the requests that are being served."""

_MOST = 200


class Memo:
    """Answers by question.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._monotonic = monotonic
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self._turn = asyncio.Semaphore(2)

    async def get(self, question: Hashable, work: Callable[[], Any], *, least_s: float = 0) -> Any:
        """The answer of `work`, which runs in a thread, or one that is still fresh.

        Args:
            question: equal for equal answers.
            least_s: seconds that an answer is kept for at least.
        """
        kept = self._kept.get(question)
        if kept is not None and kept[0] > self._monotonic():
            return kept[1]
        task = self._running.get(question)
        if task is None:
            task = asyncio.create_task(self._work(question, work, least_s))
            self._running[question] = task
            task.add_done_callback(lambda _: self._running.pop(question, None))
        return await asyncio.shield(task)  # a viewer who leaves takes no other's answer along

    def forget(self) -> None:
        """Drops every answer: the books were changed by the viewer."""
        self._kept.clear()

    async def _work(self, question: Hashable, work: Callable[[], Any], least_s: float) -> Any:
        async with self._turn:
            began = self._monotonic()
            answer = await asyncio.to_thread(work)
            took = self._monotonic() - began
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[question] = (self._monotonic() + max(least_s, took * _KEPT_FOR), answer)
        return answer
