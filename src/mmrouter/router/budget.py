"""The budget: limits from config, counters that processes may share, the books behind them.

A request holds one reservation. Before each attempt it is set to what the request has cost so far
and the attempt's bound; when the request is in the books it is replaced by what it cost. A process
that dies in between leaves a reservation that lapses, and the books then say what it cost: nothing,
if they do not know the request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from mmrouter.config.schema import Config
from mmrouter.decide.budget import (
    Balance,
    Limit,
    Period,
    Scope,
    Span,
    Standing,
    all_limits,
    limited,
    limits_of,
    period,
    standing,
    tier,
)
from mmrouter.decide.plan import Spending
from mmrouter.errors import BudgetExceededError, StateError, UnpricedModelError
from mmrouter.money import format_usd
from mmrouter.state.base import Counters, Full, Unknown
from mmrouter.tracker.audit import recomputed
from mmrouter.tracker.store import Settled, Store
from mmrouter.types import Nanos, Request

logger = logging.getLogger(__name__)

GRACE_S = 86_400.0
"""How long counters outlive their period, for requests that began in it."""

BUSY_RETRY_S = 1.0
"""When to come again where only calls in flight stand in the way."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A limit's counter, and what the books say when every attempt is added up anew."""

    limit: Limit
    balance: Balance
    books_nanos: Nanos

    @property
    def drift_nanos(self) -> Nanos:
        """How much more the counter says than the books; zero when all is well."""
        return self.balance.settled - self.books_nanos


