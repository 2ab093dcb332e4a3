"""Requests over time: one pass, grouped by slot and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from mmrouter.tracker.instants import in_hours, offset_of, offsets, whole_seconds
from mmrouter.tracker.facts import REQUESTS
from mmrouter.tracker.late import HOUR_S
from mmrouter.tracker.store import Filter, Store
from mmrouter.tracker.sums import gather, span
from mmrouter.types import Nanos

_STEPS = (60, 300, 900, 3_600, 10_800, 86_400, 604_800)
_MOST_SLOTS = 62
_DAY_S = 86_400
_EPOCH = date(1970, 1, 1)

_MEASURES = (
    *("requests", "cost_nanos", "unpriced", "failed", "fallbacks"),
    *("prompt_tokens", "output_tokens"),
)


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
    ends = span(store, filter)
    first, last = ends or (None, None)
    begin = filter.since if filter.since is not None else first
    end = filter.until if filter.until is not None else now
    step = step_for(max(0.0, end - begin)) if begin is not None else _STEPS[0]
    if first is None or last is None:
        return Series(step, None, None, ())
    pieces = offsets(zone, first, last)
    found = gather(
        store,
        REQUESTS,
        filter,
        lambda facts: [
            whole_seconds(facts.started + offset_of(facts.started, pieces)) // step,
            facts.answered_model,
        ],
        _MEASURES,
        by_hour=step % HOUR_S == 0 and in_hours(pieces),
    )
    cells = []
    for (number, model), (*sums, prompt, output) in found.items():
        requests, cost, unpriced, failed, fallbacks = sums
        start = _start(int(number), step, pieces, zone)
        tokens = prompt + output
        cells.append(Cell(start, model, requests, cost, unpriced, failed, fallbacks, tokens))
    return Series(step, first, last, sorted(cells, key=lambda c: (c.start, c.model or "")))


def step_for(span_s: float) -> int:
    """Seconds of a slot for a range of this length."""
    return next((step for step in _STEPS if span_s / step <= _MOST_SLOTS), _STEPS[-1])


def _start(slot: int, step: int, pieces: Sequence[tuple[float, int]], zone: ZoneInfo) -> float:
    """The slot's first instant."""
    if step % _DAY_S == 0:
        day = _EPOCH + timedelta(days=slot * step // _DAY_S)
        return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    offset = pieces[0][1]
    for (_, before), (begin, seconds) in pairwise(pieces):
        if begin + before <= slot * step:  # a slot in which clocks change begins by the old ones
            offset = seconds
    return float(slot * step - offset)
