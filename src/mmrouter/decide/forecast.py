"""What a period will have cost at its end, from what recent days cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from mmrouter.types import Nanos

ENOUGH_DAYS = 3
"""Full days from which the days' own spread gives an interval."""

_DAY_S = 86_400.0
_Z90 = 1.645


@dataclass(frozen=True, slots=True)
class Forecast:
    """Spending at the end of a period.

    Attributes:
        low: of the 90 % interval; None where too few days are known for one.
        days: full days that it rests on.
    """

    nanos: Nanos
    low: Nanos | None
    high: Nanos | None
    days: int


def forecast(
    settled: Nanos, days: Sequence[Nanos], *, now: float, start: float, end: float
) -> Forecast | None:
    """What a period from `start` to `end` (Unix seconds) will have cost.

    The days ahead are taken to be like the days behind: each costs their mean, strays from it as
    they did, and the mean itself is only as well known as their number allows.

    Args:
        settled: what the period has cost until `now`.
        days: cost of each of the last full days, in any order, days without requests included.

    Returns:
        None where nothing is known yet: no full day, and no time gone by.
    """
    ahead = max(0.0, end - now) / _DAY_S
    count = len(days)
    if count < ENOUGH_DAYS:
        gone = (now - start) / _DAY_S
        if gone <= 0:
            return None
        return Forecast(settled + round(settled / gone * ahead), None, None, count)
    mean = sum(days) / count
    variance = sum((day - mean) ** 2 for day in days) / (count - 1)
    reach = _Z90 * sqrt(variance * ahead * (1 + ahead / count))
    most_likely = settled + mean * ahead
    return Forecast(
        round(most_likely),
        max(settled, round(most_likely - reach)),
        round(most_likely + reach),
        count,
    )
