"""A request's answer once it is complete, for callers that want no events."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from mmrouter.router.pipeline import Done, Events
from mmrouter.types import Request

Run = Callable[[Request], Events]
"""`Pipeline.run`, or what stands before it."""


async def whole(run: Run, request: Request) -> Done:
    """Runs a request to its end.

    Raises:
        MMRouterError: see `Pipeline.run`.
    """
    async with aclosing(run(request)) as events:
        async for event in events:
            if isinstance(event, Done):
                return event
    raise AssertionError("the pipeline ends with Done or an error")
