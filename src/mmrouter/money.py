"""What calls cost: exact integer arithmetic.

Rates are pico-dollars per token, costs are nano-dollars, rounded up per kind of token, so that a
cost is never understated and a bound computed from larger counts is never below it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrouter.types import Nanos, Price, Rates, Usage

NANOS_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one call by kind of token, in nano-dollars."""

    input: Nanos
    output: Nanos
    cache_read: Nanos
    cache_write: Nanos

    @property
    def total(self) -> Nanos:
        """All kinds together."""
        return self.input + self.output + self.cache_read + self.cache_write


def breakdown(price: Price, usage: Usage) -> Cost:
    """Cost of `usage`, by kind. The prompt's length picks the tier for all of its tokens."""
    return at_rates(rates_at(price, usage.prompt_tokens), usage)


def at_rates(rates: Rates, usage: Usage) -> Cost:
    """Cost of `usage`, by kind, in one tier; it may be the sum of several calls in it."""
    visible = usage.output_tokens - usage.reasoning_tokens
    return Cost(
        input=_nanos(usage.input_tokens * rates.input),
        output=_nanos(visible * rates.output + usage.reasoning_tokens * rates.reasoning),
        cache_read=_nanos(usage.cache_read_tokens * rates.cache_read),
        cache_write=_nanos(
            (usage.cache_write_tokens - usage.cache_write_1h_tokens) * rates.cache_write
            + usage.cache_write_1h_tokens * hour_rate(rates)
        ),
    )


def cost(price: Price | None, usage: Usage) -> Nanos | None:
    """Total cost in nano-dollars; None where the price is unknown."""
    return None if price is None else breakdown(price, usage).total


def rates_at(price: Price, prompt_tokens: int) -> Rates:
    """The rates that hold for a prompt of this length."""
    rates = price.tiers[0][1]
    for least, tier in price.tiers:
        if prompt_tokens >= least:
            rates = tier
    return rates


def hour_rate(rates: Rates) -> int:
    """Pico-dollars per token written to an hour's cache."""
    return rates.cache_write if rates.cache_write_1h is None else rates.cache_write_1h


def _nanos(pico: int) -> Nanos:
    return -(-pico // 1000)


def to_usd(nanos: Nanos) -> float:
    """Dollars, for showing to people; never computed with."""
    return nanos / NANOS_PER_USD


def format_usd(nanos: Nanos | None) -> str:
    """ "$0.000042", or "price unknown"."""
    return "price unknown" if nanos is None else f"${to_usd(nanos):.6f}"
