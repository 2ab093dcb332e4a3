"""Remembers conversations from one request to the next."""

from __future__ import annotations

from collections.abc import Callable

from mmrouter.config.schema import SessionsConfig
from mmrouter.decide.session import Turn, answered
from mmrouter.dialects.history import History, history
from mmrouter.dialects.identity import after, thread
from mmrouter.dialects.thinking import can_leave_out
from mmrouter.state.sessions import Sessions
from mmrouter.types import Dialect, Outcome, Request, Status, Surface


class Conversations:
    """Reads a request's conversation before the decision, and writes it after the answer.

    Args:
        now: Unix seconds.
    """

    def __init__(
        self, config: SessionsConfig, sessions: Sessions, now: Callable[[], float]
    ) -> None:
        self._config = config
        self._sessions = sessions
        self._now = now

    async def turn(self, request: Request) -> Turn | None:
        """The conversation so far; None on its first turn, for which nothing is looked up."""
        past = history(request.dialect, request.body)
        if not past.answered and request.session is None:
            return None
        return Turn(
            history=past,
            session=await self._sessions.get(_name(request, past)),
            can_omit=can_leave_out(request.dialect),
            now=self._now(),
        )

    def note(self, outcome: Outcome, text: str) -> None:
        """Remembers who answered. See `router.ports.Observer`."""
        request, attempt, plan = outcome.request, outcome.answered, outcome.plan
        if (
            outcome.status is not Status.OK
            or attempt is None
            or request.dialect is Dialect.EMBEDDINGS
            or request.surface is Surface.QUALITY
        ):
            return
        past = history(request.dialect, request.body)
        name = _name(request, past)
        label = plan.classification if plan is not None else None
        session = answered(
            self._sessions.recall(name),
            attempt.target,
            attempt.usage,
            None if label is None else label.complexity,
            past,
            self._config.momentum_half_life,
            self._now(),
        )
        self._sessions.put(name, session)
        if request.dialect is Dialect.RESPONSES and attempt.upstream_id is not None:
            self._sessions.put(after(request, attempt.upstream_id), session)


def _name(request: Request, past: History) -> str:
    if past.answers is not None:
        return after(request, past.answers)
    return thread(request)
