"""What the library gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmrouter.money import cost, to_usd
from mmrouter.types import Attempt, Classification, Nanos, Outcome, Plan, Role, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteResult:
    """An answer, with all that was decided and spent on the way.

    Attributes:
        content: the answer's text.
        message: the assistant message as the provider sent it (tool calls, refusal...); for streams
            only its text.
        classification: None where the caller named the model.
        usage: of the attempt that answered.
        cost_nanos: of the whole request, failed and escalated attempts included; None is unknown.
        decision: the plan with its reasons.
        would_have_cost_nanos: what the model that config names would have cost, where a local model
            answered for want of a key; else None.
        cascade_used: a cheaper model of a cascade was asked first.
        models_tried: how many models were asked for the answer.
    """

    content: str
    message: Mapping[str, Any]
    request_id: str
    classification: Classification | None
    decision: Plan
    model: str
    provider: str
    usage: Usage
    cost_nanos: Nanos | None
    latency_ms: float
    finish_reason: str | None
    fallback_used: bool
    attempts: tuple[Attempt, ...]
    would_have_cost_nanos: Nanos | None = None
    cascade_used: bool = False
    models_tried: int = 1

    @property
    def cost_usd(self) -> float | None:
        """The cost in dollars; None is unknown."""
        return None if self.cost_nanos is None else to_usd(self.cost_nanos)


def result_of(outcome: Outcome, content: str, message: Mapping[str, Any]) -> RouteResult:
    """The library's view of an outcome that has an answer."""
    plan, answered = outcome.plan, outcome.answered
    if plan is None or answered is None:
        raise ValueError("the request has no answer")
    local = answered.role is Role.LOCAL and plan.wanted is not None
    return RouteResult(
        content=content,
        message=message,
        request_id=outcome.request.id,
        classification=plan.classification,
        decision=plan,
        model=answered.target.name,
        provider=answered.target.provider,
        usage=answered.usage,
        cost_nanos=outcome.cost_nanos,
        latency_ms=outcome.latency_ms,
        finish_reason=answered.finish_reason,
        fallback_used=outcome.fallback_used,
        attempts=outcome.attempts,
        would_have_cost_nanos=(
            cost(plan.wanted.price, answered.usage) if local and plan.wanted else None
        ),
        cascade_used=outcome.cascade_used,
        models_tried=len({a.target.name for a in outcome.tries}),
    )
