"""How models and providers are: breakers, rate limits, retry budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmrouter.config.schema import ProviderConfig
from mmrouter.decide import rate_limit, retry_budget
from mmrouter.decide.breaker import Change, counts_as_failure
from mmrouter.decide.rate_limit import Allowance
from mmrouter.decide.retry_budget import RetryBudget
from mmrouter.errors import ProviderError, RateLimitedError
from mmrouter.router.breakers import Breakers
from mmrouter.router.ports import Quota, Quotas
from mmrouter.state.boards import Board
from mmrouter.types import Needs, Target

_MOST = 10_000
"""Models whose rate limits are known: clients choose explicit names."""


@dataclass(slots=True)
class _Limits:
    """What is known of a model's rate limits.

    Attributes:
        allowances: as the provider told them last.
        requests: sent since.
        tokens: of the prompts of those.
        refusals: 429s in a row.
        refused: Unix seconds of the last of them.
        until: Unix seconds; after a 429, when it may be asked again.
    """

    allowances: Sequence[Allowance] = ()
    requests: int = 0
    tokens: int = 0
    refusals: int = 0
    refused: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class _Calls:
    """A provider's calls since the state of its retry budget; the first retry makes one."""

    number: int = 0
    budget: RetryBudget | None = None


class ProviderHealth:
    """See `router.ports.Health`. For one event loop; all methods return at once.

    Args:
        now: Unix seconds.
        board: where changes of breakers are shared; None keeps them here.
    """

    def __init__(
        self, config: ProviderConfig, now: Callable[[], float], board: Board | None = None
    ) -> None:
        self._config = config
        self._now = now
        self._breakers = Breakers(config, now, self._changed)
        self._limits: dict[tuple[str, str], _Limits] = {}
        self._calls: dict[str, _Calls] = {}
        self._observers: list[Callable[[Change], None]] = []
        self.open = self._breakers.open
        self.shut = self._breakers.shut
        self._unattended = board
        if board is not None:
            self._observers.append(board.tell)
            board.listen(self._breakers.learn)

    def configure(self, config: ProviderConfig) -> None:
        """Thresholds of a config that takes the other's place; what is known stays known."""
        self._config = config
        self._breakers.configure(config)

    def observe(self, observer: Callable[[Change], None]) -> None:
        self._observers.append(observer)

    def limited(self, target: Target, needs: Needs) -> str | None:
        known = self._limits.get((target.provider, target.name))
        if known is None:
            return None
        now = self._now()
        if known.until > now:
            return f"has answered 429 and asks for {_seconds(known.until - now)}"
        short = rate_limit.shortage(
            known.allowances,
            requests=known.requests,
            tokens=known.tokens,
            wanted=needs.input_tokens,
            now=now,
        )
        if short is None:
            return None
        return f"has too few {short.kind} left for {_seconds(short.until - now)}"

    def quotas(self, target: Target) -> Quotas | None:
        known = self._limits.get((target.provider, target.name))
        if known is None:
            return None
        now = self._now()
        used = {"requests": known.requests, "tokens": known.tokens}
        limits = tuple(
            Quota(
                kind=one.kind,
                left=rate_limit.left_at(one, used=used.get(one.kind, 0), now=now),
                limit=one.limit,
                reset=one.reset,
            )
            for one in known.allowances
            if one.reset > now
        )
        return Quotas(limits, known.until if known.until > now else None)

    def may_retry(self, target: Target) -> bool:
        calls, now, floor = self._calls_of(target), self._now(), self._config.retry_budget_floor
        left = retry_budget.refilled(
            calls.budget or retry_budget.fresh(floor=floor, now=now),
            calls=calls.number,
            share=self._config.retry_budget,
            floor=floor,
            now=now,
        )
        spent = retry_budget.spent(left)
        calls.budget = spent or left
        calls.number = 0 if spent is None else -1  # the retry itself pays for none
        return spent is not None

    def called(self, target: Target, needs: Needs, began: float) -> None:
        if self._unattended is not None:
            self._unattended.attend()
            self._unattended = None
        self._calls_of(target).number += 1
        known = self._limits.get((target.provider, target.name))
        if known is not None:
            known.requests += 1
            known.tokens += needs.input_tokens
        self._breakers.called(target, began)

    def succeeded(self, target: Target, began: float, allowances: Sequence[Allowance]) -> None:
        if allowances or self._limits:
            key = (target.provider, target.name)
            known = self._limits.get(key)
            if known is None or began >= known.refused:  # else a 429 has overtaken it
                if allowances:
                    self._limits[key] = _Limits(allowances)
                elif known is not None:
                    del self._limits[key]
        self._breakers.succeeded(target, began)

    def failed(self, target: Target, began: float, error: ProviderError) -> None:
        if isinstance(error, RateLimitedError):
            key, now = (target.provider, target.name), self._now()
            known = self._limits.get(key) or _Limits()
            if len(self._limits) < _MOST:
                self._limits[key] = known
            if began >= known.refused:  # else it went out with the one before
                known.refusals += 1
            known.refused = now
            pause = rate_limit.pause_after_429(error.retry_after_s, known.refusals)
            known.until = max(known.until, now + pause)
        if error.health:
            self._breakers.failed(target, began, f"{type(error).__name__}: {error}")
        else:
            self._breakers.told_nothing(target, began)

    def left(self, target: Target, began: float, *, silent_s: float, deadline_s: float) -> None:
        if counts_as_failure(silent_s=silent_s, deadline_s=deadline_s):
            cause = f"no byte in {silent_s:.1f} s, after which the caller gave up"
            self._breakers.failed(target, began, cause)
        else:
            self._breakers.told_nothing(target, began)

    def _changed(self, change: Change) -> None:
        for observe in self._observers:
            observe(change)

    def _calls_of(self, target: Target) -> _Calls:
        calls = self._calls.get(target.provider)
        if calls is None:
            calls = self._calls[target.provider] = _Calls()
        return calls


def _seconds(duration: float) -> str:
    return f"{max(1, round(duration))} s"
