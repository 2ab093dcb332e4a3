"""What is remembered of conversations: a model's name, weights and token counts; no content."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from mmrouter.decide.session import Session


class Sessions(Protocol):
    """Conversations by the name of their thread. Losing one costs money, never an answer: nothing
    here raises or makes a request wait for long."""

    async def get(self, thread: str) -> Session | None:
        """What is known of the conversation."""

    def recall(self, thread: str) -> Session | None:
        """What this process knew of it last, without asking anybody."""

    def put(self, thread: str, session: Session) -> None:
        """Remembers it from now on. Returns at once."""

    async def aclose(self) -> None:
        """Writes what is still to be written."""


class MemorySessions:
    """In this process: the most recently used, until they expire. For one event loop.

    Args:
        ttl: seconds.
        most: conversations.
        now: Unix seconds.
    """

    def __init__(self, *, ttl: float, most: int, now: Callable[[], float] = time.time) -> None:
        self._ttl = ttl
        self._most = most
        self._now = now
        self._known: OrderedDict[str, tuple[float, Session]] = OrderedDict()  # the oldest first

    async def get(self, thread: str) -> Session | None:
        return self.recall(thread)

    def recall(self, thread: str) -> Session | None:
        found = self._known.get(thread)
        if found is None:
            return None
        until, session = found
        if self._now() < until:
            return session
        del self._known[thread]
        return None

    def put(self, thread: str, session: Session) -> None:
        known, now = self._known, self._now()
        known[thread] = now + self._ttl, session
        known.move_to_end(thread)
        for _ in range(2):  # one may have come in and two go, so that nothing is left to sweep
            oldest = next(iter(known))
            if len(known) > self._most or known[oldest][0] <= now:
                del known[oldest]

    def forget(self, thread: str) -> None:
        """Drops the conversation."""
        self._known.pop(thread, None)

    async def aclose(self) -> None:
        """Holds nothing open."""
