"""`POST /v1/chat/completions`: OpenAI Chat Completions."""

from __future__ import annotations

from mmrouter.router.parts import Parts
from mmrouter.server.answer import answer
from mmrouter.server.body import read_json
from mmrouter.server.http import Exchange
from mmrouter.server.request import listed, request_of
from mmrouter.types import Dialect, Surface


async def chat(exchange: Exchange, parts: Parts) -> None:
    """Answers a chat request in OpenAI's shape."""
    limits = parts.config.server
    body = await read_json(exchange, limits)
    listed(body, "messages", limits.max_messages)
    await answer(exchange, parts, request_of(exchange, body, Surface.CHAT, Dialect.CHAT))
