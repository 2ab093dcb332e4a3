"""Whether, and when, the same model is asked again after a failure."""

from __future__ import annotations

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
_PATIENCE_S = 2.0
"""With another model at hand, nobody waits longer than this for one that asks to be left alone."""


def pause_before_retry(
    *,
    retryable: bool,
    timed_out: bool,
    retry_after_s: float | None,
    tries: int,
    max_retries: int,
    alternatives: bool,
    remaining_s: float,
    jitter: float,
) -> float | None:
    """Seconds to wait before the same model is asked again; None to go on to the next.

    Args:
        tries: how often the model has been asked, at least 1.
        alternatives: another candidate stands behind this one.
        remaining_s: until the request's deadline.
        jitter: random number in 0..1.
    """
    if not retryable or tries > max_retries:
        return None
    if timed_out and alternatives:
        return None  # it has cost a whole timeout already
    backoff = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (tries - 1)) * (0.5 + jitter / 2)
    pause = backoff if retry_after_s is None else retry_after_s
    longest = _PATIENCE_S if alternatives else remaining_s
    return pause if pause <= min(longest, remaining_s) else None
