"""Who could have answered a request: believed quality and cost, model by model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrouter.config.schema import Config
from mmrouter.dashboard.beliefs import of_request
from mmrouter.money import cost
from mmrouter.providers.registry import Registry
from mmrouter.tracker.store import Store
from mmrouter.types import Nanos, Usage

Json = dict[str, Any]


def candidates(
    store: Store, config: Config, registry: Registry, now: float, story: Mapping[str, Any]
) -> list[Json]:
    """The route that the request's bucket has now, in its order: what is believed of each model
    (see `beliefs`), and `cost_nanos`, the price of as many tokens there, none of them cached.

    Empty where the request was not classified; costs are null where nothing was answered.
    """
    usage = _usage(story["attempts"])

    def price_of(name: str) -> Nanos | None:
        return None if usage is None else cost(registry.resolve(name).price, usage)

    rows = of_request(store, config, registry, now, story["id"])
    route = [row for row in rows if row["configured"] is not None]
    place = "tried" if config.adaptive.enabled else "configured"
    return [
        row | {"cost_nanos": price_of(row["model"])}
        for row in sorted(route, key=lambda row: row[place])
    ]


def _usage(attempts: list[Mapping[str, Any]]) -> Usage | None:
    """Tokens of the answer that was used."""
    for row in attempts:
        if row["status"] == "ok":
            prompt = row["input_tokens"] + row["cache_read_tokens"] + row["cache_write_tokens"]
            return Usage(input_tokens=prompt, output_tokens=row["output_tokens"])
    return None
