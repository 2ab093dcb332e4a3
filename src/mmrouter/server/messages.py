"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic Messages."""

from __future__ import annotations

from typing import Any

from mmrouter.dialects import DIALECTS
from mmrouter.errors import InvalidRequestError, MissingKeyError
from mmrouter.providers.base import Call
from mmrouter.router.parts import Parts
from mmrouter.server.answer import answer
from mmrouter.server.body import read_json
from mmrouter.server.http import Exchange
from mmrouter.server.request import listed, request_of
from mmrouter.types import Dialect, Request, Surface

_FORWARD = (b"anthropic-version", b"anthropic-beta")


async def messages(exchange: Exchange, parts: Parts) -> None:
    """Answers a Messages request in Anthropic's shape."""
    body = await _body(exchange, parts)
    if type(body.get("max_tokens")) is not int or body["max_tokens"] < 0:
        raise InvalidRequestError("'max_tokens' must be a whole number", param="max_tokens")
    await answer(exchange, parts, _request(exchange, body))


async def count_tokens(exchange: Exchange, parts: Parts) -> None:
    """How long the prompt is: as the provider counts, or as we estimate where it cannot say.

    Nothing is recorded: providers count for free.
    """
    request = _request(exchange, await _body(exchange, parts))
    with exchange.watched():
        counted = await _counted(request, parts)
        tokens = counted
        if tokens is None:
            tokens = DIALECTS[request.dialect].needs(request.body).input_tokens
        estimated = b"true" if counted is None else b"false"
        await exchange.answer_json(
            {"input_tokens": tokens}, headers=[(b"x-mmrouter-estimated", estimated)]
        )


async def _counted(request: Request, parts: Parts) -> int | None:
    try:
        plan = await parts.policies.decide(request)
    except MissingKeyError:
        return None
    target = plan.candidates[0].target
    deadlines = parts.config.provider
    call = Call(
        target=target,
        dialect=request.dialect,
        body=request.body,
        stream=False,
        timeout_s=deadlines.timeout_ms / 1000,
        stall_s=deadlines.stall_timeout_ms / 1000,
        forward_headers=request.forward_headers,
    )
    return await parts.provider_for(target, request.dialect).count_tokens(call)


async def _body(exchange: Exchange, parts: Parts) -> dict[str, Any]:
    limits = parts.config.server
    body = await read_json(exchange, limits)
    listed(body, "messages", limits.max_messages)
    return body


def _request(exchange: Exchange, body: dict[str, Any]) -> Request:
    return request_of(exchange, body, Surface.MESSAGES, Dialect.MESSAGES, forward=_FORWARD)
