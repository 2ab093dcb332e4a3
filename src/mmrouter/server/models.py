"""`GET /v1/models` and `/v1/models/NAME`: the names that a client may ask for."""

from __future__ import annotations

from typing import Any

from mmrouter.errors import MMRouterError
from mmrouter.router.parts import Parts
from mmrouter.server.http import Exchange
from mmrouter.server.refusals import NotFoundError

AUTO = ("auto", "auto:cheap", "auto:balanced", "auto:best")

PREFIX = "/v1/models/"

_CREATED = 1_700_000_000
"""Both APIs want a date; ours is the same for all, since nobody knows it."""


async def models(exchange: Exchange, parts: Parts) -> None:
    """Lists the dial and config's models, in the shape of the SDK that asks."""
    rows = [_row(name, parts, exchange) for name in _names(parts)]
    if b"anthropic-version" in exchange.headers:
        ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]}
        await exchange.answer_json({"data": rows, "has_more": False, **ends})
    else:
        await exchange.answer_json({"object": "list", "data": rows})


async def model(exchange: Exchange, parts: Parts) -> None:
    """One of them."""
    name = exchange.path.removeprefix(PREFIX)
    if name not in _names(parts):
        raise NotFoundError("No such model is configured")
    await exchange.answer_json(_row(name, parts, exchange))


def _names(parts: Parts) -> tuple[str, ...]:
    config = parts.config
    return tuple(dict.fromkeys((*AUTO, *config.model_names(), *config.models)))


def _row(name: str, parts: Parts, exchange: Exchange) -> dict[str, Any]:
    if b"anthropic-version" in exchange.headers:
        date = "2023-11-14T22:13:20Z"
        return {"type": "model", "id": name, "display_name": name, "created_at": date}
    owner = "mmrouter" if name in AUTO else _provider(name, parts)
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": owner}


def _provider(name: str, parts: Parts) -> str:
    try:
        return parts.registry.resolve(name).provider
    except MMRouterError:
        return "unknown"