class LimitBudget:
    """See `router.ports.Budget`.

    Args:
        store: the books; read in a thread of its own.
        now: Unix seconds.
    """

    def __init__(
        self, config: Config, counters: Counters, store: Store, now: Callable[[], float]
    ) -> None:
        self._counters = counters
        self._store = store
        self._now = now
        self._config = config
        self._limited = limited(config)
        self._zone = ZoneInfo(config.budget.timezone)
        self._former: list[tuple[Config, ZoneInfo]] = []
        self._current: tuple[Period, ...] = ()
        self._warned: set[str] = set()
        self._settling: set[asyncio.Task[None]] = set()

    def configure(self, config: Config) -> None:
        """Limits of a config that takes the other's place.

        What counts against limits that were in force before is counted on: a limit that comes back
        must find its counter right.
        """
        if self._limited:
            self._former.append((self._config, self._zone))
        self._config = config
        self._limited = limited(config)
        self._zone = ZoneInfo(config.budget.timezone)
        self._current = ()

    async def standing(self, request: Request) -> Standing:
        """Raises BudgetExceededError where a limit is reached and config says to reject then."""
        limits = self._limits(request, self._now())
        if not limits:
            return Standing(Spending.NORMAL, request.max_cost_nanos)
        found = await self.balances(limits)
        if any(tier(*row, self._config.budget) is not Spending.NORMAL for row in found):
            if await self._sweep():
                found = await self.balances(limits)
            self._warn(found)
        stands = standing(found, self._config.budget, request.max_cost_nanos)
        if stands.tier is Spending.CHEAPEST and self._config.budget.hard_limit_action == "reject":
            limit, balance = next(
                row for row in found if tier(*row, self._config.budget) is Spending.CHEAPEST
            )
            raise self._exceeded(limit, balance, 0)
        return stands

    async def reserve(self, request: Request, started: float, amount: Nanos | None) -> None:
        limits = self._limits(request, started)
        if not limits and request.max_cost_nanos is None:
            return
        if amount is None:
            raise UnpricedModelError(
                "This call cannot be held to a limit: the model's price is unknown, or the request "
                "asks for what its price does not bound (tools that the provider runs, audio, "
                "documents of unknown length, no max_tokens). Give prices and facts under "
                "`models:`, or ask for less."
            )
        if request.max_cost_nanos is not None and amount > request.max_cost_nanos:
            raise BudgetExceededError(
                f"The request may cost up to {format_usd(amount)}, and its own limit is "
                f"{format_usd(request.max_cost_nanos)}"
            )
        if limits:
            await self._set_aside(request.id, amount, limits)

    async def settle(self, request: Request, started: float, cost_nanos: Nanos) -> None:
        counters = self._counters_of(request, started)
        if counters:
            settling = asyncio.create_task(self._settle(request.id, cost_nanos, counters))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
            await asyncio.shield(settling)

    def limits(self) -> tuple[Limit, ...]:
        """Every limit that config sets, in the periods of now."""
        return all_limits(self._config, self._periods(self._now()))

    async def balances(self, limits: Sequence[Limit]) -> list[tuple[Limit, Balance]]:
        """What is spent and promised of these limits; counters start from the books."""
        if not limits:
            return []
        found = await self._counters.read([limit.counter for limit in limits])
        if None in found:
            await self._start([x for x, balance in zip(limits, found, strict=True) if not balance])
            found = await self._counters.read([limit.counter for limit in limits])
        return [(limit, b) for limit, b in zip(limits, found, strict=True) if b is not None]

    async def audit(self) -> list[Audited]:
        """Every limit's counter against the books' own sum. Requests that end meanwhile show as
        drift: audit when it is quiet."""
        await self._sweep()
        found = await self.balances(self.limits())
        books = {
            start: await asyncio.to_thread(recomputed, self._store, since=start)
            for start in {limit.period.start for limit, _ in found}
        }
        return [Audited(x, b, spent(books[x.period.start], x)) for x, b in found]

    async def aclose(self) -> None:
        """Closes the counters, after the settlements whose requests were cancelled meanwhile."""
        if self._settling:
            await asyncio.wait(self._settling)
        await self._counters.aclose()

    async def _set_aside(self, id: str, amount: Nanos, limits: Sequence[Limit]) -> None:
        """Reserves to the end, also when its caller is cancelled meanwhile: only then is it certain
        what there is to settle."""
        reserving = asyncio.create_task(self._reserve(id, amount, limits))
        try:
            await asyncio.shield(reserving)
        except asyncio.CancelledError:
            await asyncio.wait([reserving])
            raise

    async def _reserve(self, id: str, amount: Nanos, limits: Sequence[Limit]) -> None:
        by_counter = {limit.counter: limit for limit in limits}
        nanos = {counter: limit.nanos for counter, limit in by_counter.items()}
        swept = False
        while True:
            match await self._counters.reserve(id, amount, nanos):
                case None:
                    return
                case Unknown(counters):
                    await self._start([by_counter[name] for name in counters])
                case Full(counter, balance):
                    if swept or not await self._sweep():
                        raise self._exceeded(by_counter[counter], balance, amount)
                    swept = True

    async def _settle(self, id: str, cost_nanos: Nanos, counters: Sequence[str]) -> None:
        try:
            held = await self._counters.settle(id, cost_nanos, counters)
        except StateError as error:
            logger.warning("request %s is settled when its reservation lapses: %s", id, error)
            return
        if held is not None and cost_nanos > held:
            logger.error(
                "request %s cost %s, and only %s had been set aside for it",
                id,
                format_usd(cost_nanos),
                format_usd(held),
            )

    async def _start(self, limits: Sequence[Limit]) -> None:
        for start in {limit.period.start for limit in limits}:
            settled = await asyncio.to_thread(self._store.settled, since=start)
            for limit in limits:
                if limit.period.start == start:
                    until = limit.period.end + GRACE_S
                    await self._counters.start(limit.counter, spent(settled, limit), until=until)

    async def _sweep(self) -> bool:
        """Resolves the reservations of dead processes by what the books say; whether any was."""
        lapsed = await self._counters.lapsed()
        for reservation in lapsed:
            row = await asyncio.to_thread(self._store.request, reservation.id)
            await self._counters.resolve(reservation, (row and row["cost_nanos"]) or 0)
        return bool(lapsed)

    def _limits(self, request: Request, at: float) -> tuple[Limit, ...]:
        if not self._limited:
            return ()
        return limits_of(self._config, request.key_name, request.tags, self._periods(at))

    def _counters_of(self, request: Request, at: float) -> list[str]:
        """What a finished request counts on: the limits in force, and those that were."""
        counters = [limit.counter for limit in self._limits(request, at)]
        for config, zone in self._former:
            periods = [period(span, at, zone) for span in Span]
            found = limits_of(config, request.key_name, request.tags, periods)
            counters += [limit.counter for limit in found if limit.counter not in counters]
        return counters

    def _periods(self, at: float) -> tuple[Period, ...]:
        if not all(p.start <= at < p.end for p in self._current) or not self._current:
            self._current = tuple(period(span, at, self._zone) for span in Span)
        return self._current

    def _exceeded(self, limit: Limit, balance: Balance, amount: Nanos) -> BudgetExceededError:
        spent_out = balance.settled >= limit.nanos or balance.settled + amount > limit.nanos
        message = f"The {limit.title} would be passed"
        if amount:
            message += f" by this call, which may cost up to {format_usd(amount)}"
        return BudgetExceededError(
            message,
            retry_after_s=limit.period.end - self._now() if spent_out else BUSY_RETRY_S,
        )

    def _warn(self, found: Sequence[tuple[Limit, Balance]]) -> None:
        """Once for each limit and tier."""
        for limit, balance in found:
            reached = tier(limit, balance, self._config.budget)
            note = f"{limit.counter} {reached}"
            if reached is not Spending.NORMAL and note not in self._warned:
                self._warned.add(note)
                logger.warning(
                    "%s: %s of %s is spent or set aside",
                    limit.title,
                    format_usd(balance.committed),
                    format_usd(limit.nanos),
                )


def spent(settled: Settled, limit: Limit) -> Nanos:
    """What the books say of this limit."""
    match limit.scope:
        case Scope.ALL:
            return settled.total
        case Scope.KEY:
            return settled.by_key.get(limit.name, 0)
        case Scope.TAG:
            return settled.by_tag.get(limit.name, 0)
