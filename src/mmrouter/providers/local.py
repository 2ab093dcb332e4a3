"""Small models on this machine: llama.cpp's own OpenAI-compatible server, started when first used."""

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
        self._http = HttpProvider(bearer)
        self._servers: dict[Path | None, LocalServer] = {}

    async def stream(self, call: Call) -> Answer:
        if call.dialect is not Dialect.CHAT:
            raise InvalidRequestError(
                f"The local model answers chat requests, not {call.dialect}", param="model"
            )
        server = self._server(call)
        base_url = await asyncio.to_thread(server.start)
        target = replace(call.target, base_url=base_url)
        body = _with_defaults(call.body)
        answer = self._http.stream(replace(call, target=target, body=body))
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        await self._http.aclose()
        for server in self._servers.values():
            await asyncio.to_thread(server.stop)

    def _server(self, call: Call) -> LocalServer:
        named = call.target.upstream
        path = Path(named).expanduser() if named.endswith(".gguf") else None
        if path not in self._servers:
            self._servers[path] = LocalServer(path)
        return self._servers[path]


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
