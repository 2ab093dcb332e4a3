"""The demo's config: three simulated tiers, one simulated rival, and the real local model."""

from __future__ import annotations

from typing import Any

from mmrouter.providers.registry import LOCAL_MODEL

CLOUD = "simulated-cloud"
RIVAL = "simulated-rival"


def demo_config(base_url: str) -> dict[str, Any]:
    """A config file's content, with the cloud at `base_url`."""

    def model(provider: str, upstream: str, price: dict[str, float]) -> dict[str, Any]:
        return {
            "provider": provider,
            "upstream": upstream,
            "price": price,
            "context_window": 200_000,
            "max_output": 8192,
            "capabilities": ["tools", "json_schema"],
        }

    def route(name: str, *fallbacks: str) -> dict[str, Any]:
        return {"model": name, "fallbacks": list(fallbacks)}

    small, medium, large = "sim-small", "sim-medium", "sim-large"
    return {
        "version": "1",
        "routes": {
            "simple": {
                "factual": route(small, "sim-rival"),
                "reasoning": route(small, "sim-rival"),
                "creative": route(small, medium),
                "code": route(small, medium),
            },
            "medium": {
                "factual": route(small, medium),
                "reasoning": route(medium, "sim-rival"),
                "creative": route(medium, "sim-rival"),
                "code": route(medium, "sim-rival"),
            },
            "complex": {
                "factual": route(medium, large),
                "reasoning": route(large, medium),
                "creative": route(medium, large),
                "code": route(large, medium),
            },
        },
        "providers": {CLOUD: {"base_url": base_url}, RIVAL: {"base_url": base_url}},
        "models": {
            small: model(CLOUD, "small", {"input": 1.0, "output": 5.0, "cache_read": 0.1}),
            medium: model(CLOUD, "medium", {"input": 3.0, "output": 15.0, "cache_read": 0.3}),
            large: model(CLOUD, "large", {"input": 5.0, "output": 25.0, "cache_read": 0.5}),
            "sim-rival": model(RIVAL, "other", {"input": 2.0, "output": 10.0, "cache_read": 0.5}),
            LOCAL_MODEL: {"provider": "local"},
        },
        "classifier": {"strategy": "auto", "threshold": 0.5},
        "provider": {"max_retries": 1, "timeout_ms": 20_000},
        "baseline": large,
        "budget": {
            "enabled": True,
            "daily_limit": 2.5,
            "monthly_limit": 20.0,
            "tags": {"nightly": {"daily_limit": 0.4}},
        },
        "tracker": {"store_prompts": True},
        "alerts": {"enabled": True, "rules": ["cost_spike", "error_rate", "budget_warning"]},
    }


def thriftier(config: dict[str, Any]) -> dict[str, Any]:
    """The same with the small model for all that is of medium weight: what the demo's experiment
    tries."""
    small = {"model": "sim-small", "fallbacks": ["sim-medium"]}
    routes = config["routes"] | {"medium": dict.fromkeys(config["routes"]["medium"], small)}
    return config | {"routes": routes}
