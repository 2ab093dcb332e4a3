"""One call of a model on behalf of a request: reserved, priced, recorded, on every ending.

The pipeline calls candidates through it, and a classifier or judge is asked through it too, so that
no call escapes the books or the budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from mmrouter import errors
from mmrouter.config.schema import ProviderConfig
from mmrouter.decide.cost import bound_nanos, estimate_nanos
from mmrouter.dialects import DIALECTS
from mmrouter.dialects.question import Question, body_of, dialect_of
from mmrouter.providers.base import Call, Chunk, Finish, ProviderBase
from mmrouter.router.attempt import AttemptLog
from mmrouter.router.ports import Budget, Health
from mmrouter.types import (
    Attempt,
    AttemptStatus,
    Candidate,
    Dialect,
    Nanos,
    Needs,
    Plan,
    Request,
    Target,
)

Calls = Callable[[Target, Dialect], ProviderBase]


@dataclass(slots=True)
class Run:
    """What one request has come to so far.

    Attributes:
        started: Unix seconds.
        clock: the same moment by the monotonic clock.
        called: calls that were begun, the ones aside included.
        reserved: the budget holds money for it.
    """

    request: Request
    started: float
    clock: float
    plan: Plan | None = None
    attempts: list[Attempt] = field(default_factory=list)
    called: int = 0
    reserved: bool = False

    @property
    def spent_nanos(self) -> Nanos:
        """What it has cost so far, as far as prices are known."""
        classified = self.plan.classification if self.plan else None
        return sum(a.cost_nanos or 0 for a in self.attempts) + (
            classified.cost_nanos if classified else 0
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of an answer: its attempt is the last of the run's.

    Attributes:
        text: all that was generated.
    """

    finish: Finish
    text: str


class Caller:
    """Calls models.

    Args:
        provider_for: who calls a target in a dialect.
        priced: a model's name to its target; see `Registry.priced`.
        budget: None where no limit is set.
        now: Unix seconds.
        monotonic: seconds.
    """

    def __init__(
        self,
        *,
        config: ProviderConfig,
        provider_for: Calls,
        priced: Callable[[str], Target],
        health: Health,
        budget: Budget | None,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._config = config
        self._provider_for = provider_for
        self._priced = priced
        self._health = health
        self._budget = budget
        self._now = now
        self._monotonic = monotonic

    async def stream(
        self,
        run: Run,
        candidate: Candidate,
        needs: Needs,
        *,
        dialect: Dialect,
        body: Mapping[str, Any],
        stream: bool,
        forward_headers: Mapping[str, str],
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Chunk | Answered, None]:
        """Yields `Chunk`s as they arrive, then `Answered`. However it ends, its attempt is noted.

        Args:
            timeout_s: longest wait for the first byte, over config's.

        Raises:
            ProviderError, InvalidRequestError: the call failed.
            BudgetExceededError, UnpricedModelError, StateError: it was not made.
        """
        remaining = self.remaining_s(run)
        if remaining <= 0:
            raise errors.TotalTimeoutError
        target = candidate.target
        await self._reserve(run, candidate)
        began = self._now()
        log = AttemptLog(candidate, needs, began, self._monotonic)
        deadline = timeout_s or self._config.timeout_ms / 1000
        call = Call(
            target=target,
            dialect=dialect,
            body=body,
            stream=stream,
            timeout_s=min(deadline, remaining),
            stall_s=self._config.stall_timeout_ms / 1000,
            total_s=remaining,
            forward_headers=forward_headers,
        )
        run.called += 1
        self._health.called(target, needs, began)
        try:
            async with aclosing(self._provider_for(target, dialect).stream(call)) as answer:
                async for piece in answer:
                    log.note(piece)
                    if isinstance(piece, Finish):
                        finish = piece
                        break
                    if self.remaining_s(run) <= 0:
                        raise errors.TotalTimeoutError
                    yield piece
                else:
                    raise errors.ProviderProtocolError(f"{target.provider} gave no answer")
            self._health.succeeded(target, began, finish.allowances)
            log.status = AttemptStatus.OK
        except errors.InvalidRequestError as error:
            log.fail(error)
            self._health.left(target, began, silent_s=0.0, deadline_s=deadline)
            raise
        except errors.ProviderError as error:
            log.fail(error)
            self._health.failed(target, began, error)
            raise
        finally:
            # also on cancellation, which leaves the status at CANCELLED
            if log.status is AttemptStatus.CANCELLED:
                self._health.left(target, began, silent_s=log.silent_s, deadline_s=deadline)
            run.attempts.append(log.attempt())
        yield Answered(finish, log.text)

    async def ask(self, run: Run, question: Question) -> str:
        """The text that answers a question of our own, asked on behalf of the request.

        Raises:
            MMRouterError: it could not be asked, or was not answered in time.
        """
        target = self._priced(question.model)
        if self._health.open(target):
            raise errors.ProviderError(f"{target.name} is failing: it was not asked")
        dialect, body = dialect_of(target), body_of(question, target)
        needs = DIALECTS[dialect].needs(body)
        candidate = Candidate(
            target=target,
            role=question.role,
            estimate_nanos=estimate_nanos(target, needs),
            bound_nanos=bound_nanos(target, needs),
        )
        pieces = self.stream(
            run,
            candidate,
            needs,
            dialect=dialect,
            body=body,
            stream=False,
            forward_headers={},
            timeout_s=question.timeout_s,
        )
        try:
            async with asyncio.timeout(question.timeout_s + _GRACE_S), aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Answered):
                        return piece.text
        except TimeoutError:
            raise errors.ProviderTimeoutError(f"{target.name} took too long to answer") from None
        raise AssertionError("a call ends with Answered or an error")

    async def settle(self, run: Run) -> None:
        """Ends the request's reservation; after the books know of it, so that they can answer for
        a reservation that this process did not live to end."""
        if run.reserved and self._budget is not None:
            run.reserved = False
            await self._budget.settle(run.request, run.started, run.spent_nanos)

    def shut(self, target: Target) -> bool:
        """A breaker lets no call to the target through."""
        return self._health.open(target)

    def may_retry(self, target: Target) -> bool:
        """Takes a retry out of the provider's budget; False if it is used up."""
        return self._health.may_retry(target)

    def elapsed_ms(self, run: Run) -> float:
        """Since the request arrived."""
        return (self._monotonic() - run.clock) * 1000

    def remaining_s(self, run: Run) -> float:
        """Until its total timeout."""
        return self._config.total_timeout_ms / 1000 - self.elapsed_ms(run) / 1000

    async def _reserve(self, run: Run, candidate: Candidate) -> None:
        if self._budget is not None:
            bound = candidate.bound_nanos
            run.reserved = True
            await self._budget.reserve(
                run.request, run.started, None if bound is None else run.spent_nanos + bound
            )


_GRACE_S = 0.2
"""The provider's own deadline comes first: then the books say "timeout", and not "cancelled"."""
