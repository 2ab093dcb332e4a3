"""Who goes on with a conversation: the model that answered last, or the one that routing chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mmrouter.config.schema import Config
from mmrouter.decide.cost import EXPECTED_OUTPUT_TOKENS, bound_nanos, estimate_nanos
from mmrouter.decide.prompt_cache import Cached, cached
from mmrouter.decide.switch import Prompt, Switch, switch
from mmrouter.dialects.history import NEW, History
from mmrouter.money import format_usd, rates_at
from mmrouter.types import (
    Candidate,
    Category,
    Complexity,
    Continuation,
    Move,
    Nanos,
    Needs,
    Role,
    Target,
    Usage,
)

_LEVELS = tuple(Complexity)
_MOST_CACHES = 4
"""Models of one conversation whose caches are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is known of a conversation after its last answer. No content.

    Attributes:
        model: name of the model that answered last.
        provider: its provider.
        weight: how hard its turns were, the earlier the less: 0 (simple) to 2 (complex).
        prompt_tokens: of the last prompt, as the provider counted.
        growth: tokens that the last request added to the prompt before; 0 where there was none.
        mixed: more than one model has answered.
        forgone_nanos: see `types.Continuation`.
        caches: model's name -> what it has cached of the conversation.
    """

    model: str
    provider: str
    weight: float
    prompt_tokens: int
    growth: int = 0
    mixed: bool = False
    forgone_nanos: Nanos = 0
    caches: Mapping[str, Cached] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A request as one turn of its conversation.

    Attributes:
        session: None where no earlier turn is known.
        can_omit: signed thinking of earlier turns may be left out of this dialect.
        now: Unix seconds.
    """

    history: History = NEW
    session: Session | None = None
    can_omit: bool = True
    now: float = 0.0


def held_level(turn: Turn, half_life: float) -> Complexity:
    """The level that the weight of earlier turns still holds up."""
    if turn.session is None or half_life <= 0:
        return Complexity.SIMPLE
    weight = turn.session.weight * 0.5 ** (1 / half_life)
    return _LEVELS[int(weight + 0.5)]


