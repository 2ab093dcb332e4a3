"""`GET /openapi.json`."""

from __future__ import annotations

from mmrouter.router.parts import Parts
from mmrouter.server.http import Exchange


async def openapi(exchange: Exchange, parts: Parts) -> None:
    """The description of this API."""
    await exchange.answer_json({"openapi": "3.1.0"})
