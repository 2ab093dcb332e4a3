"""`POST /v1/responses`: OpenAI Responses."""

from __future__ import annotations

from mmrouter.errors import InvalidRequestError
from mmrouter.router.parts import Parts
from mmrouter.server.answer import answer
from mmrouter.server.body import read_json
from mmrouter.server.http import Exchange
from mmrouter.server.request import listed, request_of
from mmrouter.types import Dialect, Surface


async def responses(exchange: Exchange, parts: Parts) -> None:
    """Answers a Responses request in OpenAI's shape."""
    limits = parts.config.server
    body = await read_json(exchange, limits)
    if body.get("background"):
        # its answer would be fetched later from the provider, past the books
        raise InvalidRequestError("'background' is not served", param="background")
    if not isinstance(body.get("input"), str):
        listed(body, "input", limits.max_messages, required=False)
    await answer(exchange, parts, request_of(exchange, body, Surface.RESPONSES, Dialect.RESPONSES))
