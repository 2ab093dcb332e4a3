"""Circuit breakers of models and providers: the state that `decide.breaker` moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mmrouter.config.schema import ProviderConfig
from mmrouter.decide import breaker
from mmrouter.decide.breaker import CLOSED, Breaker, Change, Phase, Rules
from mmrouter.types import Target

_MOST = 10_000
"""Breakers with a state: clients choose explicit names, so any number of models may fail."""

_Key = tuple[str, str | None]
"""A provider and one of its models; None is the provider itself."""


class Breakers:
    """One breaker per model, and one per provider that opens when enough of its models are open.

    Only what has failed has a state, so a healthy router looks at an empty dict.

    Args:
        now: Unix seconds.
        changed: told of every change that happens here, but not of those that are learned.
    """

    def __init__(
        self,
        config: ProviderConfig,
        now: Callable[[], float],
        changed: Callable[[Change], None] = lambda _: None,
    ) -> None:
        self.configure(config)
        self._states: dict[_Key, Breaker] = {}
        self._closed_at: dict[_Key, float] = {}  # so that older news does not open it again
        self._now = now
        self._changed = changed

    def configure(self, config: ProviderConfig) -> None:
        """Takes a config's thresholds; what is open stays so for as long as they say."""
        probes = config.circuit_breaker_probes
        self._of_models = Rules(
            config.circuit_breaker_threshold, config.circuit_breaker_reset_ms / 1000, probes
        )
        self._of_providers = Rules(
            config.provider_circuit_breaker_threshold,
            config.provider_circuit_breaker_reset_ms / 1000,
            probes,
        )

    def open(self, target: Target) -> bool:
        """The breaker of the model or of its provider admits no call now."""
        if not self._states:
            return False
        now = self._now()
        return not all(
            breaker.admits(state, self._rules(key), now=now) for key, state in self._known(target)
        )

    def shut(self) -> Iterator[_Key]:
        """The breakers that admit no call now: each by itself, so the models of a provider whose
        own is open are not among them unless they failed."""
        now = self._now()
        for key, state in self._states.items():
            if not breaker.admits(state, self._rules(key), now=now):
                yield key

    def called(self, target: Target, began: float) -> None:
        """A call begins (Unix seconds)."""
        if not self._states:
            return
        for key, state in self._known(target):
            after = breaker.on_call(state, self._rules(key), now=began)
            if after is not state:
                self._states[key] = after
                self._changed(Change(*key, Phase.HALF_OPEN, began))

    def succeeded(self, target: Target, began: float) -> None:
        """The call that began then was answered."""
        if not self._states:
            return
        for key, state in self._known(target):
            if breaker.on_success(state, began=began) is not CLOSED:
                continue
            if key[1] is None and self._fails(target.provider, self._now()):
                self._states[key] = breaker.on_nothing(state, began=began)
                continue
            del self._states[key]
            if state.opened_at is not None:
                now = self._now()
                self._closed_at[key] = now
                self._changed(Change(*key, Phase.CLOSED, now))

    def failed(self, target: Target, began: float, cause: str) -> None:
        """The call that began then failed, which speaks against the model or its provider."""
        now = self._now()
        key: _Key = (target.provider, target.name)
        before = self._states.get(key, CLOSED)
        self._move(
            key, before, breaker.on_failure(before, self._of_models, began=began, now=now), cause
        )
        key = (target.provider, None)
        before = self._states.get(key, CLOSED)
        if before.opened_at is not None:
            after = breaker.on_failure(before, self._of_providers, began=began, now=now)
            self._move(key, before, after, cause)
        elif self._fails(target.provider, now):
            self._move(key, before, Breaker(opened_at=now), cause)

    def told_nothing(self, target: Target, began: float) -> None:
        """The call that began then ended without a word on how the model is."""
        if self._states:
            for key, state in self._known(target):
                self._states[key] = breaker.on_nothing(state, began=began)

    def learn(self, change: Change) -> None:
        """A breaker changed in another process. The newest word holds; to hear one twice, or one's
        own, changes nothing."""
        key = (change.provider, change.model)
        state = self._states.get(key, CLOSED)
        match change.phase, state.opened_at:
            case Phase.OPEN, None if change.at > self._closed_at.get(key, 0.0):
                self._keep(key, Breaker(state.failures, change.at))
            case Phase.OPEN, float(opened_at) if opened_at < change.at:
                self._keep(key, Breaker(state.failures, change.at))
            case Phase.HALF_OPEN, float():
                self._states[key] = breaker.on_call(state, self._rules(key), now=change.at)
            case Phase.CLOSED, float(opened_at) if opened_at <= change.at:
                self._closed_at[key] = change.at
                del self._states[key]

    def _rules(self, key: _Key) -> Rules:
        return self._of_providers if key[1] is None else self._of_models

    def _known(self, target: Target) -> Iterator[tuple[_Key, Breaker]]:
        """The states of a target's model and of its provider, where there are any."""
        keys: tuple[_Key, ...] = ((target.provider, target.name), (target.provider, None))
        for key in keys:
            state = self._states.get(key)
            if state is not None:
                yield key, state

    def _fails(self, provider: str, now: float) -> bool:
        """Enough of the provider's models are open."""
        models = (s for (p, m), s in self._states.items() if p == provider and m is not None)
        return breaker.provider_fails(models, self._of_models, self._of_providers, now=now)

    def _move(self, key: _Key, before: Breaker, after: Breaker, cause: str) -> None:
        if after is before:
            return
        self._keep(key, after)
        if after.opened_at is not None:
            self._changed(Change(*key, Phase.OPEN, after.opened_at, cause))

    def _keep(self, key: _Key, state: Breaker) -> None:
        if key not in self._states and len(self._states) >= _MOST:
            oldest = next(iter(self._states))
            del self._states[oldest]
            self._closed_at.pop(oldest, None)
        self._states[key] = state
