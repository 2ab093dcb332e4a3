"""Gathers what a decision reads (classification, state, keys), and calls `decide`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mmrouter.config.schema import Config
from mmrouter.decide.budget import Standing
from mmrouter.decide.constraints import unfit
from mmrouter.decide.overflow import roomier
from mmrouter.decide.plan import Snapshot, Spending, is_auto, plan_auto, plan_explicit
from mmrouter.dialects import DIALECTS
from mmrouter.dialects.question import Ask
from mmrouter.errors import InvalidRequestError
from mmrouter.providers.registry import Registry
from mmrouter.router.conversations import Conversations
from mmrouter.router.opinions import Opinions
from mmrouter.router.ports import Budget, Classify, Condition
from mmrouter.types import Candidate, Dialect, Move, Plan, Request, Target

_FREE = Standing(Spending.NORMAL, None)


class Planner:
    """One config's decisions.

    Args:
        budget: None where no limit is set.
        local: the target that answers without a key, for requests that allow it.
        opinions: what people said of answers; None where config does not ask.
        conversations: what earlier turns left; None where config does not ask.
        variant: how the plans are marked, where an experiment asks for them.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        classify: Classify,
        health: Condition,
        budget: Budget | None,
        local: Callable[[Request], Target | None],
        opinions: Opinions | None = None,
        conversations: Conversations | None = None,
        variant: str | None = None,
    ) -> None:
        self._config = config
        self._registry = registry
        self._classify = classify
        self._health = health
        self._budget = budget
        self._local = local
        self._opinions = opinions
        self._conversations = conversations
        self._variant = variant

    async def __call__(self, request: Request, ask: Ask | None = None) -> tuple[Plan, str | None]:
        dialect = DIALECTS[request.dialect]
        needs = dialect.needs(request.body)
        stands = _FREE if self._budget is None else await self._budget.standing(request)
        snapshot = Snapshot(
            callable=self._registry.has_key,
            open=self._health.open,
            limited=self._health.limited,
            spending=stands.tier,
            room_nanos=stands.room_nanos,
            local=self._local(request),
            feedback={} if self._opinions is None else self._opinions.current(),
            draws=() if self._opinions is None else self._opinions.draws(request.session),
        )
        if not is_auto(request.model):
            return plan_explicit(self._registry.priced(request.model), needs, snapshot), None
        if request.dialect is Dialect.EMBEDDINGS:
            raise InvalidRequestError("Embeddings need a named model, not 'auto'", param="model")
        if self._conversations is not None:
            turn = await self._conversations.turn(request)
            if turn is not None:
                snapshot = replace(snapshot, turn=turn)
        classification, judged = await self._classify(dialect.conversation(request.body), ask)
        plan = plan_auto(
            request.model, classification, needs, self._config, self._registry.priced, snapshot
        )
        return (plan if self._variant is None else replace(plan, variant=self._variant)), judged

    def roomier(
        self, plan: Plan, failed: Target, rest: Sequence[Candidate]
    ) -> tuple[Candidate, ...]:
        """See `router.ports.Plans`. A model that the caller named, or that only can
        read the history, is never replaced."""
        others = map(self._registry.priced, self._config.model_names())
        tied = plan.continuation is not None and plan.continuation.move is Move.TIED
        usable = (
            target
            for target in (others if plan.classification is not None and not tied else ())
            if self._registry.has_key(target)
            and unfit(target, plan.needs) is None
            and not self._health.open(target)
        )
        earlier_turns = plan.continuation is not None
        return roomier(failed, rest, usable, plan.needs, omit_thinking=earlier_turns)
