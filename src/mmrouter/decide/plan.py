"""The decision: which models to try for a request, in which order, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mmrouter.config.schema import Config, RouteConfig
from mmrouter.decide.constraints import unfit
from mmrouter.decide.cost import bound_nanos, estimate_nanos
from mmrouter.decide.feedback import Tallies, rank
from mmrouter.decide.session import Need, Turn, Usable, continued, held_level
from mmrouter.errors import InvalidRequestError, MissingKeyError, NoCandidateError
from mmrouter.types import (
    Candidate,
    Classification,
    Complexity,
    Nanos,
    Needs,
    Plan,
    Role,
    Target,
)

_LEVELS = tuple(Complexity)
_DIAL = {"auto": 0, "auto:balanced": 0, "auto:cheap": -1, "auto:best": +1}


class Spending(StrEnum):
    """How near spending is to a limit: the budget's tiers."""

    NORMAL = "normal"
    WARN = "warn"
    DOWNGRADE = "downgrade"
    CHEAPEST = "cheapest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of the world that a decision reads, as of one moment.

    Attributes:
        callable: the target's key is at hand.
        open: the target's breaker, or its provider's, lets no call through.
        limited: why its provider is about to refuse it another call for their number, or None.
        spending: the tier of the tightest budget that the request falls under.
        room_nanos: what its budgets leave to the request; None where it falls under none.
        local: answers where no candidate has its key; None forbids that.
        feedback: what people said of answers; empty where config does not ask.
        draws: random numbers in 0..1, as many as config has models; empty where none is needed.
        turn: the conversation so far; None for its first turn.
    """

    callable: Callable[[Target], bool]
    open: Callable[[Target], bool]
    limited: Callable[[Target, Needs], str | None] = lambda _target, _needs: None
    spending: Spending = Spending.NORMAL
    room_nanos: Nanos | None = None
    local: Target | None = None
    feedback: Tallies = field(default_factory=dict)
    draws: Sequence[float] = ()
    turn: Turn | None = None


Resolve = Callable[[str], Target]


def is_auto(model: str) -> bool:
    """The caller leaves the choice of the model to us.

    Raises:
        InvalidRequestError: an unknown dial, such as "auto:fast".
    """
    if model in _DIAL:
        return True
    if model.startswith("auto:"):
        raise InvalidRequestError(
            f"Unknown model '{model}'; the dial has: {', '.join(_DIAL)}", param="model"
        )
    return False


def plan_explicit(target: Target, needs: Needs, snapshot: Snapshot) -> Plan:
    """The plan for a model that the caller named: that one, or an error.

    Raises:
        NoCandidateError, MissingKeyError
    """
    reason = unfit(target, needs)
    if reason is not None:
        raise NoCandidateError(f"Model '{target.name}' cannot serve this request: it {reason}")
    if not snapshot.callable(target):
        raise MissingKeyError(target.provider, target.api_key_env or "")
    return Plan(
        classification=None,
        candidates=(_candidate(target, Role.EXPLICIT, needs),),
        needs=needs,
        reasons=(f"{target.name} was named by the caller",),
        wanted=target,
    )


def plan_auto(
    model: str,
    classification: Classification,
    needs: Needs,
    config: Config,
    resolve: Resolve,
    snapshot: Snapshot,
) -> Plan:
    """The plan for a request whose model we choose.

    Args:
        model: "auto", or a dial.
        resolve: a model's name to its target; only names in config are asked.

    Raises:
        NoCandidateError: no configured model can do what the request needs.
        MissingKeyError: every model that could serve lacks its key, and nothing local may answer.
    """
    reasons = [f"{classification.complexity}/{classification.category}"]
    level, escalated, downgraded = _level(model, classification, config, snapshot, reasons)
    route = config.route(level, classification.category)
    chosen = _chosen(route, config, resolve)
    saving = _must_save(chosen, needs, config, snapshot)
    if saving:
        chosen = _cheapest_first(config, resolve, needs)
        downgraded = True
        reasons.append("the budget leaves room for the cheapest model only")
    wanted = chosen[0][0]
    chosen = _fitting(chosen, needs, config, resolve, reasons)
    chosen = _with_key(chosen, snapshot, reasons)
    chosen = _healthy(chosen, snapshot, reasons)
    candidates = [_candidate(target, role, needs) for target, role in chosen]
    reranked = False
    if snapshot.feedback and not saving:
        candidates, reranked = _as_liked(candidates, classification, config, snapshot, reasons)
    candidates = _unlimited(candidates, needs, snapshot, reasons)
    continuation = None
    if snapshot.turn is not None:
        candidates, continuation = continued(
            candidates,
            snapshot.turn,
            Need(
                level=level,
                sure=min(level, _shift(classification.complexity, _DIAL[model]), key=_LEVELS.index),
                category=classification.category,
            ),
            needs,
            config,
            _usable(resolve, needs, snapshot),
            reasons,
            must_save=saving,
        )
    return Plan(
        classification=classification,
        candidates=tuple(_gate(candidates)),
        needs=needs,
        reasons=tuple(reasons),
        wanted=wanted,
        escalated=escalated,
        budget_downgraded=downgraded,
        adaptive_reranked=reranked,
        continuation=continuation,
    )


Choice = tuple[Target, Role]


def _level(
    model: str,
    classification: Classification,
    config: Config,
    snapshot: Snapshot,
    reasons: list[str],
) -> tuple[Complexity, bool, bool]:
    """The bucket's complexity after dial, doubt and budget; whether doubt or budget moved it."""
    level = _shift(classification.complexity, _DIAL[model])
    if level is not classification.complexity:
        reasons.append(f"{model} moves it to {level}")
    escalated = False
    if classification.confidence < config.classifier.threshold:
        higher = _shift(level, +1)
        escalated = higher is not level
        level = higher
        if escalated:
            reasons.append(
                f"confidence {classification.confidence:.2f} is below "
                f"{config.classifier.threshold:.2f}: {level}"
            )
        if snapshot.turn is not None:
            held = held_level(snapshot.turn, config.sessions.momentum_half_life)
            if _LEVELS.index(held) > _LEVELS.index(level):
                level = held
                reasons.append(f"the turns before it were {held}")
    downgraded = False
    if snapshot.spending is Spending.DOWNGRADE:
        lower = _shift(level, -1)
        downgraded = lower is not level
        level = lower
        if downgraded:
            reasons.append(f"budget nearly spent: {level}")
    return level, escalated, downgraded


