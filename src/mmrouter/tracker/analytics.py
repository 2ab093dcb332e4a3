"""What the books say: totals, groups, distribution, percentiles.

Percentiles of many requests come from a sixteenth of them (`schema.SAMPLED`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from math import ceil
from typing import Any

import orjson
from sqlalchemy import ColumnElement, select, text

from mmrouter.tracker import schema
from mmrouter.tracker.facts import REQUESTS
from mmrouter.tracker.instants import DAY_S, in_hours, offset_of, offsets, whole_seconds
from mmrouter.tracker.store import Filter, Store, conditions
from mmrouter.tracker.sums import gather, span
from mmrouter.types import Nanos

SAMPLE_ABOVE = 200_000
"""Requests above which percentiles are sampled."""

_requests = schema.requests.c


class By(StrEnum):
    """What requests are grouped by."""

    MODEL = "model"
    """The model that answered; None where none did."""
    PROVIDER = "provider"
    DAY = "day"
    KEY = "key"
    TAG = "tag"
    """A request counts once for each of its tags; one without tags is in no group."""
    CATEGORY = "category"
    COMPLEXITY = "complexity"
    SURFACE = "surface"
    VARIANT = "variant"


_COLUMNS = {
    By.MODEL: "answered_model",
    By.PROVIDER: "provider",
    By.KEY: "key_name",
    By.CATEGORY: "category",
    By.COMPLEXITY: "complexity",
    By.SURFACE: "surface",
    By.VARIANT: "variant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over requests.

    Attributes:
        cost_nanos: of the requests whose cost is known, with everything they caused.
        unpriced: requests whose cost is unknown.
        classifier_cost_nanos: what classifying took.
        latency_ms: sum over all requests.
        prompt_tokens: of all attempts, cached tokens included.
        failed: requests that ended without an answer, refused ones included.
        cascades: requests in which an answer had to pass a gate.
        cascade_rejected: those of them in which the gate turned an answer down.
    """

    requests: int = 0
    cost_nanos: Nanos = 0
    unpriced: int = 0
    classifier_cost_nanos: Nanos = 0
    latency_ms: float = 0.0
    prompt_tokens: int = 0
    output_tokens: int = 0
    failed: int = 0
    fallbacks: int = 0
    escalated: int = 0
    budget_downgraded: int = 0
    adaptive_reranked: int = 0
    cascades: int = 0
    cascade_rejected: int = 0

    @property
    def average_latency_ms(self) -> float | None:
        """None where there are no requests."""
        return self.latency_ms / self.requests if self.requests else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Nearest-rank percentiles in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Answer of `stats`.

    Attributes:
        groups: name -> totals, dearest first; days ("2026-01-31") in order.
    """

    total: Totals
    groups: dict[str | None, Totals]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Answer of `detail`.

    Attributes:
        buckets: (complexity, category) -> number of requests; (None, None) was not classified.
        days: "2026-01-31" -> totals, in order; days without requests are left out.
        sampled: the percentiles come from a sixteenth of the requests.
    """

    buckets: dict[tuple[str | None, str | None], int]
    days: dict[str | None, Totals]
    latency: Percentiles
    ttft: Percentiles
    sampled: bool


def stats(store: Store, filter: Filter, *, by: By = By.MODEL, zone: tzinfo = UTC) -> Stats:
    """Totals of the requests that `filter` lets through, and of each group of them.

    Args:
        zone: where days begin, for `By.DAY`.
    """
    if by is By.TAG:
        sets = _totals(store, filter, lambda facts: facts.tags)
        return Stats(total=_add(sets.values()), groups=_dearest_first(_by_tag(sets)))
    if by is By.DAY:
        groups = _days(store, filter, zone)
    else:
        name = _COLUMNS[by]
        groups = _dearest_first(_totals(store, filter, lambda facts: facts[name]))
    return Stats(total=_add(groups.values()), groups=groups)


def detail(store: Store, filter: Filter, *, zone: tzinfo = UTC) -> Detail:
    """What `stats` leaves out because it takes longer.

    Args:
        zone: where days begin.
    """
    counts = gather(
        store, REQUESTS, filter, lambda facts: [facts.complexity, facts.category], ["requests"]
    )
    buckets = {(complexity, category): n for (complexity, category), (n,) in counts.items()}
    sampled = sum(buckets.values()) > SAMPLE_ABOVE
    times = select(_requests.latency_ms, _requests.ttft_ms)
    if sampled:
        times = times.where(text(schema.SAMPLED))
    with store.read() as connection:
        measured = connection.execute(times.where(*conditions(filter, store.tags()))).all()
    return Detail(
        buckets=buckets,
        days=_days(store, filter, zone),
        latency=percentiles([latency for latency, _ in measured]),
        ttft=percentiles([ttft for _, ttft in measured if ttft is not None]),
        sampled=sampled,
    )


def percentiles(values: Iterable[float]) -> Percentiles:
    """Nearest-rank percentiles of `values`, in any order."""
    ordered = sorted(values)
    if not ordered:
        return Percentiles()

    def at(share: float) -> float:
        return ordered[ceil(share * len(ordered)) - 1]

    return Percentiles(p50=at(0.50), p95=at(0.95), p99=at(0.99))


_FIELDS = tuple(field.name for field in fields(Totals))


def _totals(
    store: Store,
    filter: Filter,
    key: Callable[[Any], ColumnElement[Any]],
    *,
    by_hour: bool = True,
) -> dict[Any, Totals]:
    found = gather(store, REQUESTS, filter, lambda facts: [key(facts)], _FIELDS, by_hour=by_hour)
    return {
        name: Totals(**dict(zip(_FIELDS, sums, strict=True))) for (name,), sums in found.items()
    }


def _add(parts: Iterable[Totals]) -> Totals:
    listed = list(parts)
    return Totals(**{name: sum(getattr(part, name) for part in listed) for name in _FIELDS})


def _by_tag(sets: dict[Any, Totals]) -> dict[Any, Totals]:
    """From totals by set of tags, of which there are few: half the time of a join with each tag."""
    tags: dict[str, list[Totals]] = {}
    for names, totals in sets.items():
        for name in set(orjson.loads(names)):
            tags.setdefault(name, []).append(totals)
    return {name: _add(parts) for name, parts in tags.items()}


def _dearest_first(groups: dict[Any, Totals]) -> dict[str | None, Totals]:
    order = sorted(groups.items(), key=lambda item: (-item[1].cost_nanos, str(item[0])))
    return dict(order)


def _days(store: Store, filter: Filter, zone: tzinfo) -> dict[str | None, Totals]:
    ends = span(store, filter)
    if ends is None:
        return {}
    pieces = offsets(zone, *ends)
    found = _totals(
        store,
        filter,
        lambda facts: whole_seconds(facts.started + offset_of(facts.started, pieces)) // DAY_S,
        by_hour=in_hours(pieces),
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        (epoch + timedelta(days=int(number))).date().isoformat(): totals
        for number, totals in sorted(found.items())
    }
