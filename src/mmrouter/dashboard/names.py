"""What the filters offer: names from config and from the newest requests."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import select

from mmrouter.config.schema import Config
from mmrouter.tracker import schema
from mmrouter.tracker.store import Store

_LOOKED_AT = 5_000

_requests = schema.requests.c


def names(store: Store, config: Config) -> dict[str, Any]:
    """Models, keys and tags that requests may have."""
    query = (
        select(_requests.answered_model, _requests.key_name, _requests.tags)
        .order_by(_requests.started.desc())
        .limit(_LOOKED_AT)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    tags = {tag for text in {row.tags for row in rows} for tag in orjson.loads(text)}
    models = {row.answered_model for row in rows} | set(config.model_names())
    keys = {row.key_name for row in rows} | set(config.server.keys)
    return {
        "models": sorted(models - {None}),
        "keys": sorted(keys - {None}),
        "tags": sorted(tags | set(config.budget.tags)),
    }
