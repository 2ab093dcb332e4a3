"""`POST /v1/embeddings`: OpenAI Embeddings, passed through to a named model."""

from __future__ import annotations

from mmrouter.errors import InvalidRequestError
from mmrouter.router.parts import Parts
from mmrouter.server.answer import answer
from mmrouter.server.body import read_json
from mmrouter.server.http import Exchange
from mmrouter.server.request import request_of
from mmrouter.types import Dialect, Surface


async def embeddings(exchange: Exchange, parts: Parts) -> None:
    """Answers an embeddings request in OpenAI's shape."""
    body = await read_json(exchange, parts.config.server)
    if not isinstance(body.get("input"), str | list) or not body["input"]:
        raise InvalidRequestError("'input' must be a string or a list", param="input")
    request = request_of(exchange, body, Surface.EMBEDDINGS, Dialect.EMBEDDINGS)
    if request.stream:
        raise InvalidRequestError("Embeddings are not streamed", param="stream")
    await answer(exchange, parts, request)
