"""An upstream on a real socket that records what it gets and answers as it is told.

It runs in a thread of its own, so that synchronous clients can be tested too.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes


@dataclass
class Upstream:
    """A running upstream.

    Attributes:
        handler: answers; may be replaced at any time.
        gone: how many clients went away before their answer was complete.
    """

    base_url: str = ""
    handler: Handler | None = None
    seen: list[Seen] = field(default_factory=list)
    gone: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else {}
        self.seen.append(Seen(request.path, dict(request.headers), body, raw))
        try:
            return await (self.handler or chat)(request, body)
        except (asyncio.CancelledError, ConnectionResetError):
            self.gone += 1
            raise


@contextmanager
def running(handler: Handler | None = None) -> Iterator[Upstream]:
    """Starts an upstream on a free loopback port; `base_url` ends in /v1."""
    upstream = Upstream(handler=handler)
    loop = asyncio.new_event_loop()
    runner: list[web.AppRunner] = []

    async def start() -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", upstream.answer)
        runner.append(web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1))
        await runner[0].setup()
        site = web.TCPSite(runner[0], "127.0.0.1", 0)
        await site.start()
        port = runner[0].addresses[0][1]
        upstream.base_url = f"http://127.0.0.1:{port}/v1"

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(10)  # this thread may have its own loop
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(runner[0].cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def completion(text: str = "Paris.", **changes: Any) -> dict[str, Any]:
    """A whole chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        **changes,
    }


def chunk(delta: dict[str, Any], finish: str | None = None, **changes: Any) -> bytes:
    """One event of a chat stream."""
    plain = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **changes,
    }
    return b"data: " + json.dumps(plain).encode() + b"\n\n"


def usage_chunk(prompt: int = 12, output: int = 3) -> bytes:
    """The event that carries a stream's usage."""
    usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    return chunk({}, choices=[], usage=usage)


DONE = b"data: [DONE]\n\n"


def stream_of(words: list[str], *, usage: bool = True) -> list[bytes]:
    """A whole chat stream."""
    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": word}) for word in words]
    events.append(chunk({}, "stop"))
    if usage:
        events.append(usage_chunk(output=len(words)))
    return [*events, DONE]


async def chat(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """The default handler: a plausible answer, streamed if asked for."""
    if not body.get("stream"):
        return web.json_response(completion())
    usage = bool((body.get("stream_options") or {}).get("include_usage"))
    return await send(request, stream_of(["Par", "is", "."], usage=usage))


async def send(
    request: web.Request, events: list[bytes], *, pause_s: float = 0.0
) -> web.StreamResponse:
    """Streams these events."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(event)
        if pause_s:
            await asyncio.sleep(pause_s)
    await response.write_eof()
    return response


def failing(status: int, message: str = "no", headers: dict[str, str] | None = None) -> Handler:
    """A handler that always answers with this status."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        error = {"error": {"message": message, "type": "test", "code": None, "param": None}}
        return web.json_response(error, status=status, headers=headers)

    return handler
