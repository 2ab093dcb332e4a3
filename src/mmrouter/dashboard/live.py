"""Whether anything has happened: the books' pulse, for whoever writes to them in any process."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from mmrouter.tracker import schema
from mmrouter.tracker.store import Store

_LOOK_BACK_S = 660.0
"""A row is written when its request ends, and stands at the time when it began: so long may lie
between them with `provider.total_timeout_ms` at its default."""

_STILL_S = 600.0
"""How long the first instant that is looked at stands still: no row then leaves by growing old."""

_started = schema.requests.c.started


def pulse(store: Store, now: float) -> dict[str, Any]:
    """Requests of the last minutes, and when the last one began: changes with every request."""
    since = now // _STILL_S * _STILL_S - _LOOK_BACK_S
    query = select(func.count(), func.max(_started)).where(_started >= since)
    with store.read() as connection:
        requests, last = connection.execute(query).one()
    return {"requests": requests, "last": last, "since": since}
