"""Configs for tests."""

from __future__ import annotations

from typing import Any

from mmrouter.config import Config

_COMPLEXITIES = ("simple", "medium", "complex")
_CATEGORIES = ("factual", "reasoning", "creative", "code")
PRICE = {"input": 1.0, "output": 2.0}


def one_route(model: str, *fallbacks: str, cascade: tuple[str, ...] = ()) -> dict[str, Any]:
    """The same route for all buckets."""
    route = {"model": model, "fallbacks": list(fallbacks), "cascade": list(cascade)}
    return {c: dict.fromkeys(_CATEGORIES, route) for c in _COMPLEXITIES}


def config_for(endpoints: dict[str, str], **changes: Any) -> Config:
    """A config in which each name is a model at the endpoint of that URL, asked in order.

    Args:
        endpoints: model's name -> base URL.
        changes: whole sections.
    """
    names = list(endpoints)
    return Config.model_validate(
        {
            "routes": one_route(*names),
            "classifier": {"strategy": "rules", "threshold": 0},
            "provider": {"max_retries": 0, "timeout_ms": 3000, "stall_timeout_ms": 1000},
            "providers": {f"at-{n}": {"base_url": url} for n, url in endpoints.items()},
            "models": {
                n: {"provider": f"at-{n}", "upstream": f"up-{n}", "price": PRICE} for n in names
            },
            **changes,
        }
    )


def two_dialects(base_url: str, **changes: Any) -> Config:
    """A config with one upstream: `gpt` speaks OpenAI's dialects there, `claude` Anthropic's.

    Args:
        changes: whole sections.
    """
    return Config.model_validate(
        {
            "routes": one_route("gpt"),
            "classifier": {"strategy": "rules", "threshold": 0},
            "provider": {"max_retries": 0, "circuit_breaker_threshold": 1_000_000},
            "providers": {
                "at-openai": {"base_url": base_url},
                "at-anthropic": {"kind": "anthropic", "base_url": base_url},
            },
            "models": {
                "gpt": {"provider": "at-openai", "upstream": "up-gpt", "price": PRICE},
                "claude": {"provider": "at-anthropic", "upstream": "up-claude", "price": PRICE},
            },
            **changes,
        }
    )
