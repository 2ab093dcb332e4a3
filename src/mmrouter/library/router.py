"""`Router`: `AsyncRouter` for code without asyncio. One event loop in a thread does the work."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from mmrouter.library.async_router import AnswerStream, AsyncRouter, Messages, Prompt
from mmrouter.library.result import RouteResult
from mmrouter.types import Classification, Plan, Surface

T = TypeVar("T")


class Router:
    """Routes prompts. The arguments and methods are those of `AsyncRouter`; safe from several
    threads.

    Use as `with Router() as router`, or call `close()`.
    """

    def __init__(
        self,
        config: Any = "configs/default.yaml",
        *,
        db: str | None = None,
        local_fallback: bool = False,
        surface: Surface = Surface.LIBRARY,
    ) -> None:
        self._router = AsyncRouter(config, db=db, local_fallback=local_fallback, surface=surface)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="mmrouter-loop", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Waits for the books to be written, closes connections and stops local models."""
        if self._loop.is_closed():
            return
        try:
            self._wait(self._router.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def route(self, prompt: str, **params: Any) -> RouteResult:
        """See `AsyncRouter.route`."""
        return self._wait(self._router.route(prompt, **params))

    def route_messages(self, messages: Messages, **params: Any) -> RouteResult:
        """See `AsyncRouter.route_messages`."""
        return self._wait(self._router.route_messages(messages, **params))

    def stream(self, prompt: Prompt, **params: Any) -> SyncAnswerStream:
        """See `AsyncRouter.stream`."""
        return SyncAnswerStream(self._router.stream(prompt, **params), self._loop)

    def decide(self, prompt: Prompt, **params: Any) -> Plan:
        """See `AsyncRouter.decide`."""
        return self._wait(self._router.decide(prompt, **params))

    def classify(self, prompt: Prompt) -> Classification:
        """See `AsyncRouter.classify`."""
        return self._router.classify(prompt)

    def feedback(self, request_id: str, score: float, *, comment: str | None = None) -> None:
        """See `AsyncRouter.feedback`."""
        self._wait(self._router.feedback(request_id, score, comment=comment))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


_PATIENCE_S = 5.0
"""Longest wait for a cancelled call to be in the books."""


class SyncAnswerStream:
    """Text as it arrives: an iterator. Leaving the loop early cancels the upstream call."""

    def __init__(self, stream: AnswerStream, loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop

    @property
    def result(self) -> RouteResult | None:
        """The whole, once the iteration has ended; None before."""
        return self._stream.result

    def __iter__(self) -> Iterator[str]:
        # the whole stream runs in one task of the loop: its timeouts belong to that task
        pieces: queue.Queue[str | None] = queue.Queue()

        async def pump() -> None:
            try:
                async for text in self._stream:
                    pieces.put(text)
            finally:
                pieces.put(None)

        future = asyncio.run_coroutine_threadsafe(pump(), self._loop)
        try:
            try:
                while (text := pieces.get()) is not None:
                    yield text
            except BaseException:
                # what the call has cost is in the books before the caller goes on, and closes them
                future.cancel()
                self._drain(pieces)
                raise
            future.result()
        finally:
            future.cancel()

    def _drain(self, pieces: queue.Queue[str | None]) -> None:
        """Waits for the end of the stream, unless its loop has ended before it."""
        with suppress(queue.Empty):
            while not self._loop.is_closed() and pieces.get(timeout=_PATIENCE_S) is not None:
                pass
