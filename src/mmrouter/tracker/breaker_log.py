"""The history of breakers: each change becomes a row of the books, off the request path."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

from mmrouter.decide.breaker import Change
from mmrouter.errors import TrackerError
from mmrouter.tracker.store import Store

logger = logging.getLogger(__name__)

_MOST_WAITING = 1_000
_MOST_CAUSE = 500


class BreakerLog:
    """Takes changes from any thread; one of its own, begun by the first, writes them. What cannot
    be written is logged and let go: no answer depends on it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: SimpleQueue[Change | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, change: Change) -> None:
        """Notes a change; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mmrouter-breakers", daemon=True)
            self._thread.start()
        if self._queue.qsize() < _MOST_WAITING:
            self._queue.put(change)

    def close(self) -> None:
        """Writes what waits. The store must still be open."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (change := self._queue.get()) is not None:
            logger.warning("%s", _words(change))
            row = {
                "at": change.at,
                "provider": change.provider,
                "model": change.model,
                "phase": change.phase.value,
                "cause": change.cause and change.cause[:_MOST_CAUSE],
            }
            try:
                self._store.add_breaker_change(row)
            except TrackerError as error:
                logger.warning("a breaker's change is not in the books: %s", error)


def _words(change: Change) -> str:
    what = change.provider if change.model is None else f"{change.model} at {change.provider}"
    return f"breaker of {what}: {change.phase.value}" + (
        f" ({change.cause})" if change.cause else ""
    )
