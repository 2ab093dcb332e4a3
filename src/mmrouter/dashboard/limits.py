"""Rate limits: what providers say is left, and which models are passed over for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mmrouter.config.schema import Config
from mmrouter.providers.registry import Registry
from mmrouter.router.ports import Health
from mmrouter.types import Needs

Json = dict[str, Any]

_SMALLEST = Needs(input_tokens=1, input_bound=None)
"""A model that has no room for this is passed over for every request."""


def limits(config: Config, registry: Registry, health: Health) -> list[Json]:
    """Models of whose limits something is known, those that are passed over first.

    `passed_over` says why ("has answered 429 and asks for 12 s"), or is null.
    """
    found = []
    for name in dict.fromkeys((*config.called_names(), *config.models)):
        target = registry.resolve(name)
        quotas = health.quotas(target)
        passed_over = health.limited(target, _SMALLEST)
        if quotas is None or not (quotas.limits or quotas.paused_until):
            continue
        found.append(
            {
                "model": name,
                "provider": target.provider,
                "passed_over": passed_over,
                **asdict(quotas),
            }
        )
    return sorted(found, key=lambda row: row["passed_over"] is None)
