"""What the composition root hands out: one router's parts, and how to close them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mmrouter.alerts.watch import Alerts
from mmrouter.classifier.base import Classifier
from mmrouter.config.schema import Config
from mmrouter.providers.registry import Registry
from mmrouter.router.budget import LimitBudget
from mmrouter.router.call import Calls
from mmrouter.router.policies import Close, Policies
from mmrouter.router.ports import Health
from mmrouter.tracker.store import Store

Feedback = Callable[[str, float, str | None, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A built router.

    Attributes:
        policies: answer requests.
        store: the books, to look at.
        budget: the spending limits, to look at.
        health: which models are failing, to look at.
        provider_for: who calls a target in a dialect.
        feedback: notes (request id or upstream id, score 0..1, comment, and by which door: "api",
            "dashboard", "library", "cli").
        alerts: tells people when something is wrong; a server starts it.
        ready: raises TrackerError while the books cannot be written or read.
        reload: puts another config into force; requests under way end by theirs. Raises an
            MMRouterError, and changes nothing, where that cannot be.
        closers: called in order when the router closes.
    """

    policies: Policies
    store: Store
    budget: LimitBudget
    health: Health
    provider_for: Calls
    feedback: Feedback
    alerts: Alerts
    ready: Callable[[], Awaitable[None]]
    reload: Callable[[Config], Awaitable[None]]
    closers: Sequence[Close]

    @property
    def config(self) -> Config:
        """The one in force."""
        return self.policies.current.config

    @property
    def registry(self) -> Registry:
        """Of the config in force."""
        return self.policies.current.registry

    @property
    def classifier(self) -> Classifier:
        """The local strategy in force."""
        return self.policies.current.classifier

    async def aclose(self) -> None:
        """Closes everything, also where one part fails to."""
        failures: list[Exception] = []
        for close in self.closers:
            try:
                await close()
            except Exception as error:  # noqa: BLE001 - the others must be closed too
                failures.append(error)
        if failures:
            raise failures[0]
