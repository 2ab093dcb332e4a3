"""Requests over time: one pass, grouped by slot and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, func, literal, select

from mmrouter.tracker import schema
from mmrouter.tracker.analytics import offsets, whole_seconds
from mmrouter.tracker.store import Filter, Store, conditions
from mmrouter.types import Nanos, Status

_STEPS = (60, 300, 900, 3_600, 10_800, 86_400, 604_800)
_MOST_SLOTS = 62
_DAY_S = 86_400
_EPOCH = date(1970, 1, 1)

_requests = schema.requests.c


@dataclass(frozen=True, slots=True)
class Cell:
    """The requests of one slot that one model answered.

    Attributes:
        start: Unix seconds.
        model: None where nobody answered.
        unpriced: requests whose cost is unknown.
        tokens: of prompts and answers, all attempts.
    """

    start: float
    model: str | None
    requests: int
    cost_nanos: Nanos
    unpriced: int
    failed: int
    fallbacks: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Series:
    """Requests by slot and model.

    Attributes:
        step_s: length of a slot; days are by the zone's clocks, and a change of clocks makes one
            an hour longer or shorter.
        first: the earliest request, Unix seconds; None where there is none.
    """

    step_s: int
    first: float | None
    last: float | None
    cells: Sequence[Cell]


def series(store: Store, filter: Filter, *, zone: ZoneInfo, now: float) -> Series:
    """The requests that `filter` lets through, in slots of a length that suits their range."""
    where = conditions(filter, store.tags())
    with store.read() as connection:
        first, last = connection.execute(
            select(func.min(_requests.started), func.max(_requests.started)).where(*where)
        ).one()
        begin = filter.since if filter.since is not None else first
        end = filter.until if filter.until is not None else now
        step = step_for(max(0.0, end - begin)) if begin is not None else _STEPS[0]
        if first is None:
            return Series(step, None, None, ())
        offset = _offset(zone, first, last)
        slot = whole_seconds(_requests.started + offset) // step
        answered = (Status.OK.value, Status.CANCELLED.value)
        prompt = _requests.input_tokens + _requests.cache_read_tokens + _requests.cache_write_tokens
        rows = connection.execute(
            select(
                slot,
                _requests.answered_model,
                func.min(_requests.started),
                func.count(),
                func.coalesce(func.sum(_requests.cost_nanos), 0),
                func.count() - func.count(_requests.cost_nanos),
                func.count(case((_requests.status.not_in(answered), 1))),
                func.count(case((_requests.fallback_used, 1))),
                func.sum(prompt + _requests.output_tokens),
            )
            .where(*where)
            .group_by(slot, _requests.answered_model)
        ).all()
    pieces = offsets(zone, first, last)
    cells = [
        Cell(_start(int(number), step, some, pieces, zone), model, *(int(value) for value in sums))
        for number, model, some, *sums in rows
    ]
    return Series(step, first, last, sorted(cells, key=lambda c: (c.start, c.model or "")))


def step_for(span_s: float) -> int:
    """Seconds of a slot for a range of this length."""
    return next((step for step in _STEPS if span_s / step <= _MOST_SLOTS), _STEPS[-1])


def _offset(zone: ZoneInfo, first: float, last: float) -> ColumnElement[int]:
    """Seconds east of UTC at a request's start."""
    pieces = offsets(zone, first, last)
    later = [(_requests.started >= begin, seconds) for begin, seconds in reversed(pieces[1:])]
    return case(*later, else_=pieces[0][1]) if later else literal(pieces[0][1])


def _start(
    slot: int, step: int, some: float, pieces: Sequence[tuple[float, int]], zone: ZoneInfo
) -> float:
    """The slot's first instant; `some` is an instant in it."""
    if step % _DAY_S == 0:
        day = _EPOCH + timedelta(days=slot * step // _DAY_S)
        return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    offset = next(seconds for begin, seconds in reversed(pieces) if begin <= some)
    return float(slot * step - offset)
