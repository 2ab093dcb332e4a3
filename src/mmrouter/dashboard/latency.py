"""How long requests took: percentiles over all, and by model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select, text

from mmrouter.tracker import schema
from mmrouter.tracker.analytics import SAMPLE_ABOVE, Percentiles, percentiles
from mmrouter.tracker.facts import REQUESTS
from mmrouter.tracker.store import Filter, Store, conditions
from mmrouter.tracker.sums import gather

_requests = schema.requests.c


@dataclass(frozen=True, slots=True)
class Times:
    """Percentiles of whole answers and of first bytes, in milliseconds."""

    latency: Percentiles
    ttft: Percentiles


@dataclass(frozen=True, slots=True)
class Latencies:
    """Answer of `latencies`.

    Attributes:
        sampled: measured on a sixteenth of the requests, chosen by their random ids.
    """

    total: Times
    models: dict[str, Times]
    sampled: bool


def latencies(store: Store, filter: Filter) -> Latencies:
    """The times of the requests that `filter` lets through; by model that answered."""
    counted = gather(store, REQUESTS, filter, lambda facts: [], ["requests"])
    sampled = sum(count for (count,) in counted.values()) > SAMPLE_ABOVE
    query = select(_requests.answered_model, _requests.latency_ms, _requests.ttft_ms)
    if sampled:
        query = query.where(text(schema.SAMPLED))
    with store.read() as connection:
        rows = connection.execute(query.where(*conditions(filter, store.tags()))).all()
    by_model: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    for model, latency, ttft in rows:
        if model is not None:
            by_model[model].append((latency, ttft))
    return Latencies(
        _times([(latency, ttft) for _, latency, ttft in rows]),
        {model: _times(rows) for model, rows in by_model.items()},
        sampled,
    )


def _times(rows: list[tuple[float, float | None]]) -> Times:
    return Times(
        percentiles(latency for latency, _ in rows),
        percentiles(ttft for _, ttft in rows if ttft is not None),
    )
