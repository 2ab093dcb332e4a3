"""A run of `mmrouter quality`: routes conversations, and has each answer compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mmrouter.decide.budget import QUALITY_TAG
from mmrouter.errors import MMRouterError
from mmrouter.eval.quality import Comparison, Referee
from mmrouter.eval.sample import Body
from mmrouter.router.ids import new_request_id
from mmrouter.router.whole import Run, whole
from mmrouter.types import Dialect, Nanos, Request, Surface

_AT_ONCE = 4


async def rate(
    run: Run,
    referee: Referee,
    bodies: Sequence[Body],
    noted: Callable[[Comparison], None],
    *,
    most_nanos: Nanos | None = None,
) -> None:
    """Compares every conversation, a few at a time, and notes each comparison when it is made.

    Args:
        most_nanos: no comparison begins once the others have spent this.
    """
    spent = 0
    waiting = iter(bodies)

    async def work() -> None:
        nonlocal spent
        for body in waiting:
            if most_nanos is not None and spent >= most_nanos:
                return
            comparison = await _compared(run, referee, body)
            spent += (comparison.routed_nanos or 0) + comparison.judging_nanos
            noted(comparison)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())


async def _compared(run: Run, referee: Referee, body: Body) -> Comparison:
    request = Request(
        id=new_request_id(),
        surface=Surface.QUALITY,
        dialect=Dialect.CHAT,
        model="auto",
        body=dict(body) | {"model": "auto"},
        tags=(QUALITY_TAG,),
    )
    try:
        done = await whole(run, request)
    except MMRouterError as error:
        return referee.unanswered(request, f"routing failed: {error}")
    return await referee.compare(done.outcome, done.text)
