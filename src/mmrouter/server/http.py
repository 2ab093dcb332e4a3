"""One HTTP request and the answer to it, over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from mmrouter.server.auth import ANYONE, Client

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENTS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the stream back
)

_WATCH_AFTER_S = 0.02
"""A client's going away is looked for after this: most answers are gone sooner, and a task for each
would cost more than their routing."""


class ClientGoneError(Exception):
    """The client closed its connection: there is nobody to answer."""


class Exchange:
    """What a handler works with.

    Attributes:
        id: the request's, "req_" and 32 hex digits.
        headers: lower-case names; the last of a repeated one.
        client: who asks; set once its key is checked.
        status: what was answered, or None so far.
        model: the model that answered, for the access log.
    """

    __slots__ = (
        "_send",
        "client",
        "complete",
        "headers",
        "id",
        "method",
        "model",
        "path",
        "receive",
        "scope",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, id: str) -> None:
        self.scope = scope
        self.receive = receive
        self.id = id
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.client: Client = ANYONE
        self.status: int | None = None
        self.model: str | None = None
        self.complete = False
        self._send = send

    async def start(self, status: int, headers: Headers) -> None:
        """Sends the head of a streamed answer."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        """Sends a piece of a streamed answer; returns when the client has kept up."""
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Sends the last piece of an answer."""
        self.complete = True
        await self._send({"type": "http.response.body", "body": data})

    async def answer(self, status: int, data: bytes, headers: Headers = (JSON,)) -> None:
        """Sends a whole answer."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(data))])
        await self.finish(data)

    async def answer_json(self, value: Any, status: int = 200, headers: Headers = ()) -> None:
        """Sends a value as JSON."""
        request_id = (b"x-mmrouter-request-id", self.id.encode())
        await self.answer(status, orjson.dumps(value), [JSON, request_id, *headers])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Cancels what runs inside when the client goes away, within 0.1 s.

        Raises:
            ClientGoneError: in place of the cancellation.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        gone = False
        watcher: asyncio.Task[None] | None = None

        async def watch() -> None:
            nonlocal gone
            while (await self.receive())["type"] != "http.disconnect":
                pass
            if task is not None and not self.complete:
                gone = True
                task.cancel()

        def begin() -> None:
            nonlocal watcher
            watcher = loop.create_task(watch())

        timer = loop.call_later(_WATCH_AFTER_S, begin)
        try:
            yield
        except asyncio.CancelledError:
            if gone and task is not None and task.uncancel() == 0:
                raise ClientGoneError from None
            raise
        finally:
            timer.cancel()
            if watcher is not None:
                watcher.cancel()
