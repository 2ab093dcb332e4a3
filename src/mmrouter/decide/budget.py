"""Spending limits: which of them a request falls under, and how near to them spending is.

A request belongs to the day and the month in which it arrived, however long it takes. What counts
against a limit is what is settled and what is set aside for calls in flight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from mmrouter.config.schema import BudgetConfig, Config
from mmrouter.decide.plan import Spending
from mmrouter.money import NANOS_PER_USD
from mmrouter.types import Nanos

MOST_NANOS = 2**53 - 1
"""Nine million dollars: a higher limit counts as this one, the most that Redis compares exactly."""


QUALITY_TAG = "quality"
"""Marks requests made to compare answers."""


class Span(StrEnum):
    """How long a limit lasts."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """One day or month of a time zone.

    Attributes:
        label: "2026-11-23 Europe/Berlin", "2026-11 Europe/Berlin".
        start: first instant, Unix seconds.
        end: the next period's first instant.
    """

    span: Span
    label: str
    start: float
    end: float


def period(span: Span, now: float, zone: ZoneInfo) -> Period:
    """The day or month that holds the instant `now` (Unix seconds).

    A day lasts from midnight to midnight by the zone's clocks: 23 to 25 hours.
    """
    today = datetime.fromtimestamp(now, zone).date()
    if span is Span.DAY:
        first, following = today, today + timedelta(days=1)
    else:
        first = today.replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
    label = f"{first:%Y-%m-%d}" if span is Span.DAY else f"{first:%Y-%m}"
    return Period(span, f"{label} {zone.key}", _midnight(first, zone), _midnight(following, zone))


def _midnight(day: date, zone: ZoneInfo) -> float:
    """The day's first instant. Where clocks skip midnight that is the moment of the skip, and where
    they show it twice, the first time: `fold=0` means both."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


class Scope(StrEnum):
    """Whose spending a limit holds."""

    ALL = "all"
    KEY = "key"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may be spent on some requests in one period.

    Attributes:
        name: of the key or the tag; empty for all requests.
    """

    scope: Scope
    name: str
    period: Period
    nanos: Nanos

    @property
    def counter(self) -> str:
        """Names what is counted: the same whatever the limit's height."""
        return f"{self.period.label} {self.scope} {self.name}".rstrip()

    @property
    def title(self) -> str:
        """ "daily limit of key 'ann'"."""
        of = "" if self.scope is Scope.ALL else f" of {self.scope} '{self.name}'"
        return f"{'daily' if self.period.span is Span.DAY else 'monthly'} limit{of}"


@dataclass(frozen=True, slots=True)
class Balance:
    """What is spent and promised of a limit.

    Attributes:
        settled: cost of finished requests.
        reserved: set aside for calls in flight.
    """

    settled: Nanos
    reserved: Nanos

    @property
    def committed(self) -> Nanos:
        """Both: what another request cannot count on."""
        return self.settled + self.reserved


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands with its limits.

    Attributes:
        room_nanos: what they leave to it; None where it falls under none.
    """

    tier: Spending
    room_nanos: Nanos | None


def limited(config: Config) -> bool:
    """Config sets some limit that requests share."""
    return any(True for _ in _rows(config))


def limits_of(
    config: Config, key_name: str | None, tags: Iterable[str], periods: Sequence[Period]
) -> tuple[Limit, ...]:
    """The limits that a request falls under in these periods, several at once."""
    named = {(Scope.ALL, ""), (Scope.KEY, key_name), *((Scope.TAG, tag) for tag in tags)}
    return tuple(
        limit for limit in all_limits(config, periods) if (limit.scope, limit.name) in named
    )


def all_limits(config: Config, periods: Sequence[Period]) -> tuple[Limit, ...]:
    """Every limit that config sets, in these periods."""
    return tuple(
        Limit(scope, name, period, min(round(usd * NANOS_PER_USD), MOST_NANOS))
        for scope, name, span, usd in _rows(config)
        for period in periods
        if period.span is span
    )


def _rows(config: Config) -> Iterator[tuple[Scope, str, Span, float]]:
    """Limits in USD. Keys' limits stand in their own section and hold without `budget.enabled`."""
    budget = config.budget
    if budget.enabled:
        # here 0 is no limit; elsewhere it forbids to spend anything
        for span, usd in ((Span.DAY, budget.daily_limit), (Span.MONTH, budget.monthly_limit)):
            if usd > 0:
                yield Scope.ALL, "", span, usd
        for tag, row in budget.tags.items():
            yield from _pair(Scope.TAG, tag, row.daily_limit, row.monthly_limit)
    if config.quality.shadow > 0:
        yield Scope.TAG, QUALITY_TAG, Span.DAY, config.quality.daily_limit
    for key, row_ in config.server.keys.items():
        yield from _pair(Scope.KEY, key, row_.daily_limit, row_.monthly_limit)


def _pair(
    scope: Scope, name: str, daily: float | None, monthly: float | None
) -> Iterator[tuple[Scope, str, Span, float]]:
    if daily is not None:
        yield scope, name, Span.DAY, daily
    if monthly is not None:
        yield scope, name, Span.MONTH, monthly


_ORDER = tuple(Spending)


def tier(limit: Limit, balance: Balance, config: BudgetConfig) -> Spending:
    """The tier of one limit."""
    committed = balance.committed
    if committed >= limit.nanos:
        return Spending.CHEAPEST
    if committed >= config.downgrade_threshold * limit.nanos:
        return Spending.DOWNGRADE
    if committed >= config.warn_threshold * limit.nanos:
        return Spending.WARN
    return Spending.NORMAL


def standing(
    found: Sequence[tuple[Limit, Balance]], config: BudgetConfig, max_cost_nanos: Nanos | None
) -> Standing:
    """The tier of the tightest limit, and what the least of them leaves.

    Args:
        max_cost_nanos: the request's own budget; it has no tiers.
    """
    tiers = [tier(limit, balance, config) for limit, balance in found]
    rooms = [max(0, limit.nanos - balance.committed) for limit, balance in found]
    if max_cost_nanos is not None:
        rooms.append(max_cost_nanos)
    return Standing(max(tiers, key=_ORDER.index, default=Spending.NORMAL), min(rooms, default=None))
