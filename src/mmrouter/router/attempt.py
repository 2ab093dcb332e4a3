"""The log of one provider call while it runs, and the row that it leaves."""

from __future__ import annotations

from collections.abc import Callable

from mmrouter import errors
from mmrouter.decide.cost import output_bound
from mmrouter.dialects.base import count_tokens
from mmrouter.money import cost
from mmrouter.providers.base import Chunk, Finish
from mmrouter.types import Attempt, AttemptStatus, Candidate, Needs, Usage


class AttemptLog:
    """Notes what arrives. Until it is told otherwise the attempt counts as cancelled: that is what
    it is when the client goes away and nothing more is said.

    Args:
        started: Unix seconds.
        monotonic: seconds.
    """

    def __init__(
        self,
        candidate: Candidate,
        needs: Needs,
        started: float,
        monotonic: Callable[[], float],
    ) -> None:
        self.status = AttemptStatus.CANCELLED
        self.detail: str | None = None
        self._candidate = candidate
        self._needs = needs
        self._started = started
        self._monotonic = monotonic
        self._clock = monotonic()
        self._first: float | None = None
        self._texts: list[str] = []
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._error: errors.MMRouterError | None = None

    @property
    def text(self) -> str:
        """All text that has been generated."""
        return "".join(self._texts)

    @property
    def silent_s(self) -> float:
        """How long nothing has come; 0 once the first byte is here, since whatever is slow then may
        be the client."""
        return self._monotonic() - self._clock if self._first is None else 0.0

    def note(self, piece: Chunk | Finish) -> None:
        """A piece of the answer arrived."""
        if self._first is None:
            self._first = self._monotonic()
        if piece.text:
            self._texts.append(piece.text)
        if piece.usage is not None:
            self._usage = piece.usage
        if isinstance(piece, Finish):
            self._finish = piece

    def fail(self, error: errors.MMRouterError) -> None:
        """The call failed."""
        self.status = AttemptStatus.FAILED
        self._error = error

    def attempt(self) -> Attempt:
        """The row, as of now."""
        target = self._candidate.target
        usage = self._billed()
        finish, error = self._finish, self._error
        refused = error.upstream_status if isinstance(error, errors.ProviderError) else None
        return Attempt(
            target=target,
            role=self._candidate.role,
            status=self.status,
            usage=usage,
            cost_nanos=cost(target.price, usage),
            bound_nanos=self._candidate.bound_nanos,
            started=self._started,
            latency_ms=(self._monotonic() - self._clock) * 1000,
            ttft_ms=None if self._first is None else (self._first - self._clock) * 1000,
            finish_reason=finish.finish_reason if finish else None,
            http_status=200 if finish else refused,
            error_class=type(error).__name__ if error else None,
            error=str(error) if error else None,
            upstream_id=finish.upstream_id if finish else None,
            detail=self.detail,
        )

    def _billed(self) -> Usage:
        """The usage that the provider bills: as it said, else as counted from what arrived.

        A call that was refused, or never reached the provider, is not billed. One that ran into a
        timeout or was cut off has been worked on, and its prompt counts.
        """
        if self._finish is not None and self._usage is not None:
            return self._usage
        worked_on = (errors.ProviderTimeoutError, errors.ProviderProtocolError)
        if self._first is None and self._error and not isinstance(self._error, worked_on):
            return Usage()
        told = self._usage or Usage(input_tokens=self._needs.input_tokens)
        written = count_tokens([self.text], images=0) if self._texts else 0
        return Usage(
            input_tokens=told.input_tokens,
            cache_read_tokens=told.cache_read_tokens,
            cache_write_tokens=told.cache_write_tokens,
            cache_write_1h_tokens=told.cache_write_1h_tokens,
            output_tokens=max(told.output_tokens, self._at_most(written)),
            reasoning_tokens=told.reasoning_tokens,
            estimated=True,
        )

    def _at_most(self, output_tokens: int) -> int:
        """A count of ours, within what the call could make at all."""
        bound = output_bound(self._candidate.target, self._needs)
        return output_tokens if bound is None else min(output_tokens, bound)
