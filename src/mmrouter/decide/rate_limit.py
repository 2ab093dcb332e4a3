"""Whether a model is about to be limited by its provider, from what the provider says of itself.

OpenAI's and Anthropic's limits are token buckets: what they call a reset is when the bucket will be
full again, and until then it fills evenly. Where no limit is told, nothing is taken to come back
before the reset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a provider says is left of one of its limits.

    Attributes:
        kind: "requests" or "tokens".
        left: at `as_of`.
        limit: what there is when it is full; None is unknown.
        as_of: Unix seconds.
        reset: Unix seconds when it is full again.
    """

    kind: str
    left: int
    limit: int | None
    as_of: float
    reset: float


@dataclass(frozen=True, slots=True)
class Shortage:
    """A limit that does not hold another call. `until`: Unix seconds when it will."""

    kind: str
    until: float


def shortage(
    allowances: Iterable[Allowance], *, requests: int, tokens: int, wanted: int, now: float
) -> Shortage | None:
    """The limit that keeps a call waiting for longest; None where all hold it.

    Args:
        requests: sent since the provider said so.
        tokens: of the prompts of those.
        wanted: tokens of the prompt to send.
    """
    worst: Shortage | None = None
    for one in allowances:
        needed = requests + 1 if one.kind == "requests" else tokens + wanted
        until = _holds_at(one, needed)
        if until > now and (worst is None or until > worst.until):
            worst = Shortage(one.kind, until)
    return worst


def left_at(one: Allowance, *, used: int, now: float) -> int:
    """What is left of a limit now, as far as is known.

    Args:
        used: since the provider said what was left.
        now: Unix seconds.
    """
    if now >= one.reset:
        return one.left if one.limit is None else one.limit
    back = 0
    if one.limit is not None and one.limit > one.left and one.reset > one.as_of:
        share = (now - one.as_of) / (one.reset - one.as_of)
        back = int(max(0.0, share) * (one.limit - one.left))
    return max(0, one.left + back - used)


def pause_after_429(retry_after_s: float | None, in_a_row: int) -> float:
    """Seconds for which a model that answered 429 is passed over.

    Args:
        retry_after_s: what it asked for.
        in_a_row: 429s without a good answer between them, this one included.
    """
    if retry_after_s is not None:
        return retry_after_s
    return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(in_a_row - 1, 10)))


def _holds_at(one: Allowance, needed: int) -> float:
    """Unix seconds from which the limit holds so much."""
    if needed <= one.left:
        return one.as_of
    if one.limit is None or needed > one.limit or one.limit <= one.left:
        return one.reset
    share = (needed - one.left) / (one.limit - one.left)
    return one.as_of + share * (one.reset - one.as_of)
