"""Small models on this machine: llama.cpp's OpenAI-compatible server, started when first used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmrouter.errors import InvalidRequestError
from mmrouter.providers.base import Answer, Call, ProviderBase
from mmrouter.providers.http import HttpProvider, bearer
from mmrouter.providers.local_server import DEFAULT_PARAMS, DEFAULT_SYSTEM_PROMPT, LocalServer
from mmrouter.types import Dialect


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
        body = _with_defaults(call.body)
        answer = http.stream(replace(call, target=target, body=body))
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece

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


def _with_defaults(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller left open, set to what makes a very small model answer sensibly."""
    filled = {**DEFAULT_PARAMS, **body}
    messages = body.get("messages")
    if isinstance(messages, list) and not any(
        isinstance(m, Mapping) and m.get("role") in ("system", "developer") for m in messages
    ):
        system = {"role": "system", "content": DEFAULT_SYSTEM_PROMPT}
        filled["messages"] = [system, *messages]
    return filled
