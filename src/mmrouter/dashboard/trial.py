"""Try a prompt: the decision for it, with no call."""

from __future__ import annotations

import asyncio
from typing import Any

from mmrouter.classifier.text import judge
from mmrouter.dashboard.question import Question
from mmrouter.dialects import Conversation
from mmrouter.errors import InvalidRequestError, MMRouterError
from mmrouter.router.ids import new_request_id
from mmrouter.router.parts import Parts
from mmrouter.types import Candidate, Classification, Dialect, Request, Surface

Json = dict[str, Any]

_MOST = 200_000
"""Characters of a prompt."""


async def trial(parts: Parts, question: Question) -> Json:
    """What would happen to `{"prompt": "...", "model": "auto"}`; `refused` says why nothing would.

    Raises:
        InvalidRequestError: there is no prompt.
    """
    prompt = question.text("prompt", _MOST)
    model = question.body.get("model", "auto")
    if not isinstance(model, str):
        raise InvalidRequestError("'model' must be a name", param="model")
    messages = [{"role": "user", "content": prompt}]
    request = Request(
        id=new_request_id(),
        surface=Surface.LIBRARY,
        dialect=Dialect.CHAT,
        model=model,
        body={"model": model, "messages": messages},
        dry_run=True,
    )
    try:
        plan = await parts.policies.decide(request)
    except MMRouterError as error:
        judged = judge(Conversation(messages))
        label = await asyncio.to_thread(parts.classifier.classify, judged)
        return {
            "classification": _label(label),
            "refused": str(error),
            "candidates": [],
            "reasons": [],
        }
    return {
        "classification": plan.classification and _label(plan.classification),
        "refused": None,
        "reasons": list(plan.reasons),
        "escalated": plan.escalated,
        "budget_downgraded": plan.budget_downgraded,
        "adaptive_reranked": plan.adaptive_reranked,
        "wanted": plan.wanted and plan.wanted.name,
        "variant": plan.variant,
        "input_tokens": plan.needs.input_tokens,
        "candidates": [_candidate(candidate) for candidate in plan.candidates],
    }


def _label(label: Classification) -> Json:
    return {
        "complexity": label.complexity.value,
        "category": label.category.value,
        "confidence": label.confidence,
        "difficulty": label.difficulty,
        "strategy": label.strategy,
        "degraded": label.degraded,
    }


def _candidate(candidate: Candidate) -> Json:
    return {
        "model": candidate.target.name,
        "provider": candidate.target.provider,
        "role": candidate.role.value,
        "gated": candidate.gated,
        "estimate_nanos": candidate.estimate_nanos,
        "bound_nanos": candidate.bound_nanos,
    }
