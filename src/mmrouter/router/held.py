"""An answer that is held back while a gate looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

import orjson

from mmrouter.dialects.answer import Answer, read_events, read_whole
from mmrouter.dialects.base import mapping
from mmrouter.providers.base import Chunk, Finish
from mmrouter.providers.sse import EventTooLargeError, SseParser
from mmrouter.router.call import Answered
from mmrouter.types import Request

Pieces = AsyncGenerator[Chunk | Answered, None]

_AHEAD = 64
"""How many pieces may wait for a slow reader before the upstream must wait too."""


async def paced(
    answer: Pieces, wait_s: float | None
) -> AsyncGenerator[Chunk | Answered | None, None]:
    """The pieces of an answer, and among them one None when `wait_s` seconds are over.

    The call runs in a task of its own, so that nothing of it is lost to the clock.
    """
    if wait_s is None:
        async with aclosing(answer):
            async for piece in answer:
                yield piece
        return
    arrived: asyncio.Queue[Chunk | Answered | Exception] = asyncio.Queue(_AHEAD)
    loop = asyncio.get_running_loop()

    async def fetch() -> None:
        try:
            async with aclosing(answer):
                async for piece in answer:
                    await arrived.put(piece)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must learn of it
            await arrived.put(error)

    task = asyncio.create_task(fetch())
    until: float | None = loop.time() + wait_s
    try:
        while True:
            try:
                async with asyncio.timeout_at(until):
                    came = await arrived.get()
            except TimeoutError:
                until = None
                yield None
                continue
            if isinstance(came, Exception):
                raise came
            yield came
            if isinstance(came, Answered):
                return
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def read(request: Request, held: Sequence[Chunk], finish: Finish | None) -> Answer:
    """What was held back, as the model meant it.

    Args:
        finish: the end of the answer; None where it has not come yet.
    """
    if not request.stream:
        try:
            return read_whole(
                request.dialect, mapping(orjson.loads(finish.data if finish else b""))
            )
        except orjson.JSONDecodeError:
            return Answer()
    parser = SseParser()
    data = [chunk.data for chunk in held] + ([finish.data] if finish else [])
    try:
        events = [event.data for event in parser.feed(b"".join(data))]
    except EventTooLargeError:
        return Answer()
    return read_events(request.dialect, events)
