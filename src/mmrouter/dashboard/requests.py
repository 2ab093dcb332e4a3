"""Requests: pages of a table that may have millions of rows, and one request's story."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import ColumnElement, func, select, tuple_

from mmrouter.dashboard.question import Question
from mmrouter.errors import InvalidRequestError
from mmrouter.tracker import schema
from mmrouter.tracker.records import Row
from mmrouter.tracker.store import Filter, Store, conditions, plain

Json = dict[str, Any]

MOST_ROWS = 200

_requests = schema.requests.c

_SORTS: dict[str, ColumnElement[Any]] = {
    "started": _requests.started,
    "cost": func.coalesce(_requests.cost_nanos, -1),  # an unknown cost sorts below none
    "latency": _requests.latency_ms,
    "tokens": _requests.input_tokens + _requests.output_tokens,
}

_SHOWN = (
    *("id", "started", "status", "cost_nanos", "latency_ms", "ttft_ms", "input_tokens"),
    *("output_tokens", "cache_read_tokens", "attempts", "rejected", "escalated"),
    *("budget_downgraded", "adaptive_reranked", "fallback_used", "stream", "complexity"),
    *("category", "answered_model", "provider", "key_name", "tags", "surface", "variant"),
    *("session", "error_class"),
)


def page(store: Store, question: Question) -> Json:
    """Rows in the order of `sort` ("started", "cost", "latency" or "tokens"; `order` "desc" or
    "asc") after the one that `after` names; `next` names where the following page begins.

    Raises:
        InvalidRequestError
    """
    column, descending = _order(question)
    limit = int(question.number("limit") or 100)
    if not 0 < limit <= MOST_ROWS:
        raise InvalidRequestError(f"'limit' takes 1 to {MOST_ROWS}", param="limit")
    shown = [_requests[name] for name in _SHOWN]
    query = select(*shown, column.label("sort_key")).where(
        *conditions(question.filter, store.tags())
    )
    place, after = tuple_(column, _requests.id), question.query.get("after")
    if after is not None:
        end = _place(after)
        query = query.where(place < end if descending else place > end)
    ends = (column, _requests.id)
    query = query.order_by(*(e.desc() if descending else e.asc() for e in ends)).limit(limit)
    with store.read() as connection:
        rows = [row._asdict() for row in connection.execute(query)]
    last = rows[-1] if len(rows) == limit else None
    return {
        "rows": [_row(row) for row in rows],
        "next": last and f"{last['sort_key']!r}~{last['id']}",
    }


def count(store: Store, filter: Filter) -> Json:
    """How many requests the filter lets through, and what they cost."""
    query = select(func.count(), func.coalesce(func.sum(_requests.cost_nanos), 0)).where(
        *conditions(filter, store.tags())
    )
    with store.read() as connection:
        requests, cost = connection.execute(query).one()
    return {"requests": requests, "cost_nanos": int(cost)}


def story(store: Store, id: str) -> Row | None:
    """All that the books know of a request, with its attempts, feedback and judgements."""
    row = store.request(id)
    if row is None:
        return None
    read = {name: orjson.loads(row[name]) for name in ("tags", "reasons")}
    return row | read | {"judgements": _judgements(store, row["id"])}


def _judgements(store: Store, id: str) -> list[Json]:
    """What judges said of the answer, oldest first."""
    table = schema.judgements
    query = select(table).where(table.c.request_id == id).order_by(table.c.id)
    with store.read() as connection:
        rows = [plain(row) for row in connection.execute(query)]
    return [row | {"detail": orjson.loads(row["detail"])} for row in rows]


def _order(question: Question) -> tuple[ColumnElement[Any], bool]:
    sort, order = question.query.get("sort", "started"), question.query.get("order", "desc")
    if sort not in _SORTS:
        raise InvalidRequestError(f"'sort' is one of: {', '.join(_SORTS)}", param="sort")
    if order not in ("asc", "desc"):
        raise InvalidRequestError("'order' is 'asc' or 'desc'", param="order")
    return _SORTS[sort], order == "desc"


def _place(after: str) -> tuple[float, str]:
    value, _, id = after.partition("~")
    try:
        return float(value), id
    except ValueError:
        raise InvalidRequestError("'after' is what the last page's 'next' was") from None


def _row(row: Row) -> Json:
    return {name: row[name] for name in _SHOWN} | {"tags": orjson.loads(row["tags"])}
