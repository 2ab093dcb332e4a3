"""`GET /health` (this process lives), `/ready` (its books can be written), `/` (where to look)."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version

from mmrouter.errors import MMRouterError
from mmrouter.router.parts import Parts
from mmrouter.server.http import Exchange

logger = logging.getLogger(__name__)

_PATIENCE_S = 3.0


async def health(exchange: Exchange, parts: Parts) -> None:
    """Always 200: the event loop turns."""
    await exchange.answer_json({"status": "ok", "version": version("mmrouter")})


async def ready(exchange: Exchange, parts: Parts) -> None:
    """200, or 503 while requests would be refused."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await parts.ready()
    except (MMRouterError, TimeoutError) as error:
        logger.warning("not ready: %s", error or "the books do not answer")
        await exchange.answer_json({"status": "unavailable", "tracker": "unavailable"}, 503)
    else:
        await exchange.answer_json({"status": "ready", "tracker": "ok"})


async def root(exchange: Exchange, parts: Parts) -> None:
    """What this is."""
    await exchange.answer_json(
        {
            "name": "mmrouter",
            "version": version("mmrouter"),
            "openapi": "/openapi.json",
            "models": "/v1/models",
            "dashboard": "/dashboard",
        }
    )
