"""Circuit breakers of models and providers, in the memory of this process."""

from __future__ import annotations

from collections.abc import Callable

from mmrouter.config.schema import ProviderConfig
from mmrouter.decide import breaker
from mmrouter.decide.breaker import CLOSED, Breaker
from mmrouter.types import Target


class Breakers:
    """A breaker per model, and per provider one that counts its models' openings.

    Args:
        now: Unix seconds.
    """

    def __init__(self, config: ProviderConfig, now: Callable[[], float]) -> None:
        self._config = config
        self._now = now
        self._models: dict[str, Breaker] = {}
        self._providers: dict[str, Breaker] = {}

    def open(self, target: Target) -> bool:
        now = self._now()
        model = self._models.get(target.name, CLOSED)
        provider = self._providers.get(target.provider, CLOSED)
        return not (
            breaker.allows(model, now=now, reset_s=self._config.circuit_breaker_reset_ms / 1000)
            and breaker.allows(
                provider,
                now=now,
                reset_s=self._config.provider_circuit_breaker_reset_ms / 1000,
            )
        )

    def called(self, target: Target) -> None:
        now = self._now()
        for states, key in ((self._models, target.name), (self._providers, target.provider)):
            if key in states:
                states[key] = breaker.on_call(states[key], now=now)

    def succeeded(self, target: Target) -> None:
        self._models.pop(target.name, None)
        self._providers.pop(target.provider, None)

    def failed(self, target: Target) -> None:
        now = self._now()
        before = self._models.get(target.name, CLOSED)
        after = breaker.on_failure(
            before, now=now, threshold=self._config.circuit_breaker_threshold
        )
        self._models[target.name] = after
        provider = self._providers.get(target.provider, CLOSED)
        opened = before.opened_at is None and after.opened_at is not None
        if opened or provider.opened_at is not None:
            self._providers[target.provider] = breaker.on_failure(
                provider, now=now, threshold=self._config.provider_circuit_breaker_threshold
            )
