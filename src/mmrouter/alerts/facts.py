"""What the rules look at, read from the books, the budget and the breakers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sqlalchemy import case, func, select

from mmrouter.alerts.rules import Facts, whose_breaker
from mmrouter.config.schema import AlertsConfig
from mmrouter.decide.breaker import Phase
from mmrouter.decide.budget import Balance, Limit
from mmrouter.tracker import schema
from mmrouter.tracker.analytics import percentiles
from mmrouter.tracker.instants import whole_seconds
from mmrouter.tracker.store import Store
from mmrouter.types import Nanos, Status

_HOUR_S = 3_600
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S

_MOST_CHANGES = 1_000
"""Of breakers, that are looked through."""

_USUAL_KEPT_S = 900.0
"""A week of hours changes little meanwhile."""

_AUDIT_EVERY_S = 900.0
"""Adding up every attempt of a month takes a while."""

_SETTLED_AFTER_S = 2.0
"""Between two looks at a difference: what ended meanwhile differs in one of them only."""

_requests = schema.requests.c


class Audited(Protocol):
    """A limit, and how much more its counter says than the books."""

    @property
    def limit(self) -> Limit: ...
    @property
    def drift_nanos(self) -> Nanos: ...


class Limits(Protocol):
    """What keeps the budget's limits; see `router.budget.LimitBudget`."""

    def limits(self) -> Sequence[Limit]: ...
    async def balances(self, limits: Sequence[Limit]) -> Sequence[tuple[Limit, Balance]]: ...
    async def audit(self) -> Sequence[Audited]: ...


class Look:
    """Gathers facts.

    Args:
        failing: whose breakers are open (see `whose_breaker`); None where another process serves,
            and the books know what it found last.
        now: Unix seconds.
        pause_s: seconds between two looks at a difference.
    """

    def __init__(
        self,
        config: AlertsConfig,
        store: Store,
        budget: Limits,
        failing: Callable[[], Iterable[str]] | None,
        now: Callable[[], float] = time.time,
        pause_s: float = _SETTLED_AFTER_S,
    ) -> None:
        self._config = config
        self._store = store
        self._budget = budget
        self._failing = failing
        self._now = now
        self._pause_s = pause_s
        self._usual: Sequence[Nanos] = ()
        self._usual_at = float("-inf")
        self._drift: Mapping[str, Nanos] | None = None
        self._audited_at = float("-inf")

    async def __call__(self, *, audit: bool) -> Facts:
        """The facts of now.

        Args:
            audit: add the books up anew where that was not done lately; takes seconds.

        Raises:
            TrackerError, StateError
        """
        now = self._now()
        if now - self._usual_at >= _USUAL_KEPT_S:
            self._usual = await asyncio.to_thread(usual_hours, self._store, now)
            self._usual_at = now
        found = await asyncio.to_thread(recent, self._store, self._config.window_seconds, now)
        limits = await self._budget.balances(self._budget.limits())
        if audit and now - self._audited_at >= _AUDIT_EVERY_S:
            self._drift = await self._audit()
            self._audited_at = now
        return replace(
            found,
            usual_hours=self._usual,
            limits=limits,
            open=sorted(await self._open()),
            drift=self._drift,
        )

    async def _open(self) -> Iterable[str]:
        if self._failing is not None:
            return self._failing()
        since = self._now() - _DAY_S
        return await asyncio.to_thread(last_open, self._store, since)

    async def _audit(self) -> Mapping[str, Nanos]:
        first = await self._differences()
        if not any(first.values()):
            return first
        await asyncio.sleep(self._pause_s)
        again = await self._differences()
        return {title: min(first.get(title, nanos), nanos) for title, nanos in again.items()}

    async def _differences(self) -> dict[str, Nanos]:
        return {row.limit.title: abs(row.drift_nanos) for row in await self._budget.audit()}


def recent(store: Store, window_s: float, now: float) -> Facts:
    """What the books say of the window and of the last hour.

    Args:
        window_s: how far back error rate, latency and unknown prices look.
        now: Unix seconds.
    """
    refused, failed = Status.REFUSED.value, Status.FAILED.value
    window = _requests.started >= now - window_s
    counts = select(
        func.count(case((_requests.status != refused, 1))),
        func.count(case((_requests.status == failed, 1))),
    ).where(window)
    waits = select(func.coalesce(_requests.ttft_ms, _requests.latency_ms)).where(
        window, _requests.status == Status.OK.value
    )
    unpriced = (
        select(func.coalesce(_requests.answered_model, _requests.requested_model), func.count())
        .where(window, _requests.cost_nanos.is_(None))
        .group_by(func.coalesce(_requests.answered_model, _requests.requested_model))
    )
    hour = select(func.coalesce(func.sum(_requests.cost_nanos), 0)).where(
        _requests.started >= now - _HOUR_S
    )
    with store.read() as connection:
        answerable, lost = connection.execute(counts).one()
        return Facts(
            answerable=answerable,
            failed=lost,
            first_byte_ms=percentiles(connection.execute(waits).scalars()).p95,
            unpriced={str(model): int(count) for model, count in connection.execute(unpriced)},
            hour_nanos=int(connection.execute(hour).scalar_one()),
        )


def last_open(store: Store, since: float) -> set[str]:
    """Whose breakers opened since then (Unix seconds), and did nothing after that."""
    changes = store.breaker_changes(since=since, limit=_MOST_CHANGES)
    last: dict[str, str] = {}
    for change in changes:  # newest first
        last.setdefault(whose_breaker(change["provider"], change["model"]), change["phase"])
    return {whose for whose, phase in last.items() if phase == Phase.OPEN}


def usual_hours(store: Store, now: float) -> tuple[Nanos, ...]:
    """Cost of each hour with requests of the week before the last hour.

    Args:
        now: Unix seconds.
    """
    ago = whole_seconds(now - _requests.started) // _HOUR_S
    query = (
        select(func.coalesce(func.sum(_requests.cost_nanos), 0))
        .where(_requests.started > now - _WEEK_S, _requests.started < now - _HOUR_S)
        .group_by(ago)
    )
    with store.read() as connection:
        return tuple(int(nanos) for nanos in connection.execute(query).scalars())
