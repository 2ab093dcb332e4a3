"""What can be added up: of requests, of answers, of calls.

Each kind is read in two forms that give the same sums: a row for each request, and the rows of
hours that are summed up (sums.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    cast,
    literal,
    not_,
    or_,
    select,
)

from mmrouter.tracker import schema
from mmrouter.types import AttemptStatus, Role, Status

Conditions = Sequence[ColumnElement[bool]]

_requests, _attempts = schema.requests.c, schema.attempts.c
_dimensions = [_requests[name] for name in schema.DIMENSIONS]


@dataclass(frozen=True, slots=True)
class Facts:
    """One kind of them.

    Attributes:
        sums: the table of hours that are summed up.
        each: the rows themselves, of requests that meet conditions; all selects together.
        measures: columns that are added up.
        marks: further columns to group by, beside the dimensions.
        most: columns of which sums keep the greatest.
    """

    sums: Table
    each: Callable[[Conditions], Sequence[Select[Any]]]
    measures: tuple[str, ...]
    marks: tuple[str, ...] = ()
    most: tuple[str, ...] = ()


def _one(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """1 where it holds, 0 where it does not."""
    return cast(condition, Integer)


def _each_request(where: Conditions) -> Sequence[Select[Any]]:
    prompt = _requests.input_tokens + _requests.cache_read_tokens + _requests.cache_write_tokens
    row = select(
        _requests.started,
        *_dimensions,
        literal(1).label("requests"),
        _requests.cost_nanos,
        _one(_requests.cost_nanos.is_(None)).label("unpriced"),
        _requests.classifier_cost_nanos,
        _requests.latency_ms,
        prompt.label("prompt_tokens"),
        _requests.output_tokens,
        _one(_requests.status.not_in((Status.OK.value, Status.CANCELLED.value))).label("failed"),
        _one(_requests.fallback_used).label("fallbacks"),
        _one(_requests.escalated).label("escalated"),
        _one(_requests.budget_downgraded).label("budget_downgraded"),
        _one(_requests.adaptive_reranked).label("adaptive_reranked"),
        _one(_requests.cascade).label("cascades"),
        _one(_requests.rejected > 0).label("cascade_rejected"),
    )
    return [row.where(*where)]


_TOKENS = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cache_write_1h_tokens"),
)

_plain = and_(
    _requests.attempts <= 1,
    or_(_requests.provider.is_(None), _requests.provider != "local"),
)
"""Requests whose own row says all: no attempt must be looked up beside it."""

_answering = and_(
    _attempts.request_id == _requests.id,
    _attempts.role.not_in([role.value for role in (Role.CLASSIFIER, Role.JUDGE)]),
    _attempts.status.in_((AttemptStatus.OK.value, AttemptStatus.CANCELLED.value)),
)

_comparable = or_(_attempts.role.is_(None), _attempts.role != Role.LOCAL.value)
"""The small local model that answers for want of a key stands in for nobody."""


def _each_answer(where: Conditions) -> Sequence[Select[Any]]:
    known = (*where, _requests.cost_nanos.is_not(None))
    joined = schema.requests.outerjoin(schema.attempts, _answering)
    return [
        _answer(_requests.answered_cost_nanos, _requests).where(*known, _plain),
        _answer(_attempts.cost_nanos, _attempts)
        .select_from(joined)
        .where(*known, not_(_plain), _comparable),
    ]


def _answer(cost: ColumnElement[Any], tokens: Any) -> Select[Any]:
    return select(
        _requests.started,
        *_dimensions,
        literal(1).label("requests"),
        _requests.cost_nanos,
        cost.label("answer_nanos"),
        (tokens.output_tokens * tokens.output_tokens).label("output_squares"),
        *(tokens[name].label(name) for name in _TOKENS),
        (tokens.input_tokens + tokens.cache_read_tokens + tokens.cache_write_tokens).label(
            "prompt_tokens"
        ),
    )


def _each_call(where: Conditions) -> Sequence[Select[Any]]:
    row = select(
        _requests.started,
        *_dimensions,
        _attempts.model,
        literal(1).label("calls"),
        _attempts.cost_nanos,
        _one(_attempts.cost_nanos.is_(None)).label("unpriced"),
        _one(_attempts.status == AttemptStatus.FAILED.value).label("failed"),
        _one(_attempts.status == AttemptStatus.REJECTED.value).label("rejected"),
        _attempts.input_tokens,
        _attempts.output_tokens,
        _attempts.cache_read_tokens,
    ).select_from(schema.requests.join(schema.attempts, _attempts.request_id == _requests.id))
    return [row.where(*where)]


REQUESTS = Facts(
    schema.request_sums,
    _each_request,
    (
        *("requests", "cost_nanos", "unpriced", "classifier_cost_nanos", "latency_ms"),
        *("prompt_tokens", "output_tokens", "failed", "fallbacks", "escalated"),
        *("budget_downgraded", "adaptive_reranked", "cascades", "cascade_rejected"),
    ),
)
"""Requests, each with all of its attempts. `cost_nanos` leaves the `unpriced` out."""

ANSWERS = Facts(
    schema.answer_sums,
    _each_answer,
    ("requests", "cost_nanos", "answer_nanos", "output_squares", *_TOKENS),
    most=("prompt_tokens",),
)
"""Requests whose cost is known, but for those that a small local model answered: what they cost,
and the tokens of the attempt that answered."""

CALLS = Facts(
    schema.call_sums,
    _each_call,
    (
        *("calls", "cost_nanos", "unpriced", "failed", "rejected"),
        *("input_tokens", "output_tokens", "cache_read_tokens"),
    ),
    marks=("model",),
)
"""Every attempt, whether its answer was used or not."""

KINDS = (REQUESTS, ANSWERS, CALLS)
