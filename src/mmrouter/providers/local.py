"""Small models on this machine: llama.cpp's OpenAI-compatible server, started when first used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from mmrouter.errors import InvalidRequestError
from mmrouter.providers.base import Answer, Call, Finish, ProviderBase
from mmrouter.providers.http import HttpProvider, bearer
from mmrouter.providers.local_server import DEFAULT_PARAMS, DEFAULT_SYSTEM_PROMPT, LocalServer
from mmrouter.providers.sse import SseParser
from mmrouter.types import Dialect, Usage


class LocalProvider(ProviderBase):
    """One llama.cpp server per file of weights, in this process."""

    def __init__(self) -> None:
        self._models: dict[Path | None, tuple[LocalServer, HttpProvider]] = {}

    async def stream(self, call: Call) -> Answer:
        if call.dialect is not Dialect.CHAT:
            raise InvalidRequestError(
                f"The local model answers chat requests, not {call.dialect}", param="model"
            )
        server, http = self._model(call)
        base_url = await asyncio.to_thread(server.start)
        target = replace(call.target, base_url=base_url)
        # llama.cpp only stops an abandoned answer that it streams: a whole one is folded here
        upstream = replace(call, target=target, body=_with_defaults(call.body), stream=True)
        text, first = "", b""
        async with aclosing(http.stream(upstream)) as pieces:
            async for piece in pieces:
                if call.stream:
                    yield piece
                    continue
                text += piece.text
                first = first or piece.data
                if isinstance(piece, Finish):
                    yield replace(piece, data=_folded(first, text, piece), text=text)

    async def aclose(self) -> None:
        for server, http in self._models.values():
            await http.aclose()
            await asyncio.to_thread(server.stop)

    def _model(self, call: Call) -> tuple[LocalServer, HttpProvider]:
        named = call.target.upstream
        path = Path(named).expanduser() if named.endswith(".gguf") else None
        if path not in self._models:
            server = LocalServer(path)
            self._models[path] = (server, HttpProvider(bearer, key=lambda _: server.api_key))
        return self._models[path]


def _folded(first: bytes, text: str, finish: Finish) -> bytes:
    """The whole chat completion that a stream amounts to.

    Args:
        first: the stream's first event, which carries what all of them repeat.
    """
    usage = finish.usage or Usage()
    event = orjson.loads(next(SseParser().feed(first)).data)
    return orjson.dumps(
        {
            "id": event.get("id"),
            "object": "chat.completion",
            "created": event.get("created"),
            "model": event.get("model"),
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": finish.finish_reason,
                }
            ],
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.prompt_tokens + usage.output_tokens,
            },
        }
    )


def _with_defaults(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller left open, set to what makes a very small model answer sensibly."""
    filled = {**DEFAULT_PARAMS, **body, "stream": True}
    if "max_completion_tokens" in body:
        filled.pop("max_tokens", None)
    messages = body.get("messages")
    if isinstance(messages, list) and not any(
        isinstance(m, Mapping) and m.get("role") in ("system", "developer") for m in messages
    ):
        system = {"role": "system", "content": DEFAULT_SYSTEM_PROMPT}
        filled["messages"] = [system, *messages]
    return filled
