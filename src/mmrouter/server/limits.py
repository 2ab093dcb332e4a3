"""Requests per minute and key, in the memory of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mmrouter.server.auth import Client
from mmrouter.server.refusals import TooManyRequestsError

_WINDOW_S = 60.0


class RateLimits:
    """Lets through at most `requests_per_minute` of a client in any sixty seconds.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._recent: dict[str | None, deque[float]] = {}

    def admit(self, client: Client) -> None:
        """Counts a request.

        Raises:
            TooManyRequestsError
        """
        most = client.requests_per_minute
        if most is None:
            return
        now = self._monotonic()
        recent = self._recent.setdefault(client.name, deque())
        while recent and recent[0] <= now - _WINDOW_S:
            recent.popleft()
        if len(recent) >= most:
            raise TooManyRequestsError(
                f"Key '{client.name}' may make {most} requests per minute",
                retry_after_s=recent[0] + _WINDOW_S - now,
            )
        recent.append(now)
