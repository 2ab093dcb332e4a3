"""The simulated cloud: an OpenAI-compatible server on loopback that answers, waits and fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Json = dict[str, Any]

_TOKEN_CHARS = 4
_SENTENCES = (
    "This answer is simulated, so read it for its length and not for its wisdom.",
    "A simulated cloud has no opinions, but it does have token counts.",
    "The next paragraph would explain the details if anybody were there to know them.",
    "In practice one would measure first and decide afterwards.",
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a simulated model answers.

    Attributes:
        first_s: seconds to the first token, on average.
        token_s: seconds per token after it.
        tokens: length of an answer, on average.
    """

    first_s: float
    token_s: float
    tokens: int


MANNERS = {
    "small": Manner(0.18, 0.0006, 110),
    "medium": Manner(0.38, 0.0009, 320),
    "large": Manner(0.7, 0.0012, 560),
    "other": Manner(0.45, 0.0008, 280),
}


class Cloud:
    """Answers as the model that is asked for would, and fails as it is told to.

    Args:
        seed: same answers for the same order of requests.

    Attributes:
        base_url: of the API, ending in /v1.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
        self.base_url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`."""
        body: Json = await request.json()
        model = str(body.get("model", ""))
        fault = _fault(body)
        if fault == "outage" and model == "medium":
            return _refusal(503, "The simulated cloud is having a bad hour", "overloaded")
        if fault == "limited":
            return _refusal(
                429, "Simulated rate limit", "rate_limit_exceeded", {"retry-after": "1"}
            )
        if fault == "invalid":
            return _refusal(
                400, "The simulated cloud does not like this request", "invalid_request"
            )
        manner = MANNERS.get(model, MANNERS["medium"])
        wish = self._random.lognormvariate(0, 0.5)
        tokens = min(int(manner.tokens * wish) + 5, int(body.get("max_tokens") or 4096))
        await asyncio.sleep(manner.first_s * self._random.lognormvariate(0, 0.4))
        usage = _usage(body, tokens)
        if body.get("stream"):
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            with contextlib.suppress(ConnectionResetError):  # the client went away
                await response.prepare(request)
                await self._stream(request, response, model, manner, tokens, usage, fault)
            return response
        await asyncio.sleep(tokens * manner.token_s)
        message = {"role": "assistant", "content": self._text(tokens)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({**self._head(model), "choices": [choice], "usage": usage})

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        model: str,
        manner: Manner,
        tokens: int,
        usage: Json,
        fault: str | None,
    ) -> None:
        head = self._head(model) | {"object": "chat.completion.chunk"}
        words = self._text(tokens).split(" ")
        pieces = 12
        for index in range(pieces):
            part = " ".join(
                words[index * len(words) // pieces : (index + 1) * len(words) // pieces]
            )
            delta = {"index": 0, "delta": {"content": part + " "}, "finish_reason": None}
            await response.write(_event({**head, "choices": [delta]}))
            await asyncio.sleep(tokens * manner.token_s / pieces)
            if fault == "cut" and index == pieces // 2:
                assert request.transport is not None  # noqa: S101 - the response has begun
                request.transport.abort()
                return
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        await response.write(_event({**head, "choices": [end]}))
        await response.write(_event({**head, "choices": [], "usage": usage}))
        await response.write(b"data: [DONE]\n\n")

    def _head(self, model: str) -> Json:
        return {
            "id": f"chatcmpl-sim{self._random.getrandbits(64):016x}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": f"simulated-{model}",
        }

    def _text(self, tokens: int) -> str:
        text = " ".join(_SENTENCES)
        return (text + " ") * (tokens * _TOKEN_CHARS // len(text)) + text[: tokens * _TOKEN_CHARS]


@contextmanager
def simulated_cloud(seed: int) -> Iterator[Cloud]:
    """Runs the cloud on a free port, in a thread of its own."""
    cloud = Cloud(seed)
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", cloud.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        cloud.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="simulated-cloud", daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _fault(body: Json) -> str | None:
    """What the made-up client asks this cloud to do wrong: it travels in `user`."""
    user = str(body.get("user") or "")
    return user.removeprefix("fault:") if user.startswith("fault:") else None


def _usage(body: Json, output: int) -> Json:
    """Tokens by length; what earlier turns of a conversation held was read from the cache."""
    messages = body.get("messages") or []
    sizes = [len(str(message.get("content", ""))) // _TOKEN_CHARS + 4 for message in messages]
    cached = sum(sizes[:-1]) if len(sizes) > 2 else 0
    return {
        "prompt_tokens": sum(sizes),
        "completion_tokens": output,
        "total_tokens": sum(sizes) + output,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _refusal(
    status: int, message: str, code: str, headers: dict[str, str] | None = None
) -> web.Response:
    error = {"message": message, "type": code, "param": None, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _event(value: Json) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
