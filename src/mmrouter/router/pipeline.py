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
from dataclasses import dataclass, field, replace
from functools import partial

from mmrouter import errors
from mmrouter.config.schema import Config
from mmrouter.decide.gate import Verdict
from mmrouter.decide.retry import pause_before_retry
from mmrouter.dialects.thinking import can_leave_out, without_earlier
from mmrouter.providers.base import Chunk
from mmrouter.router.call import Answered, Caller, Run
from mmrouter.router.held import Pieces, paced, read
from mmrouter.router.ports import Books, Gate, Observer, Plans
from mmrouter.router.turns import Turns
from mmrouter.types import (
    AttemptStatus,
    Candidate,
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


@dataclass(slots=True)
class _Held:
    """An answer that the gate turned down, kept in case that nothing better comes.

    Attributes:
        place: of its attempt among the run's.
    """

    verdict: Verdict
    place: int
    candidate: Candidate
    chunks: list[Chunk]
    end: Answered


@dataclass(slots=True)
class _Run(Run):
    """What the pipeline notes of one request."""

    judged: str | None = None
    overhead_ms: float = 0.0
    tries: int = 0
    sent: bool = False
    closed: bool = False
    best: _Held | None = None
    failures: list[errors.ProviderError] = field(default_factory=list)
    refusals: list[errors.MMRouterError] = field(default_factory=list)


class Pipeline:
    """Answers requests.

    Args:
        caller: makes every call of a model.
        gate: judges gated attempts.
        observers: looked at when a request ends, so that one may be added that calls this pipeline.
        now: Unix seconds.
        monotonic: seconds.
        jitter: random number in 0..1.
    """

    def __init__(
        self,
        *,
        config: Config,
        plans: Plans,
        caller: Caller,
        books: Books,
        gate: Gate | None = None,
        observers: Sequence[Observer] = (),
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.perf_counter,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._plans = plans
        self._caller = caller
        self._books = books
        self._gate = gate
        self._observers = observers
        self._now = now
        self._monotonic = monotonic
        self._jitter = jitter

    async def decide(self, request: Request) -> Plan:
        """The plan for a request, with no call made and nothing recorded.

        Raises:
            MMRouterError
        """
        plan, _ = await self._plans(request, None)
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
            run.plan, run.judged = await self._plans(request, partial(self._caller.ask, run))
            run.overhead_ms = self._caller.elapsed_ms(run)
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
            if run.called and not run.closed:
                await asyncio.shield(self._close(run, Status.CANCELLED, None))
            raise
        finally:
            await self._caller.settle(run)

    async def _answer(self, run: _Run, plan: Plan) -> Events:
        """The events of the first candidate that answers well; where the better ones fail, those of
        the best answer that the gate turned down."""
        turns = Turns(plan.candidates, self._caller.shut)
        for candidate in turns:
            tries = 0
            while True:
                tries += 1
                try:
                    async with aclosing(self._attempt(run, plan, candidate, turns)) as answer:
                        async for piece in answer:
                            if not run.sent:
                                yield self._accepted(run, plan, candidate.target)
                            if isinstance(piece, Answered):
                                yield await self._done(run, piece)
                                return
                            yield piece
                    break  # the gate or the provider's filter rejected it
                except _NEXT_MAY_DO as error:
                    run.refusals.append(error)
                    break
                except errors.StateError:
                    if run.best is None:
                        raise
                    break
                except errors.ProviderError as error:
                    run.failures.append(error)
                    if run.sent:
                        raise
                    self._redirect(plan, candidate.target, error, turns)
                    pause = self._pause(run, candidate.target, error, tries, turns)
                if pause is None:
                    break
                await asyncio.sleep(pause)
        if run.best is None:
            raise _most_telling(run)
        async for event in self._second_best(run, plan, run.best):
            yield event

    def _pause(
        self, run: _Run, target: Target, error: errors.ProviderError, tries: int, turns: Turns
    ) -> float | None:
        """Seconds after which the same model is asked again; None to go on to the next."""
        pause = pause_before_retry(
            retryable=error.retryable,
            timed_out=isinstance(error, errors.ProviderTimeoutError),
            retry_after_s=error.retry_after_s,
            tries=tries,
            max_retries=self._config.provider.max_retries,
            alternatives=turns.more,
            remaining_s=self._caller.remaining_s(run),
            jitter=self._jitter(),
        )
        if pause is None or (turns.more and self._caller.shut(target)):
            return None
        return pause if self._caller.may_retry(target) else None

    def _redirect(
        self, plan: Plan, target: Target, error: errors.ProviderError, turns: Turns
    ) -> None:
        """Changes who comes next where the failure says who can do it, or that nobody should."""
        provider = self._config.provider
        if isinstance(error, errors.ContextLengthError):
            wider = provider.on_context_overflow == "next"
            turns.replace(self._plans.roomier(plan, target, turns.rest) if wider else ())
        elif isinstance(error, errors.ContentFilterError) and provider.on_content_filter == "fail":
            turns.replace(())

    def _attempt(self, run: _Run, plan: Plan, candidate: Candidate, turns: Turns) -> Pieces:
        """One provider call: its answer, or nothing if the gate or the provider's filter rejects
        it."""
        request = run.request
        run.tries += 1
        answer = self._caller.stream(
            run,
            candidate,
            plan.needs,
            dialect=request.dialect,
            body=(
                without_earlier(request.dialect, request.body)
                if candidate.omit_thinking and can_leave_out(request.dialect)
                else request.body
            ),
            stream=request.stream,
            forward_headers=request.forward_headers,
        )
        if candidate.gated and self._gate is not None:
            return self._gated(run, self._gate, candidate, answer)
        if turns.more and self._config.provider.on_content_filter == "next":
            return self._unfiltered(run, candidate, answer)
        return answer

    async def _unfiltered(self, run: _Run, candidate: Candidate, answer: Pieces) -> Pieces:
        """The answer; nothing if the provider's filter ends it before a word of it was said.

        So a stream is held back up to its first word, though not for long.
        """
        held: list[Chunk] = []
        flows, until = False, self._monotonic() + _PREAMBLE_S
        async with aclosing(answer):
            async for piece in answer:
                if not flows:
                    if isinstance(piece, Chunk):
                        held.append(piece)
                        if not piece.text and self._monotonic() < until:
                            continue
                    elif piece.finish.finish_reason in FILTERED:
                        self._turn_down(run, _FILTERED, candidate, held, piece)
                        return
                    flows = True
                    for chunk in held:
                        yield chunk
                    if isinstance(piece, Chunk):
                        continue
                yield piece

    async def _gated(self, run: _Run, gate: Gate, candidate: Candidate, answer: Pieces) -> Pieces:
        """The answer, once the gate has let it pass; nothing if it does not.

        A stream is held back for `cascade.max_buffer_ms`. What has arrived by then flows on if it
        reads well so far; otherwise the call is given up.
        """
        request, most_ms = run.request, self._config.cascade.max_buffer_ms
        held: list[Chunk] = []
        end: Answered | None = None
        async with aclosing(paced(answer, most_ms / 1000 if request.stream else None)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Chunk):
                    held.append(piece)
                    continue
                if piece is None:
                    early = gate.so_far(request, read(request, held, None))
                    if early.fault is None:
                        for chunk in held:
                            yield chunk
                        async for rest in pieces:
                            if rest is not None:
                                yield rest
                        return
                end = piece
                break
        place = len(run.attempts) - 1
        if end is None:
            self._mark(run, place, AttemptStatus.REJECTED, f"{early.fault} after {most_ms} ms")
            return
        verdict = await gate(
            request, read(request, held, end.finish), partial(self._caller.ask, run)
        )
        if verdict.fault is not None:
            self._turn_down(run, verdict, candidate, held, end, place)
            return
        for chunk in held:
            yield chunk
        yield end

    def _turn_down(
        self,
        run: _Run,
        verdict: Verdict,
        candidate: Candidate,
        held: list[Chunk],
        end: Answered,
        place: int = -1,
    ) -> None:
        """Keeps an answer that nobody has seen, in case that nothing better comes.

        Args:
            place: of its attempt among the run's; the last of them by default.
        """
        place %= len(run.attempts)
        self._mark(run, place, AttemptStatus.REJECTED, verdict.fault or "")
        if run.best is None or verdict.score > run.best.verdict.score:
            run.best = _Held(verdict, place, candidate, held, end)

    async def _second_best(self, run: _Run, plan: Plan, best: _Held) -> Events:
        """An answer that was turned down, given after all."""
        detail = f"{best.verdict.fault}; given all the same, for want of a better answer"
        self._mark(run, best.place, AttemptStatus.OK, detail)
        yield self._accepted(run, plan, best.candidate.target)
        for chunk in best.chunks:
            yield chunk
        yield await self._done(run, best.end)

    @staticmethod
    def _mark(run: _Run, place: int, status: AttemptStatus, detail: str) -> None:
        run.attempts[place] = replace(run.attempts[place], status=status, detail=detail)

    async def _done(self, run: _Run, end: Answered) -> Done:
        outcome = await self._close(run, Status.OK, None, end.text)
        return Done(outcome, end.finish.data, end.text, end.finish.finish_reason)

    def _accepted(self, run: _Run, plan: Plan, target: Target) -> Accepted:
        return Accepted(
            plan=plan,
            target=target,
            attempts=run.tries,
            fallback_used=any(
                a.status is AttemptStatus.FAILED and a.target.name != target.name and not a.aside
                for a in run.attempts
            ),
            overhead_ms=run.overhead_ms,
        )

    async def _close(
        self, run: _Run, status: Status, error: Exception | None, text: str = ""
    ) -> Outcome:
        """Records how the request ended, then tells the observers."""
        run.closed = True
        unknown = any(a.cost_nanos is None for a in run.attempts)
        tries = [a for a in reversed(run.attempts) if not a.aside]
        ttft = next((a.ttft_ms for a in tries if a.ttft_ms is not None), None)
        outcome = Outcome(
            request=run.request,
            plan=run.plan,
            attempts=tuple(run.attempts),
            status=status,
            started=run.started,
            latency_ms=self._caller.elapsed_ms(run),
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
            await self._caller.settle(run)
        for observe in self._observers:
            observe(outcome, text)
        return outcome


FILTERED = frozenset({"content_filter", "refusal"})
"""How OpenAI and Anthropic call the end of an answer that the provider's filter stopped."""

_FILTERED = Verdict(0.2, "the provider's filter ended it")

_PREAMBLE_S = 1.0
"""How long a stream that has begun and says nothing is held back."""


def _hash(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _status_of(error: errors.MMRouterError, run: _Run) -> Status:
    called = any(not a.aside for a in run.attempts) or isinstance(error, errors.ProviderError)
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
    about_request = (
        errors.BadUpstreamRequestError,
        errors.ContextLengthError,
        errors.ContentFilterError,
    )
    for failure in run.failures:
        if isinstance(failure, about_request):
            return failure
    refusals = sorted(run.refusals, key=_rank)
    return [*run.failures, *refusals][0]
