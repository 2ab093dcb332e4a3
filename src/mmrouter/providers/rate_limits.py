"""Providers' rate-limit headers, read.

OpenAI and those who follow it (Groq, Mistral, Azure, Together...): `x-ratelimit-remaining-KIND`,
`-limit-KIND`, and `-reset-KIND` as a duration ("6m0s", "12ms"). Anthropic:
`anthropic-ratelimit-KIND-remaining`, `-limit`, and `-reset` as an RFC 3339 instant. OpenRouter and
others count requests only: `x-ratelimit-remaining`, and `x-ratelimit-reset` in Unix milliseconds,
Unix seconds or seconds from now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from mmrouter.decide.rate_limit import Allowance

_HEADERS = tuple(
    (kind, *(name.format(part) for part in ("remaining", "limit", "reset")))
    for kind, name in (
        ("requests", "x-ratelimit-{}-requests"),
        ("tokens", "x-ratelimit-{}-tokens"),
        ("requests", "x-ratelimit-{}"),
        ("requests", "anthropic-ratelimit-requests-{}"),
        ("tokens", "anthropic-ratelimit-tokens-{}"),
        ("tokens", "anthropic-ratelimit-input-tokens-{}"),
    )
)
"""(kind, what is left, of how much, until when), one row per limit."""

_DURATION = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_UNITS_S = (86_400, 3_600, 60, 1, 0.001)
_EARLIEST_UNIX_S = 1e9
"""A bare number above is an instant (September 2001), below a time to wait."""

_LATEST_S = 86_400.0
"""Nobody is passed over for longer than a day on the word of a header."""


def allowances(headers: Mapping[str, str], now: float) -> tuple[Allowance, ...]:
    """What is left of each limit that the headers (lower case) speak of and that is half used up;
    what cannot be read is passed over. `now`: Unix seconds."""
    found = []
    for kind, left, limit, reset in _HEADERS:
        told = headers.get(left)
        if told is None:
            continue
        remaining, full = _count(told), _count(headers.get(limit, ""))
        if remaining is None or (full is not None and remaining > full / 2):
            continue  # plenty, as of nearly all answers: the rest need not be read
        until = _instant(headers.get(reset, ""), now)
        if until is not None:
            until = min(max(until, now), now + _LATEST_S)
            found.append(Allowance(kind, remaining, full, now, until))
    return tuple(found)


def exhausted_for(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the last used-up limit is full again; None where none is used up."""
    resets = [one.reset - now for one in allowances(headers, now) if one.left == 0]
    return max(0.0, *resets) if resets else None


def _count(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _instant(text: str, now: float) -> float | None:
    """Unix seconds of a duration, an RFC 3339 instant, or a bare number."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if not 0 <= number < 1e15:  # nor NaN
            return None
        if number < _EARLIEST_UNIX_S:
            return now + number
        return number / 1000 if number > 1000 * _EARLIEST_UNIX_S else number
    duration = _DURATION.fullmatch(text)
    if duration is not None and text:
        pairs = zip(duration.groups(), _UNITS_S, strict=True)
        return now + sum(float(part) * unit for part, unit in pairs if part)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
