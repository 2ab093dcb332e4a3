"""What is believed of models' answers, as feedback stands now."""

from __future__ import annotations

from typing import Any

from mmrouter.config.schema import Config
from mmrouter.providers.registry import Registry
from mmrouter.router.beliefs import believed, plain
from mmrouter.tracker.feedback import tallies
from mmrouter.tracker.store import Store
from mmrouter.types import Category, Complexity

Json = dict[str, Any]


def beliefs(store: Store, config: Config, registry: Registry, now: float) -> Json:
    """Every model of every bucket in which somebody said something.

    Args:
        now: Unix seconds.
    """
    adaptive = config.adaptive
    said = tallies(store, now=now, decay_days=adaptive.decay_days)
    return {
        "enabled": adaptive.enabled,
        "strategy": adaptive.strategy,
        "decay_days": adaptive.decay_days,
        "min_feedback_count": adaptive.min_feedback_count,
        "beliefs": [plain(row) for row in believed(config, registry.resolve, said)],
    }


def of_request(store: Store, config: Config, registry: Registry, now: float, id: str) -> list[Json]:
    """The beliefs of the kind of prompt that a request was, whether somebody said something or not;
    empty where it was not classified."""
    row = store.request(id)
    if row is None or row["complexity"] is None:
        return []
    bucket = Complexity(row["complexity"]), Category(row["category"])
    said = tallies(store, now=now, decay_days=config.adaptive.decay_days).get(bucket, {})
    return [plain(row) for row in believed(config, registry.resolve, {bucket: said})]
