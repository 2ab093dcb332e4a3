"""What an attempt is expected to cost, and the most that it can cost."""

from __future__ import annotations

from mmrouter.money import cost
from mmrouter.types import Nanos, Needs, Target, Usage

EXPECTED_OUTPUT_TOKENS = 400
"""Where nothing better is known: the mean answer of the outcome data is near it."""

UNBOUNDED_OUTPUT_TOKENS = 16_384
"""What a budget reserves for where neither the caller nor the model's facts bound the output."""


def estimate_nanos(target: Target, needs: Needs) -> Nanos | None:
    """Expected cost; None where the price is unknown."""
    output = EXPECTED_OUTPUT_TOKENS if needs.max_output is None else needs.max_output
    usage = Usage(
        input_tokens=needs.input_tokens,
        output_tokens=min(output, EXPECTED_OUTPUT_TOKENS) * needs.choices,
    )
    return cost(target.price, usage)


def bound_nanos(target: Target, needs: Needs) -> Nanos | None:
    """The most that the attempt can cost; None where the price is unknown.

    Every prompt token is counted at the dearest of the rates that it can have.
    """
    if target.price is None:
        return None
    output = output_bound(target, needs)
    full = Usage(input_tokens=needs.input_bound, output_tokens=output)
    written = Usage(cache_write_tokens=needs.input_bound, output_tokens=output)
    hidden = Usage(
        cache_write_tokens=needs.input_bound, output_tokens=output, reasoning_tokens=output
    )
    return max(cost(target.price, usage) or 0 for usage in (full, written, hidden))


def output_bound(target: Target, needs: Needs) -> int:
    """The most output tokens that the attempt can make."""
    limits = [most for most in (needs.max_output, target.max_output) if most is not None]
    return (min(limits) if limits else UNBOUNDED_OUTPUT_TOKENS) * needs.choices
