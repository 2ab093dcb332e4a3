"""An upstream that misbehaves as each request asks: `metadata.fault`, or the prompt, names how."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.support import anthropic_answers, openai_answers
from tests.support.openai_answers import Json
from tests.support.upstream import DONE

HUGE_EVENT = 17 * 1024 * 1024
HUGE_ANSWER = 65 * 1024 * 1024


def good(path: str) -> tuple[bytes, list[bytes]]:
    """The answer of a healthy upstream: whole, and as events."""
    if path.endswith("/messages"):
        case = anthropic_answers.MESSAGES[0]
    elif path.endswith("/responses"):
        case = openai_answers.RESPONSES[0]
    else:
        case = openai_answers.CHAT[0]
    events = []
    for event in case.events or ():
        name = f"event: {event['type']}\n" if "type" in event else ""
        events.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    end = [DONE] if case in openai_answers.CHAT else []
    return json.dumps(case.answer).encode(), [*events, *end]


def opening(path: str) -> list[bytes]:
    """The events of a good answer up to its first words."""
    _, events = good(path)
    return events[: 5 if path.endswith("/responses") else 3]


async def healthy(request: web.Request, body: Json) -> web.StreamResponse:
    """Always answers well."""
    whole, events = good(request.path)
    if not body.get("stream"):
        return web.Response(body=whole, content_type="application/json")
    response = await _begin(request, body)
    await response.write(b"".join(events))
    return response


async def faulty(request: web.Request, body: Json) -> web.StreamResponse:
    """Fails in the way that the request asks for, by its metadata or as its prompt."""
    fault = (body.get("metadata") or {}).get("fault") or body["messages"][-1]["content"]
    return await FAULTS[fault](request, body)


Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


async def _begin(
    request: web.Request, body: Json, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    kind = "text/event-stream" if body.get("stream") else "application/json"
    response = web.StreamResponse(headers={"content-type": kind, **(headers or {})})
    await response.prepare(request)
    return response


async def _begin_well(request: web.Request, body: Json) -> web.StreamResponse:
    """The first half of a good answer."""
    whole, _ = good(request.path)
    response = await _begin(request, body)
    half = b"".join(opening(request.path)) if body.get("stream") else whole[: len(whole) // 2]
    await response.write(half)
    await asyncio.sleep(0.1)  # so that it has gone to the client before the fault comes
    return response


def _abort(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def _forever() -> None:
    await asyncio.Event().wait()


def _refusing(status: int, headers: dict[str, str] | None = None) -> Handler:
    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        # some providers quote the key that they refuse
        given = request.headers.get("authorization") or request.headers.get("x-api-key")
        error: Json = {"message": f"upstream says no to {given}", "type": "upstream_type"}
        if request.path.endswith("/messages"):
            error = {"type": "error", "error": {**error, "type": "api_error"}}
        else:
            error = {"error": {**error, "code": "upstream_code", "param": None}}
        return web.json_response(error, status=status, headers=headers)

    return handler


async def _slow(request: web.Request, body: Json) -> web.StreamResponse:
    whole, events = good(request.path)
    await asyncio.sleep(0.2)
    response = await _begin(request, body)
    pieces = events if body.get("stream") else [whole[:9], whole[9:99], whole[99:]]
    for piece in pieces:
        await response.write(piece)
        await asyncio.sleep(0.05)
    return response


async def _hang(request: web.Request, body: Json) -> web.StreamResponse:
    await _forever()
    raise AssertionError


async def _hang_after_head(request: web.Request, body: Json) -> web.StreamResponse:
    response = await _begin(request, body)
    await _forever()
    return response


async def _reset(request: web.Request, body: Json) -> web.StreamResponse:
    _abort(request)
    return web.Response()


async def _reset_inside(request: web.Request, body: Json) -> web.StreamResponse:
    response = await _begin_well(request, body)
    _abort(request)
    return response


async def _cut_before_first(request: web.Request, body: Json) -> web.StreamResponse:
    return await _begin(request, body)


async def _cut_before_words(request: web.Request, body: Json) -> web.StreamResponse:
    whole, events = good(request.path)
    response = await _begin(request, body)
    await response.write(events[0] if body.get("stream") else whole[:9])
    await asyncio.sleep(0.1)
    return response


async def _cut(request: web.Request, body: Json) -> web.StreamResponse:
    return await _begin_well(request, body)


async def _short(request: web.Request, body: Json) -> web.StreamResponse:
    whole, events = good(request.path)
    data = b"".join(events) if body.get("stream") else whole
    response = await _begin(request, body, {"content-length": str(len(data))})
    await response.write(b"".join(opening(request.path)) if body.get("stream") else data[:99])
    await asyncio.sleep(0.1)
    _abort(request)
    return response


async def _stall(request: web.Request, body: Json) -> web.StreamResponse:
    response = await _begin_well(request, body)
    await _forever()
    return response


async def _malformed_first(request: web.Request, body: Json) -> web.StreamResponse:
    response = await _begin(request, body)
    await response.write(b"data: {not json}\n\n" if body.get("stream") else b"{not json}")
    return response


async def _malformed(request: web.Request, body: Json) -> web.StreamResponse:
    response = await _begin_well(request, body)
    await response.write(b'data: {"a": "\xff\xfe"}\n\n')
    return response


async def _html(request: web.Request, body: Json) -> web.StreamResponse:
    return web.Response(text="<html>Please log in</html>", content_type="text/html")


async def _huge(request: web.Request, body: Json) -> web.StreamResponse:
    if not body.get("stream"):
        response = await _begin(request, body, {"content-length": str(HUGE_ANSWER)})
        await response.write(b'{"x": "')
        return response
    response = await _begin_well(request, body)
    return await write_huge(response, HUGE_EVENT)


async def write_huge(response: web.StreamResponse, size: int) -> web.StreamResponse:
    """One event, or whole answer, of more than `size` bytes."""
    await response.write(b'data: {"x": "')
    for _ in range(0, size, 1024 * 1024):
        await response.write(b"x" * 1024 * 1024)
    return response


async def _endless(request: web.Request, body: Json) -> web.StreamResponse:
    response = await _begin(request, body)
    _, events = good(request.path)
    filler = events[-3] if "chat" in request.path else opening(request.path)[-1]
    for event in opening(request.path) if body.get("stream") else ():
        await response.write(event)
    while True:
        await response.write(filler if body.get("stream") else b" ")
        await asyncio.sleep(0.02)


async def _comments(request: web.Request, body: Json) -> web.StreamResponse:
    response = await _begin(request, body)
    while True:
        await response.write(b": still working\n\n" if body.get("stream") else b"\n")
        await asyncio.sleep(0.02)


async def _error_inside(request: web.Request, body: Json) -> web.StreamResponse:
    error: Json = {"type": "overloaded_error", "message": "Overloaded", "code": "overloaded"}
    wrapped: Json = {"error": error}
    if request.path.endswith("/messages"):
        wrapped = {"type": "error", "error": error}
    if not body.get("stream"):
        return web.json_response(wrapped)
    if request.path.endswith("/responses"):
        wrapped = {**error, "type": "error", "param": None}
    response = await _begin_well(request, body)
    await response.write(b"event: error\ndata: " + json.dumps(wrapped).encode() + b"\n\n")
    return response


async def _redirect(request: web.Request, body: Json) -> web.StreamResponse:
    return web.Response(status=307, headers={"location": str(request.url)})


FAULTS: dict[str, Handler] = {
    "400": _refusing(400),
    "401, quoting the key": _refusing(401),
    "404": _refusing(404),
    "429": _refusing(429),
    "429 with Retry-After": _refusing(429, {"retry-after": "7"}),
    "500": _refusing(500),
    "503": _refusing(503),
    "redirect": _redirect,
    "slow": _slow,
    "hang": _hang,
    "hang after the head": _hang_after_head,
    "reset": _reset,
    "reset inside the body": _reset_inside,
    "fewer bytes than promised": _short,
    "cut before the first event": _cut_before_first,
    "cut before the first word": _cut_before_words,
    "cut inside": _cut,
    "stall inside": _stall,
    "malformed from the start": _malformed_first,
    "malformed inside": _malformed,
    "wrong content type": _html,
    "huge": _huge,
    "never-ending": _endless,
    "comments without end": _comments,
    "error reported inside": _error_inside,
}
