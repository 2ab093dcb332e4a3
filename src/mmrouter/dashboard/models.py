"""Models and providers: what each costs, how it answers, what people say of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select

from mmrouter.config.schema import Config
from mmrouter.dashboard.latency import latencies
from mmrouter.errors import MMRouterError
from mmrouter.providers.registry import Registry
from mmrouter.tracker import schema
from mmrouter.tracker.facts import CALLS
from mmrouter.tracker.store import Filter, Store, conditions
from mmrouter.tracker.sums import gather
from mmrouter.types import Price, Target

Json = dict[str, Any]

_requests, _feedback = schema.requests.c, schema.feedback.c


def models(store: Store, filter: Filter, config: Config, registry: Registry) -> Json:
    """Every model that config names or that was called, dearest first."""
    calls = _calls(store, filter)
    times = latencies(store, filter)
    said = _said(store, filter)
    names = dict.fromkeys((*calls, *config.model_names(), *config.models))
    rows = [
        {
            "name": name,
            **_facts(name, registry),
            **calls.get(name, _NO_CALLS),
            "times": asdict(times.models[name]) if name in times.models else None,
            "feedback": said.get(name, []),
        }
        for name in names
    ]
    rows.sort(key=lambda row: (-row["cost_nanos"], -row["calls"], row["name"]))
    return {"models": rows, "sampled": times.sampled, "baseline": config.baseline_model}


_NO_CALLS: Json = {
    "calls": 0,
    "cost_nanos": 0,
    "unpriced": 0,
    "failed": 0,
    "rejected": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_tokens": 0,
}


def _calls(store: Store, filter: Filter) -> dict[str, Json]:
    """Calls by model: every attempt counts, whether its answer was used or not."""

    found = gather(store, CALLS, filter, lambda facts: [facts.model], tuple(_NO_CALLS))
    return {name: dict(zip(_NO_CALLS, sums, strict=True)) for (name,), sums in found.items()}


def _said(store: Store, filter: Filter) -> dict[str, list[Json]]:
    """Feedback by model and bucket: how many scores, and their sum."""
    query = (
        select(
            _requests.answered_model,
            _requests.complexity,
            _requests.category,
            func.count(),
            func.sum(_feedback.score),
        )
        .select_from(schema.feedback.join(schema.requests, _feedback.request_id == _requests.id))
        .where(*conditions(filter, store.tags()), _requests.answered_model.is_not(None))
        .group_by(_requests.answered_model, _requests.complexity, _requests.category)
    )
    found: dict[str, list[Json]] = {}
    with store.read() as connection:
        for model, complexity, category, count, total in connection.execute(query):
            row = {
                "complexity": complexity,
                "category": category,
                "count": count,
                "sum": float(total),
            }
            found.setdefault(model, []).append(row)
    return found


def _facts(name: str, registry: Registry) -> Json:
    """What is known of a model now; one that config no longer names may be unknown."""
    try:
        target = registry.resolve(name)
    except MMRouterError:
        return {"known": False, "provider": None, "price": None}
    return {
        "known": True,
        "provider": target.provider,
        "kind": target.kind,
        "upstream": target.upstream,
        "has_key": registry.has_key(target),
        "key_env": target.api_key_env,
        "context_window": target.context_window,
        "max_output": target.max_output,
        "capabilities": _listed(target),
        "price": None if target.price is None else _price(target.price),
    }


def _listed(target: Target) -> list[str] | None:
    names: Iterable[str] | None = target.capabilities
    return None if names is None else sorted(names)


def _price(price: Price) -> Json:
    """USD per million tokens, by tier."""
    tiers = [
        {
            "from_tokens": least,
            **{
                kind: None if rate is None else rate / 1_000_000
                for kind, rate in asdict(rates).items()
            },
        }
        for least, rates in price.tiers
    ]
    return {"source": price.source, "tiers": tiers}
