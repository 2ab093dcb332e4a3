"""A conversation as the books know it: for processes that live for one request only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy import select

from mmrouter.config.schema import SessionsConfig
from mmrouter.decide.session import Session, answered
from mmrouter.dialects.history import NEW
from mmrouter.errors import MMRouterError
from mmrouter.tracker.schema import requests
from mmrouter.tracker.store import Store
from mmrouter.types import Complexity, Request, Status, Surface, Target, Usage


class EarlierAnswers:
    """Looks up who answered last in a named conversation of the command line.

    Args:
        resolve: a model's name to its target.
        now: Unix seconds.
    """

    def __init__(
        self,
        config: SessionsConfig,
        store: Store,
        resolve: Callable[[str], Target],
        now: Callable[[], float],
    ) -> None:
        self._config = config
        self._store = store
        self._resolve = resolve
        self._now = now

    async def __call__(self, request: Request) -> Session | None:
        """None where nothing is known, or nothing was asked for."""
        if request.surface is not Surface.CLI or request.session is None:
            return None
        try:
            return await asyncio.to_thread(self._find, request.session)
        except MMRouterError:  # a lost database is the tracker's to tell; an old name is no one's
            return None

    def _find(self, session: str) -> Session | None:
        table = requests.c
        query = (
            select(requests)
            .where(
                table.session == session,
                table.status == Status.OK.value,
                table.surface == Surface.CLI.value,
                table.answered_model.is_not(None),
                table.started > self._now() - self._config.ttl,
            )
            .order_by(table.started.desc())
            .limit(1)
        )
        with self._store.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        usage = Usage(
            input_tokens=row.input_tokens,
            cache_read_tokens=row.cache_read_tokens,
            cache_write_tokens=row.cache_write_tokens,
            cache_write_1h_tokens=row.cache_write_1h_tokens,
        )
        level = None if row.complexity is None else Complexity(row.complexity)
        return answered(
            None,
            self._resolve(row.answered_model),
            usage,
            level,
            NEW,
            self._config.momentum_half_life,
            row.started,
        )
