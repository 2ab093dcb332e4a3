"""The price of moving a conversation to another model.

The model that answered has the conversation's prompt cached and reads it at a tenth of the price or
so; another must read all of it at its own full price once, and may be cheaper ever after.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrouter.money import rates_at
from mmrouter.types import Nanos, Rates, Target


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation's prompt, as two models would bill for it.

    Attributes:
        tokens: of the whole prompt.
        here: of them, in the cache of the model that answered last.
        there: of them, in the cache of the model that might answer now.
        growth: tokens that each later request adds.
        output: tokens of each answer.
    """

    tokens: int
    here: int
    there: int
    growth: int
    output: int


@dataclass(frozen=True, slots=True)
class Switch:
    """What moving costs, and what it saves.

    Attributes:
        price_nanos: tokens that are cached here and not there, at what reading them anew costs
            there beyond reading them from a cache.
        return_nanos: what coming back will cost, where the other is cheaper: the next harder turn
            asks for this model again, whose cache will be gone.
        saving_nanos: this request and those after it, here less there, both with a warm cache.
    """

    price_nanos: Nanos
    return_nanos: Nanos
    saving_nanos: Nanos

    @property
    def pays(self) -> bool:
        """The saving is larger than the price of going and coming back."""
        return self.saving_nanos > self.price_nanos + self.return_nanos


def switch(here: Target, there: Target, prompt: Prompt, requests: int) -> Switch | None:
    """Compares staying with moving over some requests; None where a price is unknown.

    Costs of staying less costs of moving are exactly `saving_nanos - price_nanos`, but for
    rounding.
    """
    if here.price is None or there.price is None:
        return None
    stays, moves = rates_at(here.price, prompt.tokens), rates_at(there.price, prompt.tokens)
    warm = min(prompt.here, prompt.tokens)
    lost = warm - min(prompt.there, prompt.tokens)
    price = lost * (moves.cache_write - moves.cache_read)
    back = warm * (stays.cache_write - stays.cache_read) if moves.input < stays.input else 0
    saving = _warm(stays, prompt, warm, requests) - _warm(moves, prompt, warm, requests)
    return Switch(-(-price // 1000), -(-back // 1000), saving // 1000)


def _warm(rates: Rates, prompt: Prompt, warm: int, requests: int) -> int:
    """Pico-dollars for some requests of a conversation whose first `warm` tokens are cached."""
    total = prompt.output * rates.output * requests
    total += warm * rates.cache_read + (prompt.tokens - warm) * rates.cache_write
    later = requests - 1
    # the k-th request after this one finds `tokens + (k - 1) * growth` cached, and adds `growth`
    read = prompt.tokens * later + prompt.growth * (later * (later - 1) // 2)
    return total + read * rates.cache_read + prompt.growth * later * rates.cache_write
