"""Which config answers a request: the current one, or a variant of the running experiment.

A request keeps the policy with which it began until its end, whatever is reloaded meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mmrouter.classifier.base import Classifier
from mmrouter.config.schema import Config
from mmrouter.providers.registry import Registry
from mmrouter.router.pipeline import Events, Pipeline
from mmrouter.types import Plan, Request

logger = logging.getLogger(__name__)

Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that one config decides by. Books, budgets, health and connections are not of it: every
    policy of a process shares them.

    Attributes:
        classifier: the local strategy in force.
        closers: what it began in the background ends.
    """

    config: Config
    registry: Registry
    classifier: Classifier
    pipeline: Pipeline
    closers: Sequence[Close] = ()

    async def aclose(self) -> None:
        """Ends what it began. Requests under way are not touched."""
        for close in self.closers:
            await close()


class Experiments(Protocol):
    """Who may answer in the place of the current config."""

    def policy_for(self, request: Request) -> tuple[Policy, str] | None:
        """The variant that the request belongs to, and its unit's hash; None for the config itself.
        Returns at once."""

    def configure(self, config: Config) -> None:
        """The config was replaced: variants that lean on it are built anew, in a moment."""

    async def aclose(self) -> None:
        """Ends what it began."""


class Policies:
    """Answers requests by the policy that each belongs to.

    Attributes:
        current: the config's own.
    """

    def __init__(self, current: Policy, experiments: Experiments) -> None:
        self.current = current
        self._experiments = experiments
        self._retiring: set[asyncio.Task[None]] = set()

    def run(self, request: Request) -> Events:
        """See `Pipeline.run`."""
        pipeline, request = self._placed(request)
        return pipeline.run(request)

    async def decide(self, request: Request) -> Plan:
        """See `Pipeline.decide`."""
        pipeline, request = self._placed(request)
        return await pipeline.decide(request)

    def replace(self, policy: Policy) -> None:
        """Later requests go by this one; those under way by the one they began with."""
        old, self.current = self.current, policy
        self._experiments.configure(policy.config)
        task = asyncio.create_task(old.aclose())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def aclose(self) -> None:
        """Ends what policies began."""
        await asyncio.gather(*self._retiring)
        await self._experiments.aclose()
        await self.current.aclose()

    def _placed(self, request: Request) -> tuple[Pipeline, Request]:
        chosen = self._experiments.policy_for(request)
        if chosen is None:
            return self.current.pipeline, request
        policy, unit = chosen
        return policy.pipeline, replace(request, unit=unit)
