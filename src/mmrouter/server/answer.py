"""The one way from a request to bytes for its client, for every surface."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from mmrouter.money import to_usd
from mmrouter.providers.base import Chunk
from mmrouter.router.parts import Parts
from mmrouter.router.pipeline import Accepted
from mmrouter.router.policies import Policies
from mmrouter.server.headers import cost_comment, decision_headers, outcome_headers
from mmrouter.server.http import EVENTS, JSON, Exchange
from mmrouter.types import Candidate, Plan, Request


async def answer(exchange: Exchange, parts: Parts, request: Request) -> None:
    """Runs the request and sends what comes, as it comes.

    Raises:
        MMRouterError: nobody answered, or the answer broke off after its head was sent.
        ClientGoneError: the upstream call is cancelled, and priced from what had arrived.
    """
    with exchange.watched():
        if request.dry_run:
            await exchange.answer_json(decision(request, await parts.policies.decide(request)))
        elif request.stream:
            await _stream(exchange, parts.policies, request)
        else:
            await _whole(exchange, parts.policies, request)


async def _stream(exchange: Exchange, policies: Policies, request: Request) -> None:
    async with aclosing(policies.run(request)) as events:
        async for event in events:
            if isinstance(event, Chunk):
                await exchange.write(event.data)
            elif isinstance(event, Accepted):
                exchange.model = event.target.name
                await exchange.start(200, [*EVENTS, *decision_headers(request.id, event)])
            else:
                await exchange.finish(cost_comment(event.outcome.cost_nanos) + event.data)


async def _whole(exchange: Exchange, policies: Policies, request: Request) -> None:
    accepted: Accepted | None = None
    async with aclosing(policies.run(request)) as events:
        async for event in events:
            if isinstance(event, Accepted):
                accepted = event
                exchange.model = event.target.name
            elif not isinstance(event, Chunk) and accepted is not None:
                headers = [JSON, *outcome_headers(accepted, event.outcome)]
                await exchange.answer(200, event.data, headers)


def decision(request: Request, plan: Plan) -> dict[str, Any]:
    """A plan as JSON: what a dry run answers. Money in US dollars; null is an unknown price."""
    label = plan.classification
    return {
        "object": "mmrouter.decision",
        "request_id": request.id,
        "model": plan.candidates[0].target.name,
        "provider": plan.candidates[0].target.provider,
        "reasons": list(plan.reasons),
        "classification": label
        and {
            "complexity": label.complexity.value,
            "category": label.category.value,
            "confidence": label.confidence,
            "difficulty": label.difficulty,
            "strategy": label.strategy,
            "degraded": label.degraded,
        },
        "escalated": plan.escalated,
        "budget_downgraded": plan.budget_downgraded,
        "adaptive_reranked": plan.adaptive_reranked,
        "variant": plan.variant,
        "input_tokens_estimate": plan.needs.input_tokens,
        "candidates": [_candidate(candidate) for candidate in plan.candidates],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    estimate, bound = candidate.estimate_nanos, candidate.bound_nanos
    return {
        "model": candidate.target.name,
        "provider": candidate.target.provider,
        "role": candidate.role.value,
        "gated": candidate.gated,
        "estimate_usd": None if estimate is None else to_usd(estimate),
        "bound_usd": None if bound is None else to_usd(bound),
    }