def _must_save(chosen: Sequence[Choice], needs: Needs, config: Config, snapshot: Snapshot) -> bool:
    """The limit is reached: what is left of it holds no call to any model of the route."""
    if config.budget.hard_limit_action != "cheapest" or snapshot.room_nanos is None:
        return False
    bounds = [bound_nanos(target, needs) for target, _ in chosen]
    return all(bound is None or bound > snapshot.room_nanos for bound in bounds)


def _shift(level: Complexity, by: int) -> Complexity:
    return _LEVELS[min(max(_LEVELS.index(level) + by, 0), len(_LEVELS) - 1)]


def _chosen(route: RouteConfig, config: Config, resolve: Resolve) -> list[Choice]:
    names: dict[str, Role] = {}
    if config.cascade.enabled:
        names |= dict.fromkeys(route.cascade, Role.CASCADE)
    names.setdefault(route.model, Role.ROUTE)
    for name in route.fallbacks:
        names.setdefault(name, Role.FALLBACK)
    return [(resolve(name), role) for name, role in names.items()]


def _cheapest_first(config: Config, resolve: Resolve, needs: Needs) -> list[Choice]:
    targets = [resolve(name) for name in config.model_names()]
    priced = sorted(targets, key=lambda t: _price_key(t, needs))
    return [(target, Role.ROUTE) for target in priced]


def _price_key(target: Target, needs: Needs) -> tuple[bool, int]:
    estimate = estimate_nanos(target, needs)
    return estimate is None, estimate or 0


