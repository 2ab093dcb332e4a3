"""Counters of money: what is settled, what is set aside, and that together they stay below limits.

A counter is named by its caller and starts from what the books say (`start`). A reservation counts
on all of its counters or on none; its holder replaces it by what the call really cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mmrouter.decide.budget import Balance
from mmrouter.types import Nanos


@dataclass(frozen=True, slots=True)
class Full:
    """A counter's limit would be passed; nothing was changed."""

    counter: str
    balance: Balance


@dataclass(frozen=True, slots=True)
class Unknown:
    """Counters that have not been started; nothing was changed."""

    counters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A reservation whose holder no longer renews it. It counts until it is resolved."""

    id: str
    counters: tuple[str, ...]


class Counters(Protocol):
    """Each method is atomic, among all processes that share the counters.

    All raise StateError when the counters cannot be reached.
    """

    async def start(self, counter: str, settled: Nanos, *, until: float) -> None:
        """Starts a counter with what the books say; one that is there already stays as it is.

        Args:
            until: Unix seconds after which it may be forgotten.
        """

    async def read(self, counters: Sequence[str]) -> list[Balance | None]:
        """The balances, in this order; None for a counter that has not been started."""

    async def reserve(
        self, id: str, amount: Nanos, limits: Mapping[str, Nanos]
    ) -> Full | Unknown | None:
        """Sets `amount` aside under `id`, in the place of what `id` has set aside before, if every
        counter then has settled + reserved <= its limit. None is success."""

    async def settle(self, id: str, cost: Nanos, counters: Sequence[str]) -> Nanos | None:
        """Counts `cost` and ends the reservation; its amount, or None where there was none.

        Counters that have not been started are passed over: they will start with the books.
        """

    async def lapsed(self) -> list[Lapsed]:
        """Reservations of holders that seem to be dead."""

    async def resolve(self, lapsed: Lapsed, cost: Nanos) -> None:
        """`settle`, unless the reservation is gone: another process may have resolved it."""

    async def aclose(self) -> None:
        """Gives back connections."""
