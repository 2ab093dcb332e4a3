"""A finished request as rows of the books. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from mmrouter.errors import TrackerError
from mmrouter.money import breakdown
from mmrouter.types import Attempt, AttemptStatus, Nanos, Outcome

Row = dict[str, Any]
"""Column name -> value; every column of its table is present."""


_MOST = 2**63 - 1


class Record(NamedTuple):
    """The rows of one request."""

    request: Row
    attempts: tuple[Row, ...]


class BadRecordError(TrackerError):
    """The database is well but does not take one of the rows. Nothing of the batch is written."""


def to_record(outcome: Outcome) -> Record:
    """The rows that describe `outcome`. Total costs are the outcome's own, never recomputed."""
    return Record(
        _request_row(outcome),
        tuple(
            _attempt_row(outcome.request.id, ordinal, attempt)
            for ordinal, attempt in enumerate(outcome.attempts)
        ),
    )


def _request_row(outcome: Outcome) -> Row:
    request, plan, answered = outcome.request, outcome.plan, outcome.answered
    usages = [attempt.usage for attempt in outcome.attempts]
    classification = plan.classification if plan else None
    gated = {c.target.name for c in plan.candidates if c.gated} if plan else set()
    move = plan.continuation if plan else None
    rejected = sum([a.status is AttemptStatus.REJECTED for a in outcome.attempts])
    return {
        "id": request.id,
        "started": outcome.started,
        "status": outcome.status.value,
        "cost_nanos": outcome.cost_nanos,
        "answered_cost_nanos": answered.cost_nanos if answered else None,
        "classifier_cost_nanos": classification.cost_nanos if classification else 0,
        "latency_ms": outcome.latency_ms,
        "ttft_ms": outcome.ttft_ms,
        "overhead_ms": outcome.overhead_ms,
        "input_tokens": sum([usage.input_tokens for usage in usages]),
        "output_tokens": sum([usage.output_tokens for usage in usages]),
        "cache_read_tokens": sum([usage.cache_read_tokens for usage in usages]),
        "cache_write_tokens": sum([usage.cache_write_tokens for usage in usages]),
        "reasoning_tokens": sum([usage.reasoning_tokens for usage in usages]),
        "cache_write_1h_tokens": sum([usage.cache_write_1h_tokens for usage in usages]),
        "attempts": len(outcome.attempts),
        "rejected": rejected,
        "escalated": bool(plan and plan.escalated),
        "budget_downgraded": bool(plan and plan.budget_downgraded),
        "adaptive_reranked": bool(plan and plan.adaptive_reranked),
        "fallback_used": len(usages) > 1 and outcome.fallback_used,
        "cascade": rejected > 0 or any(a.target.name in gated for a in outcome.attempts),
        "stream": request.stream,
        "complexity": classification.complexity.value if classification else None,
        "category": classification.category.value if classification else None,
        "answered_model": _text(answered.target.name) if answered else None,
        "provider": _text(answered.target.provider) if answered else None,
        "key_name": _text(request.key_name),
        "tags": _json(request.tags),
        "requested_model": _text(request.model),
        "wanted_model": _text(plan.wanted.name) if plan and plan.wanted else None,
        "surface": request.surface.value,
        "dialect": request.dialect.value,
        "confidence": classification.confidence if classification else None,
        "difficulty": classification.difficulty if classification else None,
        "classifier": classification.strategy if classification else None,
        "degraded": _text(classification.degraded) if classification else None,
        "variant": _text(plan.variant) if plan else None,
        "unit": request.unit,
        "session": _text(request.session),
        "price_source": _price_source(answered),
        "upstream_id": _text(answered.upstream_id) if answered else None,
        "error_class": outcome.error_class,
        "error": _text(outcome.error),
        "reasons": _json(plan.reasons if plan else ()),
        "prompt_hash": outcome.prompt_hash,
        "prompt": _text(outcome.prompt),
        "continuation": move.move.value if move else None,
        "switch_nanos": move.switch_nanos if move else None,
        "switch_saving_nanos": move.saving_nanos if move else None,
    }


def _attempt_row(request_id: str, ordinal: int, attempt: Attempt) -> Row:
    usage, target = attempt.usage, attempt.target
    parts = breakdown(target.price, usage) if target.price else None
    return {
        "request_id": request_id,
        "ordinal": ordinal,
        "model": _text(target.name),
        "provider": _text(target.provider),
        "upstream": _text(target.upstream),
        "role": attempt.role.value,
        "status": attempt.status.value,
        "cost_nanos": attempt.cost_nanos,
        "input_cost_nanos": parts.input if parts else None,
        "output_cost_nanos": parts.output if parts else None,
        "cache_read_cost_nanos": parts.cache_read if parts else None,
        "cache_write_cost_nanos": parts.cache_write if parts else None,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "estimated": usage.estimated,
        "started": attempt.started,
        "latency_ms": attempt.latency_ms,
        "ttft_ms": attempt.ttft_ms,
        "http_status": attempt.http_status,
        "finish_reason": _text(attempt.finish_reason),
        "error_class": attempt.error_class,
        "error": _text(attempt.error),
        "price_source": _price_source(attempt),
        "upstream_id": _text(attempt.upstream_id),
        "detail": _text(attempt.detail),
        "bound_nanos": _kept(attempt.bound_nanos),
    }


def _kept(bound: Nanos | None) -> Nanos | None:
    """A bound as both databases can store it: a client may ask for any number of tokens, and what
    is beyond 64 bits bounds nothing."""
    return None if bound is None or bound > _MOST else bound


def _price_source(attempt: Attempt | None) -> str | None:
    return _text(attempt.target.price.source) if attempt and attempt.target.price else None


def _json(texts: Sequence[str]) -> str:
    if not texts:
        return "[]"
    return orjson.dumps([_text(text) for text in texts]).decode()


def _text(text: str | None) -> str | None:
    """`text` as both databases can store it: no NUL and no lone surrogate.

    Clients and providers write most of these strings; one of them must not poison a batch.
    """
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
