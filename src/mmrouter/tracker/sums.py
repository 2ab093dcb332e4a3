"""Sums of hours that are over: a million requests are a few thousand rows.

An hour is summed up once no row can come into it any more, and again when one came late (late.py).
Sums are added to the rows of the hours that have none, so an answer is the same whatever is summed
up; how far that is matters to its speed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    func,
    insert,
    select,
    update,
)

from mmrouter.tracker import schema
from mmrouter.tracker.facts import KINDS, Facts
from mmrouter.tracker.late import HOUR_S, due
from mmrouter.tracker.store import Filter, Store, conditions

_THREADS = 4

Key = tuple[Any, ...]
Keys = Callable[[Any], Sequence[ColumnElement[Any]]]
"""Columns of facts (`started`, the dimensions, marks) to what they are grouped by."""

_started = schema.requests.c.started


def gather(
    store: Store,
    facts: Facts,
    filter: Filter,
    keys: Keys,
    measures: Sequence[str],
    *,
    by_hour: bool = True,
    unless: ColumnElement[bool] | None = None,
) -> dict[Key, list[Any]]:
    """Sums of `measures` over the requests that `filter` lets through, by key.

    Args:
        by_hour: the keys do not tell instants of one hour apart; else no sums are used.
        unless: a condition on `facts.sums`: hours in which it holds are read row by row.

    Returns:
        Key -> sums, as int, or as float for milliseconds.
    """

    def summed(rows: Select[Any]) -> Sequence[Any]:
        found = rows.subquery().c
        by = list(keys(found))
        query = select(*by, *(func.sum(found[name]) for name in measures)).group_by(*by)
        with store.read() as connection:
            return connection.execute(query).all()

    sources = list(_sources(store, facts, filter, by_hour=by_hour, unless=unless))
    if len(sources) == 1:
        parts = [summed(sources[0])]
    else:
        with ThreadPoolExecutor(min(_THREADS, len(sources)), "mmrouter-sums") as pool:
            parts = list(pool.map(summed, sources))
    kinds = [float if name.endswith("_ms") else int for name in measures]
    total: dict[Key, list[Any]] = {}
    for row in (row for part in parts for row in part):
        cut = len(row) - len(measures)
        # a sum over nothing but NULL is NULL, and PostgreSQL sums BIGINT as NUMERIC
        values = [kind(v or 0) for kind, v in zip(kinds, row[cut:], strict=True)]
        key = tuple(row[:cut])
        known = total.get(key)
        total[key] = (
            values if known is None else [a + b for a, b in zip(known, values, strict=True)]
        )
    return total


def span(store: Store, filter: Filter) -> tuple[float, float] | None:
    """The first and the last instant of the requests that `filter` lets through, Unix seconds."""
    where = conditions(filter, store.tags())
    with store.read() as connection:
        first, last = connection.execute(
            select(
                select(func.min(_started)).where(*where).scalar_subquery(),
                select(func.max(_started)).where(*where).scalar_subquery(),
            )
        ).one()
    return None if first is None else (first, last)


@dataclass(frozen=True, slots=True)
class _Horizon:
    """What is summed up: all hours before `upto` (None: none), but for the stale ones."""

    generation: int
    upto: int | None
    stale: dict[int, int]
    """Hour -> version of its mark."""


def _horizon(connection: Connection) -> _Horizon:
    state, stale = schema.sums_state.c, schema.stale_hours.c
    generation, upto = connection.execute(select(state.generation, state.upto)).one()
    marks = connection.execute(select(stale.hour, stale.version))
    return _Horizon(generation, upto, {hour: version for hour, version in marks})  # noqa: C416


def _sources(
    store: Store,
    facts: Facts,
    filter: Filter,
    *,
    by_hour: bool,
    unless: ColumnElement[bool] | None,
) -> Iterator[Select[Any]]:
    """Selects of facts that have every request once, itself or in a sum."""
    alone = filter.session or (filter.min_cost_nanos, filter.max_cost_nanos) != (None, None)
    with store.read() as connection:
        horizon = _horizon(connection)
        first = 0 if filter.since is None else ceil(filter.since / HOUR_S)
        end = horizon.upto or 0
        if filter.until is not None:
            end = min(end, int(filter.until // HOUR_S))
        hour = facts.sums.c.hour
        holes = {known for known in horizon.stale if first <= known < end}
        if unless is not None and first < end:
            mixed = select(hour).where(hour >= first, hour < end, unless).distinct()
            holes.update(connection.execute(mixed).scalars())
    if alone or not by_hour or first >= end:
        where = conditions(filter, store.tags())
        for part in store.slices() if filter.since is None else [None]:
            yield from facts.each(where if part is None else [*where, part])
        return
    timeless = replace(filter, since=None, until=None)
    yield _of_hours(
        facts,
        [
            hour >= first,
            hour < end,
            *([hour.not_in(holes)] if holes else []),
            *conditions(timeless, store.tags(facts.sums), facts.sums),
        ],
    )
    where = conditions(timeless, store.tags())
    for begin, until in _gaps(filter, first, end, holes):
        limits = [] if begin is None else [_started >= begin]
        if until is not None:
            limits.append(_started < until)
        yield from facts.each([*where, *limits])


def _of_hours(facts: Facts, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    column = facts.sums.c
    names = (*schema.DIMENSIONS, *facts.marks, *facts.measures, *facts.most)
    started = (column.hour * float(HOUR_S)).label("started")
    return select(started, *(column[name] for name in names)).where(*where)


def _gaps(
    filter: Filter, first: int, end: int, holes: set[int]
) -> Iterator[tuple[float | None, float | None]]:
    """Ranges of instants that no sum covers: before the first hour, holes, from the end on."""
    if filter.since is not None and filter.since < first * HOUR_S:
        yield filter.since, float(first * HOUR_S)
    ordered = sorted(holes)
    begins = [h for before, h in pairwise([-2, *ordered]) if h != before + 1]
    ends = [h + 1 for h, after in pairwise([*ordered, -2]) if after != h + 1]
    for begin, until in zip(begins, ends, strict=True):
        yield float(begin * HOUR_S), float(until * HOUR_S)
    if filter.until is None or filter.until > end * HOUR_S:
        yield float(end * HOUR_S), filter.until


def sum_up(store: Store, now: float) -> bool:
    """Sums up one hour that is over; False where none is left. Several processes may do so.

    Args:
        now: Unix seconds.
    """
    with store.read() as connection:
        horizon = _horizon(connection)
        hour = _next_hour(connection, horizon)
        if hour is None or not due(hour, now):
            return False
        rows = {kind.sums: _sums_of(connection, kind, hour) for kind in KINDS}
    state, stale = schema.sums_state, schema.stale_hours
    with store.change() as connection:
        mine = connection.execute(
            update(state)
            .where(state.c.generation == horizon.generation)
            .values(generation=horizon.generation + 1, upto=max(horizon.upto or 0, hour + 1))
        )
        if mine.rowcount:  # else another process was faster
            connection.execute(
                delete(stale).where(
                    stale.c.hour == hour, stale.c.version == horizon.stale.get(hour, 0)
                )
            )
            for table, sums in rows.items():
                connection.execute(delete(table).where(table.c.hour == hour))
                if sums:
                    connection.execute(insert(table), sums)
    return True


def _next_hour(connection: Connection, horizon: _Horizon) -> int | None:
    """A stale hour, or else the first after the horizon in which there is a request."""
    upto = horizon.upto
    again = [hour for hour in horizon.stale if upto is not None and hour < upto]
    if again:
        return min(again)
    query = select(func.min(_started))
    if upto is not None:
        query = query.where(_started >= float(upto * HOUR_S))
    first = connection.execute(query).scalar()
    return None if first is None else int(first // HOUR_S)


def _sums_of(connection: Connection, facts: Facts, hour: int) -> list[dict[str, Any]]:
    """The rows of one hour."""
    names = (*schema.DIMENSIONS, *facts.marks)
    found: list[dict[str, Any]] = []
    within = [_started >= float(hour * HOUR_S), _started < float((hour + 1) * HOUR_S)]
    for rows in facts.each(within):
        each = rows.subquery().c
        by = [each[name] for name in names]
        query = select(
            *by,
            *(func.coalesce(func.sum(each[name]), 0).label(name) for name in facts.measures),
            *(func.coalesce(func.max(each[name]), 0).label(name) for name in facts.most),
        ).group_by(*by)
        found += [{"hour": hour, **row._mapping} for row in connection.execute(query)]
    return found
