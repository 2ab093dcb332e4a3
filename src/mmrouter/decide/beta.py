"""The Beta distribution: its distribution function and the inverse of that, without scipy.

The continued fraction is DLMF 8.17.22 (Didonato and Morris 1992), evaluated by Lentz's method in
the form of Thompson and Barnett (1986).
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p, sqrt

_TINY = 1e-300
_ENOUGH = 1e-12
_MOST_TERMS = 10_000
"""Terms of the fraction: it takes about the square root of the larger parameter."""

_CLOSE = 1e-6
"""Where a bracket of a quantile is close enough: no decision hangs on less."""

_SMALL = 1e-4
"""Newton's error is about the square of his last step: after one this small it is within `_CLOSE`
where the density is smooth."""


def distribution(x: float, a: float, b: float) -> float:
    """The chance that a Beta(a, b) variable is at most `x`.

    Args:
        x: in 0..1.
        a: above 0.
        b: above 0.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = exp(a * log(x) + b * log1p(-x) - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):  # where the fraction converges quickly
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def quantile(p: float, a: float, b: float) -> float:
    """The value that a Beta(a, b) variable stays below with probability `p`: with `p` drawn
    uniformly it is a sample (inverse transform).

    Newton's steps, each held inside the bracket that the steps before it left. Within 2e-5.

    Args:
        p: in 0..1.
        a: above 0.
        b: above 0.
    """
    if p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    smooth = a > 2 and b > 2
    low, high, x = 0.0, 1.0, _near(p, a, b) if smooth else a / (a + b)
    scale = _log_beta(a, b)
    while high - low > _CLOSE:
        miss = distribution(x, a, b) - p
        if miss > 0:
            high = x
        else:
            low = x
        density = exp((a - 1) * log(x) + (b - 1) * log1p(-x) - scale)
        following = x - miss / density if density > _TINY else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) < (_SMALL if smooth else _CLOSE):
            return following
        x = following
    return x


def _near(p: float, a: float, b: float) -> float:
    """The quantile within about 0.01, for a and b above 2: Abramowitz and Stegun 26.5.22, over the
    normal distribution's quantile by 26.2.23."""
    t = sqrt(-2 * log(min(p, 1 - p)))
    y = t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t)
    y = y if p < 0.5 else -y
    c = (y * y - 3) / 6
    u, v = 1 / (2 * a - 1), 1 / (2 * b - 1)
    h = 2 / (u + v)
    w = y * sqrt(max(0.0, h + c)) / h - (v - u) * (c + 5 / 6 - 2 / (3 * h))
    return min(max(a / (a + b * exp(min(2 * w, 700.0))), 1e-9), 1 - 1e-9)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _fraction(x: float, a: float, b: float) -> float:
    c = 1.0
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _not_zero(1 + even * d)
        c = _not_zero(1 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _not_zero(1 + odd * d)
        c = _not_zero(1 + odd / c)
        step = d * c
        value *= step
        if abs(step - 1) < _ENOUGH:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
