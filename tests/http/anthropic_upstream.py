"""Answers in the shape of Anthropic's Messages API."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from mmrouter.config import Config
from tests.support.configs import config_for
from tests.support.upstream import send

USAGE = {"input_tokens": 12, "output_tokens": 3, "cache_read_input_tokens": 5}


def event(kind: str, **fields: Any) -> bytes:
    """One event of a Messages stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def message(**changes: Any) -> dict[str, Any]:
    """A whole message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-upstream",
        "content": [{"type": "text", "text": "Four."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **changes,
    }


def stream() -> list[bytes]:
    """A whole Messages stream."""
    block = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": "Four."}
    start = {**USAGE, "output_tokens": 1}
    return [
        event("message_start", message=message(content=[], stop_reason=None, usage=start)),
        event("content_block_start", index=0, content_block=block),
        event("ping"),
        event("content_block_delta", index=0, delta=delta),
        event("content_block_stop", index=0),
        event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 3},
        ),
        event("message_stop"),
    ]


async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A plausible Anthropic."""
    if request.path.endswith("/count_tokens"):
        return web.json_response({"input_tokens": 77})
    if body.get("stream"):
        return await send(request, stream())
    return web.json_response(message())


def config(base_url: str) -> Config:
    """One model, `m`, at an Anthropic upstream whose key is TEST_ANTHROPIC_KEY."""
    provider = {"kind": "anthropic", "base_url": base_url, "api_key_env": "TEST_ANTHROPIC_KEY"}
    return config_for({"m": base_url}, providers={"at-m": provider})
