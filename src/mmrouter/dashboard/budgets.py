"""Budgets: what is spent of each limit, and where this month is heading."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mmrouter.config.schema import Config
from mmrouter.decide.budget import Balance, Limit, Span, all_limits, period, tier
from mmrouter.decide.forecast import forecast
from mmrouter.router.budget import spent
from mmrouter.tracker.analytics import By, stats
from mmrouter.tracker.store import Filter, Settled, Store
from mmrouter.types import Nanos

Json = dict[str, Any]

_LOOK_BACK_DAYS = 14


def budgets(store: Store, config: Config, now: float) -> Json:
    """The month's spending with its forecast, and each limit that config sets.

    What is set aside for calls in flight is known to the serving process only: see `reserved`.
    """
    zone = ZoneInfo(config.budget.timezone)
    periods = tuple(period(span, now, zone) for span in Span)
    settled = {p.span: store.settled(since=p.start) for p in periods}
    month = periods[-1]
    days = _full_days(store, zone, now)
    ahead = forecast(settled[Span.MONTH].total, days, now=now, start=month.start, end=month.end)
    return {
        "enabled": config.budget.enabled,
        "timezone": zone.key,
        "warn": config.budget.warn_threshold,
        "downgrade": config.budget.downgrade_threshold,
        "at_limit": config.budget.hard_limit_action,
        "today_nanos": settled[Span.DAY].total,
        "month": {
            "label": f"{datetime.fromtimestamp(now, zone):%Y-%m}",
            "start": month.start,
            "end": month.end,
            "now": now,
            "settled_nanos": settled[Span.MONTH].total,
            "unknown": settled[Span.MONTH].unknown,
            "forecast": ahead and asdict(ahead),
        },
        "limits": [_limit(x, settled[x.period.span], config) for x in all_limits(config, periods)],
    }


def _limit(limit: Limit, settled: Settled, config: Config) -> Json:
    nanos = spent(settled, limit)
    return {
        "counter": limit.counter,
        "title": limit.title,
        "scope": limit.scope.value,
        "name": limit.name,
        "span": limit.period.span.value,
        "ends": limit.period.end,
        "limit_nanos": limit.nanos,
        "settled_nanos": nanos,
        "tier": tier(limit, Balance(nanos, 0), config.budget).value,
    }


def _full_days(store: Store, zone: ZoneInfo, now: float) -> list[Nanos]:
    """Cost of each of the last full days, from the first that has requests."""
    today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = today - timedelta(days=_LOOK_BACK_DAYS)
    chosen = Filter(since=begin.timestamp(), until=today.timestamp())
    by_day = stats(store, chosen, by=By.DAY, zone=zone).groups
    if not by_day:
        return []
    first = min(day for day in by_day if day is not None)
    dates = [(begin + timedelta(days=n)).date().isoformat() for n in range(_LOOK_BACK_DAYS)]
    return [by_day[day].cost_nanos if day in by_day else 0 for day in dates if day >= first]
