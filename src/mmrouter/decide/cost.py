"""What an attempt is expected to cost, and the most that it can cost."""

from __future__ import annotations

from mmrouter.money import cost, hour_rate
from mmrouter.types import Nanos, Needs, Price, Rates, Target, Usage

EXPECTED_OUTPUT_TOKENS = 400
"""Where nothing better is known: the mean answer of the outcome data is near it."""

_ROUNDING_NANOS = 4
"""A cost is rounded up for each kind of token, a bound only once: four kinds are billed."""


def estimate_nanos(target: Target, needs: Needs) -> Nanos | None:
    """Expected cost; None where the price is unknown."""
    output = EXPECTED_OUTPUT_TOKENS if needs.max_output is None else needs.max_output
    usage = Usage(
        input_tokens=needs.input_tokens,
        output_tokens=min(output, EXPECTED_OUTPUT_TOKENS) * needs.choices,
    )
    return cost(target.price, usage)


def bound_nanos(target: Target, needs: Needs) -> Nanos | None:
    """The most that the attempt can cost; None where nothing bounds it.

    Every token is counted at the dearest rate that it can have, in the dearest tier that the prompt
    can reach. A model on one's own hardware costs nothing, however much is asked of it.
    """
    price = target.price
    if price is None:
        return None
    if _is_free(price):
        return 0
    prompt, output = prompt_bound(target, needs), output_bound(target, needs)
    if needs.unpriced or prompt is None or output is None:
        return None
    return max(
        _dearest(rates, prompt, output)
        for least, rates in price.tiers
        if least <= prompt or least == 0
    )


def prompt_bound(target: Target, needs: Needs) -> int | None:
    """The most prompt tokens that the attempt can be billed for; None where nothing bounds them.

    No prompt is longer than the model's window, unless its price list says that there are such.
    """
    window = target.context_window
    if window is not None and target.price and target.price.tiers[-1][0] > window:
        window = None
    return min((b for b in (needs.input_bound, window) if b is not None), default=None)


def output_bound(target: Target, needs: Needs) -> int | None:
    """The most output tokens that the attempt can make; None where nothing bounds them.

    The caller's own bound is sent along and therefore holds; what a table says of the model is
    asked only where there is none.
    """
    bounds = (needs.max_output, target.max_output, target.context_window)
    most = next((bound for bound in bounds if bound is not None), None)
    return None if most is None else most * needs.choices


def _is_free(price: Price) -> bool:
    return all(_dearest_rates(rates) == (0, 0) for _, rates in price.tiers)


def _dearest(rates: Rates, prompt: int, output: int) -> Nanos:
    per_input, per_output = _dearest_rates(rates)
    return -(-(prompt * per_input + output * per_output) // 1000) + _ROUNDING_NANOS


def _dearest_rates(rates: Rates) -> tuple[int, int]:
    """(input, output) in pico-dollars per token."""
    return (
        max(rates.input, rates.cache_read, rates.cache_write, hour_rate(rates)),
        max(rates.output, rates.reasoning),
    )
