"""Routing: traffic, cost and answers of the twelve buckets, beside the routes of config."""

from __future__ import annotations

from typing import Any

from mmrouter.config.schema import Config
from mmrouter.tracker.facts import REQUESTS
from mmrouter.tracker.store import Filter, Store
from mmrouter.tracker.sums import gather
from mmrouter.types import Category, Complexity

Json = dict[str, Any]

_MEASURES = ("requests", "cost_nanos", "latency_ms", "failed", "escalated")


def grid(store: Store, filter: Filter, config: Config) -> Json:
    """The buckets, each with who answered in it; and the requests that nobody classified."""
    found = gather(
        store,
        REQUESTS,
        filter,
        lambda facts: [facts.complexity, facts.category, facts.answered_model],
        _MEASURES,
    )
    answers = [
        {
            "complexity": complexity,
            "category": category,
            "model": model,
            **dict(zip(_MEASURES, sums, strict=True)),
        }
        for (complexity, category, model), sums in found.items()
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
