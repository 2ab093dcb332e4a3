"""Differences of means that may be looked at at any time.

An ordinary 95 % interval holds the truth at one look that was fixed beforehand; whoever looks every
day and stops at the first "significant" one is wrong far more often. The intervals here hold at all
looks together: asymptotic confidence sequences (Waudby-Smith et al. 2021, theorem 2.2), which are
the mixture SPRT of Johari et al. (2017) read as intervals.

What is split between the sides are units (conversations, prompts, keys), and the requests of one
unit are alike, so a mean per request is a ratio of sums over units. Its variance is that of the
delta method for ratios (Deng et al. 2018, section 3.1); units count, requests do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST = 30
"""Units of each side from which the normal approximation is used."""

_TUNED_FOR = 2_000
"""Units at which the intervals are narrowest for their kind."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of one side.

    Attributes:
        count: units.
        mean: per observation.
        variance: of the mean, times `count`; 0 of fewer than two units.
    """

    count: int
    mean: float
    variance: float


def sample(
    units: int, count: int, total: float, squares: float, products: float, counts: int
) -> Sample:
    """From sums over units that have n observations each, whose sum is x.

    Args:
        count, total: sums of n and of x.
        squares, products, counts: of x², n·x and n².
    """
    if count == 0:
        return Sample(0, 0.0, 0.0)
    mean = total / count
    if units < 2:
        return Sample(units, mean, 0.0)
    spread = max(0.0, squares - 2 * mean * products + mean * mean * counts)
    each = count / units
    return Sample(units, mean, spread / (units - 1) / (each * each))


@dataclass(frozen=True, slots=True)
class Difference:
    """A treatment's mean less the control's.

    Attributes:
        low, high: interval that holds at all looks together; None of too few units.
        p: always-valid p-value of "no difference"; 1.0 of too few units.
    """

    value: float
    low: float | None
    high: float | None
    p: float

    @property
    def decided(self) -> bool:
        """The interval leaves out zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def difference(control: Sample, treatment: Sample, alpha: float = 0.05) -> Difference:
    """Compares two sides.

    Args:
        alpha: chance that the interval ever leaves out the true difference.
    """
    value = treatment.mean - control.mean
    if min(control.count, treatment.count) < LEAST:
        return Difference(value, None, None, 1.0)
    error = control.variance / control.count + treatment.variance / treatment.count
    if error == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    count = control.count + treatment.count
    mixing = _mixing(alpha)
    reach = _reach(error, count, mixing, alpha)
    grown = count * mixing + 1
    log_ratio = value * value / error * (count * mixing) / (2 * grown) - math.log(grown) / 2
    return Difference(value, value - reach, value + reach, min(1.0, math.exp(-log_ratio)))


def still_needed(
    control: Sample, treatment: Sample, effect: float, alpha: float = 0.05
) -> int | None:
    """Units, both sides together and split as until now, after which the interval reaches no
    further than `effect`: then a difference of that size shows. None where too little is known.
    """
    if min(control.count, treatment.count) < LEAST or effect <= 0:
        return None
    count = control.count + treatment.count
    error = control.variance / control.count + treatment.variance / treatment.count
    one = error * count  # variance of the difference per unit

    def narrow(units: int) -> bool:
        return _reach(one / units, units, _mixing(alpha), alpha) <= effect

    if narrow(count):
        return 0
    low, high = count, 2 * count
    while not narrow(high):
        low, high = high, 2 * high
        if high > 10**12:
            return None
    while high - low > max(1, low // 1_000):
        middle = (low + high) // 2
        low, high = (low, middle) if narrow(middle) else (middle, high)
    return high - count


def _reach(error: float, count: int, mixing: float, alpha: float) -> float:
    """Half the interval's width.

    Args:
        error: squared standard error of the difference.
    """
    grown = count * mixing + 1
    return math.sqrt(error * 2 * grown / (count * mixing) * math.log(math.sqrt(grown) / alpha))


def _mixing(alpha: float) -> float:
    """The mixture's variance: intervals are narrowest at `_TUNED_FOR` (ibid., appendix B.2)."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / _TUNED_FOR
