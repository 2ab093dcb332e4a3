"""A process that records until it is killed: `tracker_child.py URL CALLERS`.

Prints the id of each request after `record` has returned.
"""

from __future__ import annotations

import asyncio
import sys
import time
from uuid import uuid4

from mmrouter.tracker.store import open_store
from mmrouter.tracker.writer import Tracker
from mmrouter.types import (
    Attempt,
    AttemptStatus,
    Dialect,
    Outcome,
    Request,
    Role,
    Status,
    Surface,
    Target,
    Usage,
)

TARGET = Target(name="small", provider="corp", kind="openai", upstream="small-1")


def _outcome() -> Outcome:
    request = Request(
        id=f"req_{uuid4().hex}", surface=Surface.CHAT, dialect=Dialect.CHAT, model="auto", body={}
    )
    attempt = Attempt(
        target=TARGET,
        role=Role.ROUTE,
        status=AttemptStatus.OK,
        usage=Usage(input_tokens=10, output_tokens=20),
        cost_nanos=1_000,
        started=time.time(),
        latency_ms=5.0,
    )
    return Outcome(
        request=request,
        plan=None,
        attempts=(attempt,),
        status=Status.OK,
        started=time.time(),
        latency_ms=6.0,
        overhead_ms=0.3,
        cost_nanos=1_000,
    )


async def _record_for_ever(tracker: Tracker) -> None:
    while True:
        outcome = _outcome()
        await tracker.record(outcome)
        print(outcome.request.id, flush=True)


async def _main(url: str, callers: int) -> None:
    tracker = Tracker(open_store(url))
    await asyncio.gather(*(_record_for_ever(tracker) for _ in range(callers)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
