"""What the books say: totals, groups, distribution, percentiles.

One pass over the requests per question. Percentiles of many requests come from a sixteenth of them,
chosen by the last digit of their ids, which is random.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from math import ceil
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    case,
    func,
    literal,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from mmrouter.tracker import schema
from mmrouter.tracker.store import Filter, Store, conditions
from mmrouter.types import Nanos, Status

SAMPLE_ABOVE = 200_000
"""Requests above which percentiles are sampled."""

_DAY_S = 86_400
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
    By.MODEL: _requests.answered_model,
    By.PROVIDER: _requests.provider,
    By.KEY: _requests.key_name,
    By.CATEGORY: _requests.category,
    By.COMPLEXITY: _requests.complexity,
    By.SURFACE: _requests.surface,
    By.VARIANT: _requests.variant,
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
    where = conditions(filter, store.tags())
    with store.read() as connection:
        if by is By.TAG:
            sets = _totals(connection, _sums(_requests.tags).where(*where))
            return Stats(total=_add(sets.values()), groups=_dearest_first(_by_tag(sets)))
        if by is By.DAY:
            groups = _days(connection, where, zone)
        else:
            groups = _dearest_first(_totals(connection, _sums(_COLUMNS[by]).where(*where)))
    return Stats(total=_add(groups.values()), groups=groups)


def detail(store: Store, filter: Filter, *, zone: tzinfo = UTC) -> Detail:
    """What `stats` leaves out because it takes longer.

    Args:
        zone: where days begin.
    """
    where = conditions(filter, store.tags())
    complexity, category = _requests.complexity, _requests.category
    # one text groups in half the time of two columns
    bucket = complexity + "/" + category
    with store.read() as connection:
        counts = connection.execute(select(bucket, func.count()).where(*where).group_by(bucket))
        buckets = {_bucket(name): count for name, count in counts}
        sampled = sum(buckets.values()) > SAMPLE_ABOVE
        times = select(_requests.latency_ms, _requests.ttft_ms).where(*where)
        if sampled:
            times = times.where(func.substr(_requests.id, func.length(_requests.id)) == "0")
        measured = connection.execute(times).all()
        return Detail(
            buckets=buckets,
            days=_days(connection, where, zone),
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


class whole_seconds(GenericFunction[int]):  # noqa: N801  SQLAlchemy names functions by their class
    """The integer below a positive instant: PostgreSQL's CAST rounds, SQLite may have no FLOOR."""

    type = BigInteger()
    inherit_cache = True


@compiles(whole_seconds)
def _floor(element: whole_seconds, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(FLOOR({compiler.process(element.clauses, **options)}) AS BIGINT)"


@compiles(whole_seconds, "sqlite")
def _truncate(element: whole_seconds, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS INTEGER)"


def _sums(group: ColumnElement[Any]) -> Select[Any]:
    """The group's name, then the fields of `Totals` in order."""

    def count(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count(case((condition, 1)))

    prompt = _requests.input_tokens + _requests.cache_read_tokens + _requests.cache_write_tokens
    answered = (Status.OK.value, Status.CANCELLED.value)
    return select(
        group,
        func.count(),
        func.coalesce(func.sum(_requests.cost_nanos), 0),
        func.count() - func.count(_requests.cost_nanos),
        func.sum(_requests.classifier_cost_nanos),
        func.sum(_requests.latency_ms),
        func.sum(prompt),
        func.sum(_requests.output_tokens),
        count(_requests.status.not_in(answered)),
        count(_requests.fallback_used),
        count(_requests.escalated),
        count(_requests.budget_downgraded),
        count(_requests.adaptive_reranked),
        count(_requests.cascade),
        count(_requests.rejected > 0),
    ).group_by(group)


_FIELDS = tuple(field.name for field in fields(Totals))


def _totals(connection: Connection, query: Select[Any]) -> dict[Any, Totals]:
    return {name: _row(sums) for name, *sums in connection.execute(query)}


def _row(sums: Sequence[Any]) -> Totals:
    """PostgreSQL sums BIGINT as NUMERIC."""
    values: dict[str, Any] = {
        name: float(value) if name == "latency_ms" else int(value)
        for name, value in zip(_FIELDS, sums, strict=True)
    }
    return Totals(**values)


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


def _bucket(name: str | None) -> tuple[str | None, str | None]:
    if name is None:
        return None, None
    complexity, _, category = name.partition("/")
    return complexity, category


def _days(
    connection: Connection, where: Sequence[ColumnElement[bool]], zone: tzinfo
) -> dict[str | None, Totals]:
    ends = select(func.min(_requests.started), func.max(_requests.started)).where(*where)
    first, last = connection.execute(ends).one()
    if first is None:
        return {}
    pieces = offsets(zone, first, last)
    later = [(_requests.started >= begin, seconds) for begin, seconds in reversed(pieces[1:])]
    offset = case(*later, else_=pieces[0][1]) if later else literal(pieces[0][1])
    day = whole_seconds(_requests.started + offset) // _DAY_S
    found = _totals(connection, _sums(day).where(*where))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        (epoch + timedelta(days=int(number))).date().isoformat(): totals
        for number, totals in sorted(found.items())
    }


def offsets(zone: tzinfo, first: float, last: float) -> list[tuple[float, int]]:
    """The zone's offsets from UTC between two instants: (from Unix second, offset in seconds)."""

    def offset(instant: float) -> int:
        found = datetime.fromtimestamp(instant, zone).utcoffset()
        return round(found.total_seconds()) if found else 0

    pieces = [(first, offset(first))]
    low = int(first)
    while low < last:
        high = min(low + _DAY_S, ceil(last))
        if offset(high) != pieces[-1][1]:
            before, after = low, high
            while after - before > 1:
                middle = (before + after) // 2
                if offset(middle) == pieces[-1][1]:
                    before = middle
                else:
                    after = middle
            pieces.append((after, offset(after)))
        low = high
    return pieces
