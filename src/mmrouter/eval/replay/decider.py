"""One config's decisions over a log.

Every model's key counts as set and every breaker as closed: it is the config that is judged.
"""

from __future__ import annotations

from typing import Any

from mmrouter.config.schema import Config
from mmrouter.decide.plan import Snapshot, plan_auto
from mmrouter.dialects import Conversation
from mmrouter.errors import MMRouterError, UnpricedModelError
from mmrouter.eval.replay.logs import Logged
from mmrouter.providers.registry import Registry
from mmrouter.router.planner import Planner
from mmrouter.router.ports import Classify
from mmrouter.types import Classification, Needs, Plan, Request, Surface, Target


class _EveryKey(Registry):
    """A registry to which every model can be called."""

    def has_key(self, target: Target) -> bool:
        return True


class _AllWell:
    """Health of models that never fail."""

    def open(self, target: Target) -> bool:
        return False

    def limited(self, target: Target, needs: Needs) -> None:
        return None


class Once:
    """Classifies a conversation once, though two configs ask."""

    def __init__(self, classify: Classify) -> None:
        self._classify = classify
        self._last: tuple[Conversation, tuple[Classification, str]] | None = None

    async def __call__(self, conversation: Conversation, *ask: Any) -> tuple[Classification, str]:
        if self._last is None or self._last[0] != conversation:
            self._last = conversation, await self._classify(conversation, *ask)
        return self._last[1]


class Decider:
    """One config's decisions.

    Args:
        classify: its strategy; configs with the same one share it.
    """

    def __init__(self, config: Config, classify: Classify) -> None:
        self.config = config
        self.registry = _EveryKey(config)
        self._health = _AllWell()
        self._plans = Planner(
            config,
            self.registry,
            classify,
            self._health,
            None,
            lambda request: None,
        )

    async def decide(self, logged: Logged) -> tuple[Plan, str]:
        """The plan, and the judged text.

        Raises:
            MMRouterError: no model of the config would do.
        """
        if logged.classification is not None:
            tokens = logged.usage.prompt_tokens if logged.usage else 0
            plan = plan_auto(
                "auto",
                logged.classification,
                Needs(input_tokens=tokens, input_bound=tokens),
                self.config,
                self.registry.priced,
                Snapshot(callable=self.registry.has_key, open=self._health.open),
            )
            return plan, "(its text was not kept)"
        request = Request(
            id="",
            surface=Surface.LIBRARY,
            dialect=logged.dialect,
            model="auto",
            body=logged.body,
        )
        plan, judged = await self._plans(request)
        return plan, judged or ""

    def find(self, model: str) -> Target | None:
        """The model under a log's name for it; None where nobody knows it."""
        for name in (model, model.rpartition("/")[2]):
            try:
                return self.registry.resolve(name)
            except MMRouterError:
                continue
        return None


def baseline_of(decider: Decider, name: str) -> Target:
    """The baseline as a target with a price.

    Raises:
        UnknownModelError, UnpricedModelError
    """
    target = decider.registry.priced(name)
    if target.price is None:
        raise UnpricedModelError(f"No price is known for the baseline '{name}'")
    return target
