"""The circuit breaker as pure transitions (Nygard, Release It!, chapter 5).

Closed, it counts failures in a row. Open, it lets nothing through for a while. Then it is half
open: so many probes at a time, of which the first good one closes it, and a bad one opens it again.

Only calls that began after the breaker opened tell whether what it guards is back: answers to older
ones, which may come minutes late, change nothing. Which failures count is said by `health` of the
error classes (`mmrouter.errors`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Phase(StrEnum):
    """Of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, and for how long.

    Attributes:
        threshold: failures in a row that open it.
        reset_s: how long it stays open; a probe that has not reported by then is forgotten too.
        probes: most calls at a time while it is half open.
    """

    threshold: int
    reset_s: float
    probes: int = 1


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one breaker.

    Attributes:
        failures: in a row.
        opened_at: Unix seconds, or None while closed.
        probes: Unix seconds at which the probes under way began.
    """

    failures: int = 0
    opened_at: float | None = None
    probes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker went into another phase.

    Attributes:
        provider: whose breaker it is, or whose model's.
        model: its name in config; None is the provider's own breaker.
        at: Unix seconds; of HALF_OPEN, when the probe began.
        cause: class and message of the failure that opened it, without secrets; else None.
    """

    provider: str
    model: str | None
    phase: Phase
    at: float
    cause: str | None = None


CLOSED = Breaker()


def phase(state: Breaker, rules: Rules, *, now: float) -> Phase:
    """The phase at this moment: half open begins by the clock alone."""
    if state.opened_at is None:
        return Phase.CLOSED
    return Phase.OPEN if now - state.opened_at < rules.reset_s else Phase.HALF_OPEN


def admits(state: Breaker, rules: Rules, *, now: float) -> bool:
    """A call may be made: the breaker is closed, or half open with room for a probe."""
    if state.opened_at is None:
        return True
    if now - state.opened_at < rules.reset_s:
        return False
    return len(_under_way(state, rules, now)) < rules.probes


def on_call(state: Breaker, rules: Rules, *, now: float) -> Breaker:
    """A call begins: while the breaker is half open, it is a probe."""
    if phase(state, rules, now=now) is not Phase.HALF_OPEN or now in state.probes:
        return state
    return replace(state, probes=(*_under_way(state, rules, now), now))


def on_success(state: Breaker, *, began: float) -> Breaker:
    """A call succeeded that began then."""
    if state.opened_at is not None and began < state.opened_at:
        return state
    return CLOSED


def on_failure(state: Breaker, rules: Rules, *, began: float, now: float) -> Breaker:
    """A call failed that began then: at the threshold, or as a probe, the breaker opens (again)."""
    if state.opened_at is None:
        failures = state.failures + 1
        return Breaker(failures, now if failures >= rules.threshold else None)
    if began - state.opened_at < rules.reset_s:
        return state
    return Breaker(state.failures + 1, now)


def on_nothing(state: Breaker, *, began: float) -> Breaker:
    """A call ended that tells nothing: its client left soon, or the request itself was wrong."""
    if began not in state.probes:
        return state
    return replace(state, probes=tuple(probe for probe in state.probes if probe != began))


def counts_as_failure(*, silent_s: float, deadline_s: float) -> bool:
    """A call that its caller gave up speaks against the model: no byte had come after half of the
    time that the first may take.

    Otherwise clients with less patience than the deadline would keep the breaker of a model closed
    that hangs for good. A model that is only slow for some is not hurt: only failures in a row
    count, and any good answer ends the row.
    """
    return silent_s >= deadline_s / 2


def provider_fails(
    models: Iterable[Breaker], of_models: Rules, of_provider: Rules, *, now: float
) -> bool:
    """So many of a provider's models are open at this moment that the provider itself is to blame.

    A model whose time is over is not counted: it may well be back, and nobody has asked yet.
    """
    opened = sum(phase(model, of_models, now=now) is Phase.OPEN for model in models)
    return opened >= of_provider.threshold


def _under_way(state: Breaker, rules: Rules, now: float) -> tuple[float, ...]:
    return tuple(began for began in state.probes if now - began < rules.reset_s)
