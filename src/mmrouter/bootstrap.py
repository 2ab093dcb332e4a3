"""The composition root: config in, a router's parts out. The only file that names concrete classes.

What is heavy is imported where it is first needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmrouter.alerts.channels import open_channels
from mmrouter.alerts.facts import Look
from mmrouter.alerts.watch import Alerts
from mmrouter.classifier.llm import LlmClassifier
from mmrouter.classifier.select import select
from mmrouter.config import Config, load_config
from mmrouter.decide.breaker import Change, Phase
from mmrouter.decide.budget import limited
from mmrouter.errors import ConfigError, InvalidRequestError, MMRouterError
from mmrouter.providers.base import ProviderBase
from mmrouter.providers.http import HttpProvider, bearer, x_api_key
from mmrouter.providers.registry import LOCAL_MODEL, Registry
from mmrouter.router.budget import LimitBudget
from mmrouter.router.call import Caller
from mmrouter.router.classify import ClassifyStep
from mmrouter.router.conversations import Conversations
from mmrouter.router.gate import CascadeGate
from mmrouter.router.health import ProviderHealth
from mmrouter.router.opinions import Opinions
from mmrouter.router.parts import Parts
from mmrouter.router.pipeline import Pipeline
from mmrouter.router.planner import Planner
from mmrouter.router.ports import Observer
from mmrouter.state.base import Counters
from mmrouter.state.boards import Board
from mmrouter.state.memory import MemoryCounters
from mmrouter.state.sessions import MemorySessions, Sessions
from mmrouter.tracker.breaker_log import BreakerLog
from mmrouter.tracker.sole import claim
from mmrouter.tracker.store import Store, open_store
from mmrouter.tracker.writer import Tracker
from mmrouter.types import Dialect, Request, Surface, Target

if TYPE_CHECKING:
    from mmrouter.eval.shadow import Shadow

MEMORY = "memory://"
"""The `state.url` of counters in this process."""

_OPENAI_DIALECTS = frozenset({Dialect.CHAT, Dialect.RESPONSES, Dialect.EMBEDDINGS})


def build(
    config: Config | str | Path,
    *,
    db: str | None = None,
    local_fallback: bool = False,
    spends: bool = True,
    shadow: bool = False,
    now: Callable[[], float] = time.time,
) -> Parts:
    """Builds a router.

    Args:
        config: a config, a path, or the name of a preset.
        db: URL or path of the tracker's database, over config's.
        local_fallback: requests of the CLI and the library that no configured model has a key for
            are answered by a small local model.
        spends: False for a router that is only looked at: it may stand beside one that counts the
            same limits in its memory.
        shadow: judge the share of answers that `quality.shadow` says.
        now: Unix seconds.

    Raises:
        ConfigError, UnpricedModelError, MissingDependencyError, TrackerError
    """
    if not isinstance(config, Config):
        config = load_config(config)
    registry = Registry(config)
    for name in (*config.model_names(), *_asked_aside(config)):
        registry.priced(name)
    local = registry.resolve(LOCAL_MODEL) if local_fallback else None

    def local_for(request: Request) -> Target | None:
        return local if request.surface in (Surface.CLI, Surface.LIBRARY) else None

    selected = select(config.classifier.strategy, config.classifier.trained_model)
    board = open_board(config)
    health = ProviderHealth(config.provider, now, board)
    spilling = config.tracker.on_failure == "spill"
    store = open_store(database_url(config, db), require=not spilling)
    try:
        release = claim_counters(config, store, db) if spends else _nothing
        budget = open_budget(config, store, now)
    except MMRouterError:
        store.close()
        raise
    spill = Path(config.tracker.spill_path) if spilling else None
    tracker = Tracker(store, spill)
    models = len(config.model_names())
    opinions = Opinions(config.adaptive, store, models, now) if config.adaptive.enabled else None
    sessions = open_sessions(config, now)
    conversations = Conversations(config.sessions, sessions, now)
    planner = Planner(
        config,
        registry,
        ClassifyStep(selected.classifier, _llm_classifier(config), selected.degraded),
        health,
        budget,
        local_for,
        opinions,
        conversations if config.sessions.enabled else None,
    )
    providers = Providers()

    async def feedback(id: str, score: float, comment: str | None, source: str) -> None:
        found = await asyncio.to_thread(
            store.add_feedback, id, score, comment=comment, source=source
        )
        if found is None:
            raise InvalidRequestError(f"No request '{id}' is in the books", param="request_id")

    async def ready() -> None:
        tracker.check()
        await asyncio.to_thread(store.request, "ready?")  # any read: is the database there?

    history = BreakerLog(store)
    health.observe(history)

    async def close_breakers() -> None:
        if board is not None:
            await board.aclose()
        await asyncio.to_thread(history.close)

    async def close_tracker() -> None:
        if opinions is not None:
            await opinions.aclose()
        await asyncio.to_thread(tracker.close)

    async def close_budget() -> None:
        await budget.aclose()
        release()

    observers: list[Observer] = [conversations.note] if config.sessions.enabled else []
    pipeline = Pipeline(
        config=config,
        plans=planner,
        caller=Caller(
            config=config.provider,
            provider_for=providers.get,
            priced=registry.priced,
            health=health,
            budget=budget,
            now=now,
            monotonic=time.perf_counter,
        ),
        books=tracker,
        gate=CascadeGate(config.cascade) if config.cascade.enabled else None,
        observers=observers,
        now=now,
    )

    def open_models() -> Iterator[str]:
        for name in dict.fromkeys((*config.model_names(), *config.models)):
            if health.open(registry.resolve(name)):
                yield name

    alerts = open_alerts(config, store, budget, open_models if spends else None, now)
    health.observe(partial(_tell_of_breaker, alerts))
    closers = [alerts.aclose, providers.aclose, sessions.aclose]
    closers += [close_budget, close_breakers, close_tracker]
    if shadow and config.quality.shadow > 0:
        judging = _shadow(config, pipeline, registry, store)
        observers.append(judging)
        closers.insert(0, judging.aclose)
    return Parts(
        config=config,
        registry=registry,
        store=store,
        classifier=selected.classifier,
        pipeline=pipeline,
        budget=budget,
        health=health,
        provider_for=providers.get,
        feedback=feedback,
        alerts=alerts,
        ready=ready,
        closers=closers,
    )


def _shadow(config: Config, pipeline: Pipeline, registry: Registry, store: Store) -> Shadow:
    """Judges a share of the answers; its own calls go through the same pipeline."""
    from mmrouter.eval.quality import Comparison, Referee, row_of
    from mmrouter.eval.shadow import Shadow

    async def noted(comparison: Comparison) -> None:
        await asyncio.to_thread(store.add_judgement, row_of(comparison, "shadow"))

    referee = Referee(
        pipeline.run, registry.priced, judge=config.judge_model, baseline=config.baseline_model
    )
    return Shadow(referee, noted, config.quality.shadow)


def _asked_aside(config: Config) -> Iterator[str]:
    """Models that no route need name: those that classify and judge."""
    if config.classifier.strategy == "llm" and config.classifier.model:
        yield config.classifier.model
    if config.cascade.enabled and config.cascade.strategy == "llm_judge":
        yield config.cascade.judge_model or ""
    if config.quality.shadow > 0:
        yield from (config.baseline_model, config.judge_model)


def _llm_classifier(config: Config) -> LlmClassifier | None:
    """The model that classifies, where config wants one."""
    wanted = config.classifier
    if wanted.strategy != "llm" or wanted.model is None:
        return None
    return LlmClassifier(wanted.model, wanted.timeout_ms / 1000)


def open_budget(config: Config, store: Store, now: Callable[[], float] = time.time) -> LimitBudget:
    """The spending limits of a config, over the counters that it names.

    Raises:
        ConfigError: `state.url` is of no supported kind.
        MissingDependencyError: the extra `redis` is not installed.
    """
    url = config.state.url
    counters: Counters
    if url == MEMORY:
        counters = MemoryCounters()
    elif url.startswith(("redis://", "rediss://", "unix://")):
        from mmrouter.state.redis import RedisCounters

        counters = RedisCounters(url)
    else:
        raise ConfigError("state.url: expected memory:// or redis://host:port/db")
    return LimitBudget(config, counters, store, now)


def open_sessions(config: Config, now: Callable[[], float] = time.time) -> Sessions:
    """What is remembered of conversations, where the counters are kept too.

    Raises:
        MissingDependencyError: the extra `redis` is not installed.
    """
    url, ttl, most = config.state.url, config.sessions.ttl, config.sessions.most
    if url == MEMORY or not config.sessions.enabled:
        return MemorySessions(ttl=ttl, most=most, now=now)
    from mmrouter.state.redis_sessions import RedisSessions

    return RedisSessions(url, ttl=ttl, most=most, now=now)


def open_board(config: Config) -> Board | None:
    """Where the processes that share `state.url` tell each other of their breakers.

    Raises:
        MissingDependencyError: the extra `redis` is not installed.
    """
    if config.state.url == MEMORY:
        return None
    from mmrouter.state.redis_board import RedisBoard

    return RedisBoard(config.state.url)


def open_alerts(
    config: Config,
    store: Store,
    budget: LimitBudget,
    open_models: Callable[[], Iterable[str]] | None,
    now: Callable[[], float] = time.time,
) -> Alerts:
    """A config's alerts, not started yet.

    Args:
        open_models: models whose breaker is open; None where another process serves.
        now: Unix seconds.
    """
    look = Look(config.alerts, store, budget, open_models, now)
    channels = partial(open_channels, config.alerts)
    return Alerts(config.alerts, config.budget, store, look, channels, now)


def _tell_of_breaker(alerts: Alerts, change: Change) -> None:
    if change.phase is Phase.OPEN and change.model is not None:
        text = f"{change.model} is failing: its circuit breaker opened ({change.cause})"
        alerts.raise_now("breaker_open", change.model, text)


def claim_counters(config: Config, store: Store, db: str | None) -> Callable[[], None]:
    """Makes sure that nobody else counts against the same limits in a memory of his own.

    Raises:
        ConfigError: another process does.
    """
    if config.state.url != MEMORY or not limited(config):
        return _nothing
    return claim(store, database_url(config, db))


def _nothing() -> None:
    """Releases what was not claimed."""


def database_url(config: Config, db: str | None) -> str:
    """The tracker's URL: `--db` takes a path or a URL, and wins over config."""
    if db is None:
        return config.tracker.url
    return db if "://" in db else f"sqlite:///{db}"


class Providers:
    """Who calls a target in a dialect: each made when first asked for, one of each."""

    def __init__(self) -> None:
        self._made: dict[str, ProviderBase] = {}

    def get(self, target: Target, dialect: Dialect) -> ProviderBase:
        """The provider that carries this dialect to this kind of target.

        A dialect that the target speaks itself passes through; LiteLLM translates the others.
        """
        if target.kind == "openai" and dialect in _OPENAI_DIALECTS:
            return self._one("openai", lambda: HttpProvider(bearer))
        if target.kind == "anthropic" and dialect is Dialect.MESSAGES:
            return self._one("anthropic", lambda: HttpProvider(x_api_key))
        if target.kind == "local":
            return self._one("local", _local)
        return self._one("litellm", _litellm)

    async def aclose(self) -> None:
        """Closes those that were made."""
        for provider in self._made.values():
            await provider.aclose()

    def _one(self, name: str, make: Callable[[], ProviderBase]) -> ProviderBase:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


def _local() -> ProviderBase:
    from mmrouter.providers.local import LocalProvider

    return LocalProvider()


def _litellm() -> ProviderBase:
    from mmrouter.providers.litellm import LiteLLMProvider

    return LiteLLMProvider()
