"""What the pipeline needs of the rest, as small protocols; `bootstrap` plugs in who keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mmrouter.decide.breaker import Change
from mmrouter.decide.budget import Standing
from mmrouter.decide.gate import Verdict
from mmrouter.decide.rate_limit import Allowance
from mmrouter.dialects import Conversation
from mmrouter.dialects.answer import Answer
from mmrouter.dialects.question import Ask
from mmrouter.errors import ProviderError
from mmrouter.types import Candidate, Classification, Nanos, Needs, Outcome, Plan, Request, Target


class Classify(Protocol):
    """Labels a conversation."""

    async def __call__(
        self, conversation: Conversation, ask: Ask | None = None, /
    ) -> tuple[Classification, str]:
        """The classification, and the text that was judged. Never raises.

        Args:
            ask: None where nobody may be called.
        """


class Books(Protocol):
    """Where outcomes are recorded."""

    def check(self) -> None:
        """Raises TrackerError when an outcome could not be recorded now: nobody is called then."""

    async def record(self, outcome: Outcome) -> None:
        """Returns when the outcome survives the death of this process.

        Raises:
            TrackerError: it could not be written, and config says to refuse then.
        """


class Budget(Protocol):
    """Spending limits: money is set aside before a call, and settled when the request is over.

    `started` is when the request arrived (Unix seconds): it says which day it belongs to.
    """

    async def standing(self, request: Request) -> Standing:
        """How the request stands with the limits that it falls under.

        Raises:
            BudgetExceededError: a limit is reached, and config says to reject then.
            StateError
        """

    async def reserve(self, request: Request, started: float, amount: Nanos | None) -> None:
        """Sets aside the most that the request can come to, in the place of what it has set aside
        before. Once begun it ends, whatever becomes of its caller: `settle` must follow.

        Args:
            amount: None where nothing bounds it.

        Raises:
            BudgetExceededError: a limit would be passed, the request's own among them.
            UnpricedModelError: the request falls under a limit, and `amount` is None.
            StateError
        """

    async def settle(self, request: Request, started: float, cost_nanos: Nanos) -> None:
        """Replaces what was set aside by what the request cost. Once begun it ends, whatever
        becomes of its caller. Never raises a StateError: a reservation that cannot be ended lapses,
        and the books say then what it cost."""


class Condition(Protocol):
    """How models and providers are, as a decision reads it."""

    def open(self, target: Target) -> bool:
        """The breaker of the model or of its provider lets no call through."""

    def limited(self, target: Target, needs: Needs) -> str | None:
        """Why the provider is about to refuse another such call for its number ("has ..."), or
        None."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One of a provider's limits on calls of a model.

    Attributes:
        kind: "requests" or "tokens".
        left: now, as far as is known.
        limit: what there is when it is full; None is unknown.
        reset: Unix seconds when it is full again.
    """

    kind: str
    left: int
    limit: int | None
    reset: float


@dataclass(frozen=True, slots=True)
class Quotas:
    """What is known of a model's rate limits.

    Attributes:
        limits: those of which the last answer left half or less; of others nothing is kept.
        paused_until: Unix seconds; after a 429, when the model may be asked again. None: it may.
    """

    limits: tuple[Quota, ...]
    paused_until: float | None


class Health(Condition, Protocol):
    """How models and providers are, learned from calls. Nothing here waits.

    Of each call it is told the beginning and one of three ends; `began` (Unix seconds) says which
    call it was.
    """

    def may_retry(self, target: Target) -> bool:
        """Takes a retry out of the provider's budget; False if it is used up."""

    def called(self, target: Target, needs: Needs, began: float) -> None:
        """A call is about to be made."""

    def succeeded(self, target: Target, began: float, allowances: Sequence[Allowance]) -> None:
        """The call was answered. `allowances`: what the provider says is left of its limits."""

    def failed(self, target: Target, began: float, error: ProviderError) -> None:
        """The call failed; whether that speaks against the model is `error.health`."""

    def left(self, target: Target, began: float, *, silent_s: float, deadline_s: float) -> None:
        """The call was given up by its caller, or was the request's own fault.

        Args:
            silent_s: how long it had been without a byte; 0 once one had come.
            deadline_s: how long it might have been.
        """

    def quotas(self, target: Target) -> Quotas | None:
        """What is known of the model's rate limits, to look at; None where nothing is."""

    def observe(self, observer: Callable[[Change], None]) -> None:
        """Tells of every change of a breaker from now on. An observer is quick and never raises."""


class Gate(Protocol):
    """Judges a cheap answer before anybody sees it."""

    async def __call__(self, request: Request, answer: Answer, ask: Ask) -> Verdict:
        """Whether a whole answer is good enough. Never raises."""

    def so_far(self, request: Request, answer: Answer) -> Verdict:
        """Whether what has arrived of an answer may flow on. Never raises."""


class Observer(Protocol):
    """Learns of every finished request, after it is recorded. Must be quick and never raise."""

    def __call__(self, outcome: Outcome, text: str, /) -> None:
        """
        Args:
            text: the answer's; empty where there is none.
        """


class Plans(Protocol):
    """Decides for a request."""

    def roomier(
        self, plan: Plan, failed: Target, rest: Sequence[Candidate]
    ) -> tuple[Candidate, ...]:
        """Who is asked in the place of `rest` now that the prompt was too long for `failed`."""

    async def __call__(self, request: Request, ask: Ask | None) -> tuple[Plan, str | None]:
        """The plan, and the judged text (None where nothing was classified).

        Args:
            ask: None where nobody may be called.
        """