def answered(
    before: Session | None,
    target: Target,
    usage: Usage,
    level: Complexity | None,
    history: History,
    half_life: float,
    now: float,
    forgone: Nanos = 0,
) -> Session:
    """The conversation after an answer.

    Args:
        level: how hard the request was by its own words; None where nobody asked.
        half_life: user turns in which a weight halves.
        now: Unix seconds.
        forgone: what staying with the model has cost; counts only if that is who answered.
    """
    weight = float(_LEVELS.index(level)) if level is not None else 0.0
    name = target.name
    if before is None:
        left = cached(target, usage, now)
        return Session(
            model=name,
            provider=target.provider,
            weight=weight,
            prompt_tokens=usage.prompt_tokens,
            caches={} if left is None else {name: left},
        )
    kept = before.weight
    if not history.tool_result:
        kept *= 0.5 ** (1 / half_life) if half_life > 0 else 0.0
    caches = {other: c for other, c in before.caches.items() if now < c.until and other != name}
    left = cached(target, usage, now, before.caches.get(name))
    if left is not None:
        caches[name] = left  # the youngest stands last
    return Session(
        model=name,
        provider=target.provider,
        weight=max(weight, kept),
        prompt_tokens=usage.prompt_tokens,
        growth=max(usage.prompt_tokens - before.prompt_tokens, 0),
        mixed=before.mixed or before.model != name,
        forgone_nanos=forgone if before.model == name else 0,
        caches=dict(list(caches.items())[-_MOST_CACHES:]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a request needs.

    Attributes:
        level: the one that was routed.
        sure: the same without doubt and momentum: never above `level`.
    """

    level: Complexity
    sure: Complexity
    category: Category


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """Which targets could be called now.

    Attributes:
        resolve: a model's name to its target; only names in config are asked.
        ready: there is a key, no breaker is open, and no rate limit is near.
    """

    resolve: Callable[[str], Target]
    fits: Callable[[Target], bool]
    ready: Callable[[Target], bool]


def continued(
    candidates: Sequence[Candidate],
    turn: Turn,
    need: Need,
    needs: Needs,
    config: Config,
    usable: Usable,
    reasons: list[str],
    *,
    must_save: bool,
) -> tuple[list[Candidate], Continuation | None]:
    """The candidates as the conversation's earlier turns leave them.

    Args:
        must_save: the budget leaves room for the cheapest model only.
    """
    session, history = turn.session, turn.history
    if session is None:
        return _by_unknown(list(candidates), turn, reasons), None
    known = session.model in config.model_names()
    here = usable.resolve(session.model) if known else None
    chosen, move = list(candidates), None
    weighed: _Weighed | None = None
    tie = _tie(turn)
    if tie is not None:
        chosen = _of_model(chosen, here, session, needs, tie, reasons)
        move = Move.TIED
    elif here is not None and history.kept_by_provider is not None:
        chosen = _of_provider(chosen, here, needs, history.kept_by_provider, reasons)
        move = Move.TIED
    if here is not None:
        weighed = _weigh(here, candidates[0].target, turn, need, needs, config)
    if here is not None and tie is None:
        if not (usable.fits(here) and usable.ready(here)):
            reasons.append(f"{here.name} answered before and cannot now")
        elif history.tool_result:
            if chosen[0].target.name != here.name:
                reasons.append(f"{here.name} asked for the tool whose result this is")
            chosen = _first(chosen, here, needs)
            move = move or Move.PINNED
        elif chosen[0].target.name == here.name:
            move = move or Move.SAME
        else:
            if weighed is not None:
                reasons.append(weighed.why)
            stays = weighed is not None and weighed.stays and not must_save
            chosen = _first(chosen, here, needs) if stays else chosen
            move = move or (Move.STAYED if stays else Move.SWITCHED)
    return _readable(chosen, turn, session), Continuation(
        model=session.model,
        move=move or Move.SWITCHED,
        switch_nanos=_trip(weighed.switch) if weighed else None,
        saving_nanos=weighed.switch.saving_nanos if weighed else None,
        forgone_nanos=weighed.forgone_nanos if weighed else 0,
    )


def _tie(turn: Turn) -> str | None:
    """Why nobody but the model that answered last can go on; None if others can."""
    if turn.history.signed_open:
        return "only it can read the signed thinking of this turn"
    if turn.history.signed and not turn.can_omit:
        return "only it can read its encrypted reasoning"
    return None


def _of_model(
    chosen: list[Candidate],
    here: Target | None,
    session: Session,
    needs: Needs,
    tie: str,
    reasons: list[str],
) -> list[Candidate]:
    """Only the model that answered last. Where it is failing it is asked all the same: its thinking
    is never given to another, and never dropped in the middle of a turn."""
    mine = [c for c in chosen if c.target.name == session.model]
    if not mine and here is None:
        reasons.append(f"{session.model} is not in this config, though {tie}")
        return chosen
    reasons.append(f"stays with {session.model}: {tie}")
    return mine or ([] if here is None else [_candidate(here, needs)])


def _of_provider(
    chosen: list[Candidate], here: Target, needs: Needs, kept: str, reasons: list[str]
) -> list[Candidate]:
    """Only models of the provider that keeps a part of the request."""
    same = [c for c in chosen if c.target.provider == here.provider]
    if len(same) < len(chosen):
        reasons.append(f"stays with {here.provider}: {kept} exists there only")
    return same or [_candidate(here, needs)]


@dataclass(frozen=True, slots=True)
class _Weighed:
    """The model that answered last against the one that routing chose.

    Attributes:
        stays: the first is good enough, and leaving it does not pay.
    """

    switch: Switch
    stays: bool
    why: str
    forgone_nanos: Nanos


def _weigh(
    here: Target, there: Target, turn: Turn, need: Need, needs: Needs, config: Config
) -> _Weighed | None:
    """None where they are one, or a price is unknown.

    Doubt asks for a stronger model as an insurance. It is taken out only where it costs no more
    than the answer itself; certainty is followed at any price.

    What staying has cost since the model was last needed counts for the switch: it comes when the
    dearer model has been paid for in vain about as much as going and coming back costs. So it is
    never paid in vain for much more than that, and a conversation does not go back and forth (the
    ski rental problem; Karlin, Manasse, Rudolph and Sleator, Competitive snoopy caching, 1988).
    """
    session = turn.session
    assert session is not None  # noqa: S101 - asked only where it is known
    prompt = _prompt(turn, session, here, there, needs)
    ahead = switch(here, there, prompt, config.sessions.switch_horizon)
    one = switch(here, there, prompt, 1)
    if here.name == there.name or ahead is None or one is None:
        return None
    answer = prompt.output * (rates_at(there.price, prompt.tokens).output if there.price else 0)
    insured = ahead.price_nanos * 1000 <= answer
    level = need.level if insured else need.sure
    enough = _strong_enough(here, there, level, need.category, needs, config)
    found = replace(ahead, saving_nanos=ahead.saving_nanos + session.forgone_nanos)
    return _Weighed(
        switch=found,
        stays=enough and not found.pays,
        why=_why(here, there, found, enough=enough),
        forgone_nanos=session.forgone_nanos + max(one.saving_nanos, 0) if enough else 0,
    )


def _trip(found: Switch) -> Nanos:
    return found.price_nanos + found.return_nanos


def _why(here: Target, there: Target, found: Switch, *, enough: bool) -> str:
    price = format_usd(max(_trip(found), 0))
    if not enough:
        return f"{there.name} for {here.name}, at {price} of cached prompt: this turn needs it"
    saving = format_usd(abs(found.saving_nanos))
    worth = f"{'saves' if found.saving_nanos >= 0 else 'costs'} {saving}"
    verdict = "switches" if found.pays else f"stays with {here.name}"
    return f"{verdict}: {there.name} loses {price} of cached prompt and {worth}"


def _strong_enough(
    here: Target,
    there: Target,
    level: Complexity,
    category: Category,
    needs: Needs,
    config: Config,
) -> bool:
    """The model serves this level or a harder one of the category, or is dearer than the one that
    routing chose."""
    for other in _LEVELS[_LEVELS.index(level) :]:
        route = config.route(other, category)
        if here.name == route.model:
            return True
    mine, its = estimate_nanos(here, needs), estimate_nanos(there, needs)
    return mine is not None and its is not None and mine >= its


def _prompt(turn: Turn, session: Session, here: Target, there: Target, needs: Needs) -> Prompt:
    output = needs.max_output or EXPECTED_OUTPUT_TOKENS
    output = min(output, EXPECTED_OUTPUT_TOKENS) * needs.choices
    nothing = Cached(0, 0.0)
    return Prompt(
        tokens=needs.input_tokens,
        here=session.caches.get(here.name, nothing).at(turn.now),
        there=session.caches.get(there.name, nothing).at(turn.now),
        growth=session.growth or output,
        output=output,
    )


def _first(chosen: list[Candidate], here: Target, needs: Needs) -> list[Candidate]:
    """With the model before the others; a cascade goes on from it, or is not gone through."""
    place = next((i for i, c in enumerate(chosen) if c.target.name == here.name), None)
    if place is None:
        return [_candidate(here, needs), *(c for c in chosen if c.role is not Role.CASCADE)]
    if chosen[place].role is Role.CASCADE:
        return chosen[place:]
    rest = [c for i, c in enumerate(chosen) if i != place]
    return [chosen[place], *rest]


def _by_unknown(candidates: list[Candidate], turn: Turn, reasons: list[str]) -> list[Candidate]:
    """Where nobody remembers whose the history is, its thinking is left out where that is allowed.
    (That of the turn under way is a constraint: `Needs.sealed_by`.)"""
    if not turn.history.signed or not turn.can_omit:
        return candidates
    reasons.append("signed thinking of earlier turns is left out")
    return [replace(c, omit_thinking=True) for c in candidates]


def _readable(chosen: list[Candidate], turn: Turn, session: Session) -> list[Candidate]:
    """Marks who must not see the signed thinking of earlier turns, because another made some."""
    if not turn.history.signed or not turn.can_omit:
        return chosen
    return [
        c
        if c.target.name == session.model and not session.mixed
        else replace(c, omit_thinking=True)
        for c in chosen
    ]


def _candidate(target: Target, needs: Needs) -> Candidate:
    return Candidate(
        target=target,
        role=Role.SESSION,
        estimate_nanos=estimate_nanos(target, needs),
        bound_nanos=bound_nanos(target, needs),
    )
