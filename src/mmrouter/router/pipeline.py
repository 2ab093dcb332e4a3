"""The one request path: decide, attempt, record. Every surface is a translation around it.

plan ─► for each candidate: reserve ─► call ─► gate ─► accept | next
     └► settle, record, observe: once, for every ending, before the answer's last byte
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from mmrouter import errors
from mmrouter.config.schema import Config
from mmrouter.decide.retry import pause_before_retry
from mmrouter.providers.base import Call, Chunk, Finish, ProviderBase
from mmrouter.router.attempt import AttemptLog
from mmrouter.router.ports import Books, Budget, Gate, Health, Observer, Plans
from mmrouter.types import (
    Attempt,
    AttemptStatus,
    Candidate,
    Dialect,
    Nanos,
    Outcome,
    Plan,
    Request,
    Status,
    Target,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A model's answer is about to flow: the first event.

    Attributes:
        attempts: how many calls were made, this one included.
        overhead_ms: what mmrouter took before the first call.
    """

    plan: Plan
    target: Target
    attempts: int
    fallback_used: bool
    overhead_ms: float


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete and in the books: the last event.

    Attributes:
        data: the last bytes for the client; the whole answer where nothing was streamed.
    """

    outcome: Outcome
    data: bytes
    text: str = ""
    finish_reason: str | None = None


Event = Accepted | Chunk | Done
Events = AsyncGenerator[Event, None]
Calls = Callable[[Target, Dialect], ProviderBase]


@dataclass(slots=True)
class _Run:
    """What one request has come to so far."""

    request: Request
    started: float
    clock: float
    plan: Plan | None = None
    judged: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    overhead_ms: float = 0.0
    calls: int = 0
    sent: bool = False
    closed: bool = False
    reserved: bool = False
    failures: list[errors.ProviderError] = field(default_factory=list)
    refusals: list[errors.MMRouterError] = field(default_factory=list)

    @property
    def spent_nanos(self) -> Nanos:
        """What it has cost so far, as far as prices are known."""
        classified = self.plan.classification if self.plan else None
        return sum(a.cost_nanos or 0 for a in self.attempts) + (
            classified.cost_nanos if classified else 0
        )


class Pipeline:
    """Answers requests.

    Args:
        provider_for: who calls a target in a dialect.
        budget: None where no limit is set.
        gate: judges gated attempts.
        now: Unix seconds.
        monotonic: seconds.
        jitter: random number in 0..1.
    """

    def __init__(
        self,
        *,
        config: Config,
        plans: Plans,
        provider_for: Calls,
        books: Books,
        health: Health,
        budget: Budget | None = None,
        gate: Gate | None = None,
        observers: Sequence[Observer] = (),
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.perf_counter,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._plans = plans
        self._provider_for = provider_for
        self._books = books
        self._health = health
        self._budget = budget
        self._gate = gate
        self._observers = tuple(observers)
        self._now = now
        self._monotonic = monotonic
        self._jitter = jitter

    async def decide(self, request: Request) -> Plan:
        """The plan for a request, with no call made and nothing recorded.

        Raises:
            MMRouterError
        """
        plan, _ = await self._plans(request)
        return plan

    async def run(self, request: Request) -> Events:
        """Yields `Accepted`, `Chunk`s as they arrive, and `Done`.

        Closing the generator, or cancelling its task, cancels the upstream call; what had arrived
        is priced and recorded all the same.

        Raises:
            MMRouterError: before `Accepted`, nobody answered; after it, the answer broke off.
        """
        run = _Run(request=request, started=self._now(), clock=self._monotonic())
        try:
            self._books.check()
            run.plan, run.judged = await self._plans(request)
            run.overhead_ms = self._elapsed_ms(run)
            async with aclosing(self._answer(run, run.plan)) as events:
                async for event in events:
                    run.sent = True
                    yield event
        except errors.MMRouterError as error:
            error.attempts = len(run.attempts)
            if not run.closed and not isinstance(error, errors.TrackerError):
                await self._close(run, _status_of(error, run), error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if run.calls and not run.closed:
                await asyncio.shield(self._close(run, Status.CANCELLED, None))
            raise
        finally:
            await self._settle(run)

    async def _answer(self, run: _Run, plan: Plan) -> Events:
        """The events of the first candidate that answers well."""
        for index, candidate in enumerate(plan.candidates):
            alternatives = index + 1 < len(plan.candidates)
            tries = 0
            while True:
                tries += 1
                try:
                    async with aclosing(self._attempt(run, plan, candidate)) as events:
                        async for event in events:
                            yield event
                            if isinstance(event, Done):
                                return
                    break  # the gate rejected it
                except _NEXT_MAY_DO as error:
                    run.refusals.append(error)
                    break
                except errors.ProviderError as error:
                    run.failures.append(error)
                    if run.sent:
                        raise
                    pause = pause_before_retry(
                        retryable=error.retryable,
                        timed_out=isinstance(error, errors.ProviderTimeoutError),
                        retry_after_s=error.retry_after_s,
                        tries=tries,
                        max_retries=self._config.provider.max_retries,
                        alternatives=alternatives,
                        remaining_s=self._remaining_s(run),
                        jitter=self._jitter(),
                    )
                if pause is None:
                    break
                await asyncio.sleep(pause)
        raise _most_telling(run)

    async def _attempt(self, run: _Run, plan: Plan, candidate: Candidate) -> Events:
        """One provider call: its events, or nothing if the gate rejects its answer."""
        request, target = run.request, candidate.target
        remaining = self._remaining_s(run)
        if remaining <= 0:
            raise errors.TotalTimeoutError
        if self._budget is not None:
            bound = candidate.bound_nanos
            run.reserved = True
            await self._budget.reserve(
                request, run.started, None if bound is None else run.spent_nanos + bound
            )
        log = AttemptLog(candidate, plan.needs, self._now(), self._monotonic)
        call = Call(
            target=target,
            dialect=request.dialect,
            body=request.body,
            stream=request.stream,
            timeout_s=min(self._config.provider.timeout_ms / 1000, remaining),
            stall_s=self._config.provider.stall_timeout_ms / 1000,
            forward_headers=request.forward_headers,
        )
        gated = candidate.gated and self._gate is not None
        held: list[Chunk] = []
        run.calls += 1
        self._health.called(target)
        try:
            async with aclosing(self._provider_for(target, request.dialect).stream(call)) as answer:
                async for piece in answer:
                    log.note(piece)
                    if isinstance(piece, Finish):
                        finish = piece
                        break
                    if self._remaining_s(run) <= 0:
                        raise errors.TotalTimeoutError
                    if gated:
                        held.append(piece)
                        continue
                    if not run.sent:
                        yield self._accepted(run, plan, target)
                    yield piece
                else:
                    raise errors.ProviderProtocolError(f"{target.provider} gave no answer")
            self._health.succeeded(target)
            log.status = AttemptStatus.OK
            if gated and self._gate is not None:
                rejected = await self._gate(request, log.text, log.attempt())
                if rejected is not None:
                    log.status, log.detail = AttemptStatus.REJECTED, rejected
                    return
        except errors.InvalidRequestError as error:
            log.fail(error)
            raise
        except errors.ProviderError as error:
            log.fail(error)
            if error.health:
                self._health.failed(target)
            raise
        finally:
            # also on cancellation, which leaves the status at CANCELLED
            run.attempts.append(log.attempt())
        if not run.sent:
            yield self._accepted(run, plan, target)
        for chunk in held:
            yield chunk
        outcome = await self._close(run, Status.OK, None)
        yield Done(outcome, finish.data, log.text, finish.finish_reason)

    def _accepted(self, run: _Run, plan: Plan, target: Target) -> Accepted:
        return Accepted(
            plan=plan,
            target=target,
            attempts=run.calls,
            fallback_used=any(
                a.status is AttemptStatus.FAILED and a.target.name != target.name
                for a in run.attempts
            ),
            overhead_ms=run.overhead_ms,
        )

    async def _close(self, run: _Run, status: Status, error: Exception | None) -> Outcome:
        """Records how the request ended, then tells the observers."""
        run.closed = True
        unknown = any(a.cost_nanos is None for a in run.attempts)
        ttft = next((a.ttft_ms for a in reversed(run.attempts) if a.ttft_ms is not None), None)
        outcome = Outcome(
            request=run.request,
            plan=run.plan,
            attempts=tuple(run.attempts),
            status=status,
            started=run.started,
            latency_ms=self._elapsed_ms(run),
            overhead_ms=run.overhead_ms,
            cost_nanos=None if unknown else run.spent_nanos,
            ttft_ms=ttft,
            error_class=type(error).__name__ if error else None,
            error=str(error) if error else None,
            prompt_hash=_hash(run.judged),
            prompt=run.judged if self._config.tracker.store_prompts else None,
        )
        try:
            await self._books.record(outcome)
        finally:
            await self._settle(run)
        for observe in self._observers:
            observe(outcome)
        return outcome

    async def _settle(self, run: _Run) -> None:
        """Ends the request's reservation; after the books know of it, so that they can answer for
        a reservation that this process did not live to end."""
        if run.reserved and self._budget is not None:
            run.reserved = False
            await asyncio.shield(self._budget.settle(run.request, run.started, run.spent_nanos))

    def _elapsed_ms(self, run: _Run) -> float:
        return (self._monotonic() - run.clock) * 1000

    def _remaining_s(self, run: _Run) -> float:
        return self._config.provider.total_timeout_ms / 1000 - self._elapsed_ms(run) / 1000


def _hash(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _status_of(error: errors.MMRouterError, run: _Run) -> Status:
    called = run.calls or isinstance(error, errors.ProviderError)
    return Status.FAILED if called else Status.REFUSED


_NEXT_MAY_DO = (
    errors.BudgetExceededError,
    errors.InvalidRequestError,
    errors.UnpricedModelError,
)
"""This model is too dear, cannot carry the request, or has no price: another may do. The first of
these is shown where none does."""


def _rank(refusal: errors.MMRouterError) -> int:
    return [isinstance(refusal, kind) for kind in _NEXT_MAY_DO].index(True)


def _most_telling(run: _Run) -> errors.MMRouterError:
    """The failure to show: one that speaks of the request itself, else the first of a provider,
    else the budget's refusal."""
    about_request = (errors.BadUpstreamRequestError, errors.ContextLengthError)
    for failure in run.failures:
        if isinstance(failure, about_request):
            return failure
    refusals = sorted(run.refusals, key=_rank)
    return [*run.failures, *refusals][0]
