"""The pages' data by path: every answer of the dashboard's API starts here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any

from mmrouter.dashboard import (
    alerts,
    beliefs,
    budgets,
    candidates,
    experiments,
    grid,
    limits,
    live,
    models,
    names,
    overview,
    quality,
    rehearsal,
    requests,
    trial,
)
from mmrouter.dashboard.memo import Memo
from mmrouter.dashboard.question import Question
from mmrouter.errors import InvalidRequestError
from mmrouter.router.parts import Parts

Json = dict[str, Any]
Handler = Callable[[Question], Awaitable[Any]]

_COUNT_KEPT_S = 2.0
_PULSE_KEPT_S = 0.9
_NAMES_KEPT_S = 30.0

_COMMENT = 4_000
"""Characters of a comment."""


class Api:
    """Answers the page.

    Args:
        serving: requests run through these parts; else another process serves, and what it keeps
            in memory (breakers, money set aside) is not known here.
    """

    def __init__(
        self, parts: Parts, *, serving: bool = True, now: Callable[[], float] = time.time
    ) -> None:
        self._parts = parts
        self._store = parts.store
        self._serving = serving
        self._now = now
        self._memo = Memo()
        self._one_replay = asyncio.Semaphore(1)
        self._one_test = asyncio.Semaphore(1)
        self.routes: Mapping[tuple[str, str], Handler] = {
            ("GET", "meta"): self._meta,
            ("GET", "names"): self._names,
            ("GET", "traffic"): self._traffic,
            ("GET", "times"): self._times,
            ("GET", "savings"): self._savings,
            ("GET", "quality"): self._quality,
            ("GET", "budgets"): self._budgets,
            ("GET", "requests"): self._requests,
            ("GET", "count"): self._count,
            ("GET", "request"): self._request,
            ("POST", "feedback"): self._feedback,
            ("GET", "beliefs"): self._beliefs,
            ("GET", "models"): self._models,
            ("GET", "breakers"): self._breakers,
            ("GET", "grid"): self._grid,
            ("GET", "experiments"): self._experiments,
            ("POST", "experiments"): self._experiment,
            ("GET", "alerts"): self._alerts,
            ("POST", "alerts"): self._test_alerts,
            ("POST", "trial"): self._trial,
            ("GET", "config"): self._config,
            ("POST", "replay"): self._replay,
        }
        """(method, first part of the path) -> who answers."""

    async def pulse(self) -> Json:
        """Changes whenever a request has ended."""
        found: Json = await self._memo.get(
            "pulse", lambda: live.pulse(self._store, self._now()), least_s=_PULSE_KEPT_S
        )
        return found

    async def _meta(self, question: Question) -> Json:
        config = self._parts.config
        return {
            "version": version("mmrouter"),
            "serving": self._serving,
            "baseline": config.baseline_model,
            "stores_prompts": config.tracker.store_prompts,
            "adaptive": config.adaptive.enabled,
            "timezone": config.budget.timezone,
        }

    async def _names(self, question: Question) -> Any:
        return await self._memo.get(
            "names",
            lambda: names.names(self._store, self._parts.config),
            least_s=_NAMES_KEPT_S,
        )

    async def _traffic(self, question: Question) -> Any:
        filter, zone = question.filter, question.zone
        return await self._memo.get(
            ("traffic", filter, zone),
            lambda: overview.traffic(self._store, filter, zone, self._now()),
        )

    async def _times(self, question: Question) -> Any:
        filter = question.filter
        return await self._memo.get(("times", filter), lambda: overview.times(self._store, filter))

    async def _savings(self, question: Question) -> Any:
        filter, parts = question.filter, self._parts
        return await self._memo.get(
            ("savings", filter),
            lambda: overview.saved(self._store, filter, parts.config, parts.registry),
        )

    async def _quality(self, question: Question) -> Any:
        filter = question.filter
        return await self._memo.get(
            ("quality", filter), lambda: quality.quality(self._store, filter, self._parts.config)
        )

    async def _budgets(self, question: Question) -> Any:
        found = await self._memo.get(
            "budgets", lambda: budgets.budgets(self._store, self._parts.config, self._now())
        )
        reserved = await self._reserved()
        limits = [row | {"reserved_nanos": reserved.get(row["counter"])} for row in found["limits"]]
        return found | {"limits": limits}

    async def _reserved(self) -> dict[str, int]:
        if not self._serving:
            return {}
        budget = self._parts.budget
        rows = await budget.balances(budget.limits())
        return {limit.counter: balance.reserved for limit, balance in rows}

    async def _requests(self, question: Question) -> Any:
        return await self._memo.get(
            ("requests", tuple(sorted(question.query.items()))),
            lambda: requests.page(self._store, question),
        )

    async def _count(self, question: Question) -> Any:
        filter = question.filter
        return await self._memo.get(
            ("count", filter), lambda: requests.count(self._store, filter), least_s=_COUNT_KEPT_S
        )

    async def _request(self, question: Question) -> Any:
        id, parts = question.name, self._parts
        found = await self._memo.get(("request", id), lambda: requests.story(self._store, id))
        if found is None:
            raise InvalidRequestError("No such request is in the books", param="id")
        able = await asyncio.to_thread(
            candidates.candidates, self._store, parts.config, parts.registry, self._now(), found
        )
        return found | {"candidates": able}

    async def _feedback(self, question: Question) -> Json:
        """Writes a score, and a comment or none; tells how the belief in the model changed."""
        score, comment = question.body.get("score"), question.body.get("comment")
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise InvalidRequestError("'score' must be a number from 0 to 1", param="score")
        if comment is not None and not (isinstance(comment, str) and len(comment) <= _COMMENT):
            raise InvalidRequestError(
                f"'comment' must be text of up to {_COMMENT} characters", param="comment"
            )
        before = await self._of_bucket(question.name)
        await self._parts.feedback(question.name, float(score), comment or None, "dashboard")
        self._memo.forget()
        after = await self._of_bucket(question.name)
        return {
            "request_id": question.name,
            "score": score,
            "adaptive": self._parts.config.adaptive.enabled,
            "before": before,
            "beliefs": after,
        }

    async def _of_bucket(self, id: str) -> list[Json]:
        parts = self._parts
        return await asyncio.to_thread(
            beliefs.of_request, self._store, parts.config, parts.registry, self._now(), id
        )

    async def _beliefs(self, question: Question) -> Any:
        parts = self._parts
        return await self._memo.get(
            "beliefs",
            lambda: beliefs.beliefs(self._store, parts.config, parts.registry, self._now()),
        )

    async def _models(self, question: Question) -> Any:
        filter, parts = question.filter, self._parts
        return await self._memo.get(
            ("models", filter),
            lambda: models.models(self._store, filter, parts.config, parts.registry),
        )

    async def _breakers(self, question: Question) -> Json:
        config, registry = self._parts.config, self._parts.registry
        names = dict.fromkeys((*config.model_names(), *config.models))
        health = self._parts.health
        return {
            "known": self._serving,
            "threshold": config.provider.circuit_breaker_threshold,
            "reset_ms": config.provider.circuit_breaker_reset_ms,
            "open": [name for name in names if health.open(registry.resolve(name))],
            "limits": limits.limits(config, registry, health),
            "changes": await asyncio.to_thread(self._store.breaker_changes),
        }

    async def _grid(self, question: Question) -> Any:
        filter = question.filter
        return await self._memo.get(
            ("grid", filter), lambda: grid.grid(self._store, filter, self._parts.config)
        )

    async def _experiments(self, question: Question) -> Any:
        return await self._memo.get("experiments", lambda: experiments.reports(self._store))

    async def _experiment(self, question: Question) -> Json:
        name, _, verb = question.name.partition("/")
        if name and verb != "stop":
            raise InvalidRequestError("An experiment takes a stop")
        try:
            if name:
                return await experiments.stop(self._store, name)
            return await experiments.create(self._store, self._parts.config, question)
        finally:
            self._memo.forget()

    async def _alerts(self, question: Question) -> Json:
        match question.name:
            case "":
                return alerts.settings(self._parts.config.alerts)
            case "status":
                return await alerts.status(self._parts)
            case "history":
                return await alerts.told(self._parts, question)
            case _:
                raise InvalidRequestError("Alerts have a status and a history")

    async def _test_alerts(self, question: Question) -> Json:
        if question.name != "test":
            raise InvalidRequestError("Alerts take a test")
        async with self._one_test:
            return await alerts.trial(self._parts)

    async def _config(self, question: Question) -> Json:
        return {"text": rehearsal.editable(self._parts.config), "most": rehearsal.MOST_REQUESTS}

    async def _replay(self, question: Question) -> Json:
        async with self._one_replay:
            return await asyncio.to_thread(
                rehearsal.rehearse, self._store, self._parts.config, question
            )

    async def _trial(self, question: Question) -> Json:
        return await trial.trial(self._parts, question)
