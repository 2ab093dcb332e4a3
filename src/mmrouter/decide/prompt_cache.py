"""What a provider has kept of a prompt after an answer, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmrouter.types import Target, Usage

SHORT_S = 300.0
"""Anthropic's usual cache, and the least that OpenAI promises (5 to 10 minutes of inactivity)."""

LONG_S = 3600.0
"""Anthropic's other one."""


@dataclass(frozen=True, slots=True)
class Cached:
    """Prompt tokens in a model's cache.

    Attributes:
        until: Unix seconds; each use renews it.
    """

    tokens: int
    until: float

    def at(self, now: float) -> int:
        """The tokens that are still there."""
        return self.tokens if now < self.until else 0


@dataclass(frozen=True, slots=True)
class _Automatic:
    """A provider that caches every prompt of at least `least` tokens, in `step`s."""

    least: int
    step: int
    seconds: float


_AUTOMATIC: Mapping[str, _Automatic] = {
    "openai": _Automatic(1_024, 128, SHORT_S),
    "deepseek": _Automatic(64, 64, LONG_S),
    "google": _Automatic(2_048, 1, SHORT_S),
}
"""Provider's name -> what it keeps unasked. Of the others only what they report is believed."""


def cached(target: Target, usage: Usage, now: float, before: Cached | None = None) -> Cached | None:
    """What the model has cached once it has answered; None where nothing is known to be.

    Args:
        usage: of the answer, as the provider reported it.
        before: what it had cached before.
    """
    reported = usage.cache_read_tokens + usage.cache_write_tokens
    rule = _AUTOMATIC.get(target.provider)
    if rule is not None and usage.prompt_tokens >= rule.least:
        whole = usage.prompt_tokens // rule.step * rule.step
        return Cached(max(whole, reported), now + rule.seconds)
    if not reported:
        return None
    seconds = LONG_S if usage.cache_write_1h_tokens else SHORT_S
    until = now + seconds
    if before is not None and usage.cache_read_tokens:
        until = max(until, before.until)  # a read renews an hour's cache for at least what was left
    return Cached(reported, until)
