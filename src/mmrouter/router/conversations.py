"""Remembers conversations from one request to the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mmrouter.config.schema import SessionsConfig
from mmrouter.decide.session import Session, Turn, answered
from mmrouter.dialects.history import History, history
from mmrouter.dialects.identity import after, thread
from mmrouter.dialects.thinking import can_leave_out
from mmrouter.state.sessions import Sessions
from mmrouter.types import Dialect, Outcome, Request, Status, Surface


class Conversations:
    """Reads a request's conversation before the decision, and writes it after the answer.

    Args:
        now: Unix seconds.
        earlier: asked where nobody remembers a conversation that was named.
    """

    def __init__(
        self,
        config: SessionsConfig,
        sessions: Sessions,
        now: Callable[[], float],
        earlier: Callable[[Request], Awaitable[Session | None]] | None = None,
    ) -> None:
        self._config = config
        self._sessions = sessions
        self._now = now
        self._earlier = earlier

    async def turn(self, request: Request) -> Turn | None:
        """The conversation so far; None on its first turn, for which nothing is looked up."""
        past = history(request.dialect, request.body)
        if not past.answered and request.session is None:
            return None
        session = await self._sessions.get(_name(request, past))
        if session is None and request.session is not None and self._earlier is not None:
            session = await self._earlier(request)
        return Turn(
            history=past,
            session=session,
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
            plan.continuation.forgone_nanos if plan is not None and plan.continuation else 0,
        )
        self._sessions.put(name, session)
        if request.dialect is Dialect.RESPONSES and attempt.upstream_id is not None:
            self._sessions.put(after(request, attempt.upstream_id), session)


def _name(request: Request, past: History) -> str:
    if past.answers is not None:
        return after(request, past.answers)
    return thread(request)
