"""The composition root: config in, a router's parts out. The only file that names concrete classes.

What is heavy is imported where it is first needed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmrouter.alerts.channels import open_channels
from mmrouter.alerts.facts import Look
from mmrouter.alerts.rules import whose_breaker
from mmrouter.alerts.watch import Alerts
from mmrouter.classifier.llm import LlmClassifier
from mmrouter.classifier.select import select
from mmrouter.config import Config, database_url, load_config
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
from mmrouter.router.earlier import EarlierAnswers
from mmrouter.router.experiments import RunningExperiment
from mmrouter.router.gate import CascadeGate
from mmrouter.router.health import ProviderHealth
from mmrouter.router.opinions import Opinions
from mmrouter.router.parts import Parts
from mmrouter.router.pipeline import Pipeline
from mmrouter.router.planner import Planner
from mmrouter.router.policies import Close, Policies, Policy
from mmrouter.router.ports import Observer
from mmrouter.state.base import Counters
from mmrouter.state.boards import Board
from mmrouter.state.memory import MemoryCounters
from mmrouter.state.sessions import MemorySessions, Sessions
from mmrouter.tracker.breaker_log import BreakerLog
from mmrouter.tracker.experiments import Arm, Experiment
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
    check_priced(config)
    board = open_board(config)
    health = ProviderHealth(config.provider, now, board)
    spilling = config.tracker.on_failure == "spill"
    store = open_store(database_url(config, db), require=not spilling)
    try:
        claim = Claim(store, db) if spends else None
        if claim is not None:
            claim.hold(config)
        budget = open_budget(config, store, now)
    except MMRouterError:
        store.close()
        raise
    tracker = Tracker(store, Path(config.tracker.spill_path) if spilling else None)
    shared = Shared(
        store=store,
        tracker=tracker,
        budget=budget,
        health=health,
        providers=Providers(),
        sessions=open_sessions(config, now),
        local_fallback=local_fallback,
        shadow=shadow,
        now=now,
    )

    def variant(beside: Config, experiment: Experiment, arm: Arm) -> Policy:
        mixed = config_of_variant(beside, Config.model_validate_json(arm.config))
        return make_policy(mixed, shared, variant=experiment.label(arm.name))

    def failing() -> Iterator[str]:
        return itertools.starmap(whose_breaker, health.shut())

    alerts = open_alerts(config, store, budget, failing if spends else None, now)
    health.observe(partial(_tell_of_breaker, alerts))
    halted = partial(alerts.raise_now, "experiment_halted")
    experiments = RunningExperiment(config, store, variant, halted)
    policies = Policies(make_policy(config, shared), experiments)

    async def reload(config: Config) -> None:
        check_unmoved(policies.current.config, config)
        policy = await asyncio.to_thread(make_policy, config, shared)
        if claim is not None:
            claim.hold(config)
        await alerts.configure(config)  # the last that may refuse
        health.configure(config.provider)
        budget.configure(config)
        policies.replace(policy)

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
        await asyncio.to_thread(tracker.close)

    async def close_budget() -> None:
        await budget.aclose()
        if claim is not None:
            claim.release()

    return Parts(
        policies=policies,
        store=store,
        budget=budget,
        health=health,
        provider_for=shared.providers.get,
        feedback=feedback,
        alerts=alerts,
        ready=ready,
        reload=reload,
        closers=(
            alerts.aclose,
            policies.aclose,
            shared.providers.aclose,
            shared.sessions.aclose,
            close_budget,
            close_breakers,
            close_tracker,
        ),
    )


def priced_config(source: str) -> Config:
    """A config all of whose models are known and have a price.

    Raises:
        ConfigError, UnpricedModelError
    """
    config = load_config(source)
    check_priced(config)
    return config


def check_priced(config: Config) -> None:
    """Every model that may be called without a client naming it is known and has a price.

    Raises:
        ConfigError, UnpricedModelError
    """
    registry = Registry(config)
    for name in config.called_names():
        registry.priced(name)


def check_unmoved(old: Config, new: Config) -> None:
    """What a running process cannot move is where it was.

    Raises:
        ConfigError: it is not.
    """
    for section in ("tracker", "state"):
        if getattr(old, section) != getattr(new, section):
            raise ConfigError(f"'{section}' cannot change while the server runs: restart it")


def config_of_variant(current: Config, own: Config) -> Config:
    """A variant's config. What is kept, spent, watched and served is the server's, not the
    experiment's: a variant decides who answers."""
    kept = ("tracker", "state", "budget", "alerts", "server", "quality", "baseline")
    return own.model_copy(update={name: getattr(current, name) for name in kept})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all policies of a process share.

    Attributes:
        local_fallback, shadow, now: see `build`.
    """

    store: Store
    tracker: Tracker
    budget: LimitBudget
    health: ProviderHealth
    providers: Providers
    sessions: Sessions
    local_fallback: bool
    shadow: bool
    now: Callable[[], float]


def make_policy(config: Config, shared: Shared, *, variant: str | None = None) -> Policy:
    """All that a config decides by.

    Args:
        variant: how its requests are marked; None for the config itself.

    Raises:
        ConfigError, UnpricedModelError, MissingDependencyError
    """
    check_priced(config)
    registry = Registry(config)
    local = registry.resolve(LOCAL_MODEL) if shared.local_fallback else None

    def local_for(request: Request) -> Target | None:
        return local if request.surface in (Surface.CLI, Surface.LIBRARY) else None

    wanted = config.classifier
    selected = select(wanted.strategy, wanted.trained_model, wanted.second_look)
    closers: list[Close] = []
    opinions = None
    if config.adaptive.enabled:
        models = len(config.model_names())
        opinions = Opinions(config.adaptive, shared.store, models, shared.now)
        closers.append(opinions.aclose)
    conversations = None
    observers: list[Observer] = []
    if config.sessions.enabled:
        earlier = EarlierAnswers(config.sessions, shared.store, registry.resolve, shared.now)
        conversations = Conversations(config.sessions, shared.sessions, shared.now, earlier)
        observers.append(conversations.note)
    planner = Planner(
        config,
        registry,
        ClassifyStep(selected.classifier, _llm_classifier(config), selected.degraded),
        shared.health,
        shared.budget,
        local_for,
        opinions,
        conversations,
        variant,
    )
    pipeline = Pipeline(
        config=config,
        plans=planner,
        caller=Caller(
            config=config.provider,
            provider_for=shared.providers.get,
            priced=registry.priced,
            health=shared.health,
            budget=shared.budget,
            now=shared.now,
            monotonic=time.perf_counter,
        ),
        books=shared.tracker,
        gate=CascadeGate(config.cascade) if config.cascade.enabled else None,
        observers=observers,
        now=shared.now,
    )
    if shared.shadow and config.quality.shadow > 0:
        judging = _shadow(config, pipeline, registry, shared.store)
        observers.append(judging)
        closers.insert(0, judging.aclose)
    return Policy(
        config=config,
        registry=registry,
        classifier=selected.classifier,
        pipeline=pipeline,
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
    failing: Callable[[], Iterable[str]] | None,
    now: Callable[[], float] = time.time,
) -> Alerts:
    """A config's alerts, not started yet.

    Args:
        failing: whose breakers are open; None where another process serves.
        now: Unix seconds.
    """

    def look(config: Config) -> Look:
        return Look(config.alerts, store, budget, failing, now)

    return Alerts(config, store, look, open_channels, now)


def _tell_of_breaker(alerts: Alerts, change: Change) -> None:
    if change.phase is Phase.OPEN:
        whose = whose_breaker(change.provider, change.model)
        text = f"{whose} is failing: its circuit breaker opened ({change.cause})"
        alerts.raise_now("breaker_open", whose, text)


class Claim:
    """That nobody else counts against the same limits in a memory of his own.

    Args:
        db: over config's; see `build`.
    """

    def __init__(self, store: Store, db: str | None) -> None:
        self._store = store
        self._db = db
        self._release: Callable[[], None] | None = None

    def hold(self, config: Config) -> None:
        """Claims the books' counters where this config counts in memory.

        Raises:
            ConfigError: another process does.
        """
        if self._release is None and config.state.url == MEMORY and limited(config):
            self._release = claim(self._store, database_url(config, self._db))

    def release(self) -> None:
        """Lets others count."""
        if self._release is not None:
            self._release()


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