def _fitting(
    chosen: Sequence[Choice],
    needs: Needs,
    config: Config,
    resolve: Resolve,
    reasons: list[str],
) -> list[Choice]:
    """Those that can serve; if none can, any other configured model that can, cheapest first."""
    fit: list[Choice] = []
    faults: dict[str, str] = {}
    for target, role in chosen:
        fault = unfit(target, needs)
        if fault is None:
            fit.append((target, role))
        else:
            faults[target.name] = fault
    reasons.extend(f"{name} {fault}" for name, fault in faults.items())
    if fit:
        return fit
    for target, _ in _cheapest_first(config, resolve, needs):
        fault = faults.get(target.name) or unfit(target, needs)
        if fault is None:
            fit.append((target, Role.FALLBACK))
        else:
            faults[target.name] = fault
    if not fit:
        listed = "; ".join(f"{name} {fault}" for name, fault in faults.items())
        raise NoCandidateError(f"No configured model can serve this request: {listed}")
    reasons.append(f"no model of the route fits: {fit[0][0].name}")
    return fit


def _with_key(chosen: Sequence[Choice], snapshot: Snapshot, reasons: list[str]) -> list[Choice]:
    usable: list[Choice] = []
    without: dict[str, None] = {}
    for target, role in chosen:
        if snapshot.callable(target):
            usable.append((target, role))
        else:
            without[target.provider] = None
    if not usable:
        first = chosen[0][0]
        if snapshot.local is None:
            raise MissingKeyError(first.provider, first.api_key_env or "")
        reasons.append(f"no key for {first.provider}: a small local model answers")
        return [(snapshot.local, Role.LOCAL)]
    reasons.extend(f"no key for {provider}" for provider in without)
    return usable


def _healthy(chosen: Sequence[Choice], snapshot: Snapshot, reasons: list[str]) -> list[Choice]:
    """Those whose breaker is closed; all of them where none is, since trying beats refusing."""
    healthy: list[Choice] = []
    failing: list[str] = []
    for target, role in chosen:
        if snapshot.open(target):
            failing.append(f"{target.name} is failing: passed over")
        else:
            healthy.append((target, role))
    if not healthy:
        return list(chosen)
    reasons.extend(failing)
    return healthy


def _as_liked(
    candidates: list[Candidate],
    classification: Classification,
    config: Config,
    snapshot: Snapshot,
    reasons: list[str],
) -> tuple[list[Candidate], bool]:
    """In the order that feedback on prompts of this kind suggests; whether it is another one."""
    said = snapshot.feedback.get((classification.complexity, classification.category))
    if not said:
        return candidates, False
    ranking = rank(candidates, said, config.adaptive, snapshot.draws)
    if ranking.reason is None:
        return candidates, False
    reasons.append(ranking.reason)
    return list(ranking.candidates), True


def _unlimited(
    candidates: list[Candidate], needs: Needs, snapshot: Snapshot, reasons: list[str]
) -> list[Candidate]:
    """Those that may be called now, before those that are about to reach a rate limit: these are
    asked only if nobody else answers."""
    free: list[Candidate] = []
    limited: list[Candidate] = []
    why: list[str] = []
    for candidate in candidates if len(candidates) > 1 else ():
        reason = snapshot.limited(candidate.target, needs)
        if reason is None:
            free.append(candidate)
        else:
            limited.append(candidate)
            why.append(f"{candidate.target.name} {reason}: asked last")
    if not free:
        return candidates
    reasons.extend(why)
    return free + limited


def _usable(resolve: Resolve, needs: Needs, snapshot: Snapshot) -> Usable:
    return Usable(
        resolve=resolve,
        fits=lambda target: unfit(target, needs) is None,
        ready=lambda target: (
            snapshot.callable(target)
            and not snapshot.open(target)
            and snapshot.limited(target, needs) is None
        ),
    )


def _candidate(target: Target, role: Role, needs: Needs) -> Candidate:
    return Candidate(
        target=target,
        role=role,
        estimate_nanos=estimate_nanos(target, needs),
        bound_nanos=bound_nanos(target, needs),
    )


def _gate(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Every cascade candidate is gated but the last of them: nothing stronger is left to ask."""
    listed = list(candidates)
    cascade = [c for c in listed if c.role is Role.CASCADE]
    return [replace(c, gated=True) if c in cascade[:-1] else c for c in listed]
