"""How many retries a provider gets, so that its outage is not multiplied.

A token bucket as in Finagle's `RetryBudget`: each call puts in a share of a token, each retry takes
a whole one out, and a trickle by the clock lets quiet routers retry as well.
"""

from __future__ import annotations

from dataclasses import dataclass

RESERVE_S = 10.0
"""A new budget holds the trickle of so long."""

MOST_TOKENS = 100.0
"""What a quiet time may save up for a storm of retries."""

_ROUNDING = 1e-9
"""Five fifths are a whole."""


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """What is left.

    Attributes:
        tokens: retries.
        at: Unix seconds of this state.
    """

    tokens: float
    at: float


def fresh(*, floor: float, now: float) -> RetryBudget:
    """The budget of a provider that was never asked twice. `floor`: retries a second."""
    return RetryBudget(floor * RESERVE_S, now)


def refilled(
    budget: RetryBudget, *, calls: int, share: float, floor: float, now: float
) -> RetryBudget:
    """The budget now.

    Args:
        calls: made since the budget's state.
        share: retries that one call pays for.
        floor: retries a second that nobody need pay for.
    """
    added = calls * share + max(0.0, now - budget.at) * floor
    return RetryBudget(min(max(MOST_TOKENS, floor * RESERVE_S), budget.tokens + added), now)


def spent(budget: RetryBudget) -> RetryBudget | None:
    """The budget after one retry; None where it does not hold one."""
    if budget.tokens < 1 - _ROUNDING:
        return None
    return RetryBudget(budget.tokens - 1, budget.at)
