"""The circuit breaker as a pure transition function (Nygard, Release It!, chapter 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one breaker.

    Attributes:
        failures: in a row.
        opened_at: Unix seconds, or None while closed.
        probing_since: Unix seconds since a probe of the half-open breaker is under way, or None.
    """

    failures: int = 0
    opened_at: float | None = None
    probing_since: float | None = None


CLOSED = Breaker()


def allows(state: Breaker, *, now: float, reset_s: float) -> bool:
    """A call may be made: the breaker is closed, or half open with no probe under way.

    A probe that never reported back is forgotten after another `reset_s`.
    """
    if state.opened_at is None:
        return True
    if now - state.opened_at < reset_s:
        return False
    return state.probing_since is None or now - state.probing_since >= reset_s


def on_call(state: Breaker, *, now: float) -> Breaker:
    """A call is made: in the half-open state it is the probe."""
    return state if state.opened_at is None else replace(state, probing_since=now)


def on_success(state: Breaker) -> Breaker:
    """A call succeeded."""
    return CLOSED


def on_failure(state: Breaker, *, now: float, threshold: int) -> Breaker:
    """A call failed: at the threshold, or as a probe, the breaker opens (again)."""
    failures = state.failures + 1
    if state.opened_at is not None or failures >= threshold:
        return Breaker(failures=failures, opened_at=now)
    return Breaker(failures=failures)
