"""Routing: traffic, cost and answers of the twelve buckets, beside the routes of config."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, func, select

from mmrouter.config.schema import Config
from mmrouter.tracker import schema
from mmrouter.tracker.store import Filter, Store, conditions
from mmrouter.types import Category, Complexity, Status

Json = dict[str, Any]

_requests = schema.requests.c


def grid(store: Store, filter: Filter, config: Config) -> Json:
    """The buckets, each with who answered in it; and the requests that nobody classified."""
    answered = (Status.OK.value, Status.CANCELLED.value)
    query = (
        select(
            _requests.complexity,
            _requests.category,
            _requests.answered_model,
            func.count(),
            func.coalesce(func.sum(_requests.cost_nanos), 0),
            func.sum(_requests.latency_ms),
            func.count(case((_requests.status.not_in(answered), 1))),
            func.count(case((_requests.escalated, 1))),
        )
        .where(*conditions(filter, store.tags()))
        .group_by(_requests.complexity, _requests.category, _requests.answered_model)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    answers = [
        {
            "complexity": complexity,
            "category": category,
            "model": model,
            "requests": count,
            "cost_nanos": int(cost),
            "latency_ms": float(latency),
            "failed": failed,
            "escalated": escalated,
        }
        for complexity, category, model, count, cost, latency, failed, escalated in rows
    ]
    routes = [
        {
            "complexity": complexity.value,
            "category": category.value,
            "model": config.route(complexity, category).model,
            "fallbacks": list(config.route(complexity, category).fallbacks),
            "cascade": list(config.route(complexity, category).cascade),
        }
        for complexity in Complexity
        for category in Category
    ]
    return {"answers": answers, "routes": routes, "cascade": config.cascade.enabled}
