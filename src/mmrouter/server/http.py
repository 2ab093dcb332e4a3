"""One HTTP request and the answer to it, over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any

import orjson

from mmrouter.server.auth import NOBODY, Client

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
        self.client: Client = NOBODY
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

    def watched(self) -> Watch:
        """While inside of it, the client's going away cancels the current task within 0.1 s, and
        shows as ClientGoneError."""
        return Watch(self)


class Watch:
    """See `Exchange.watched`."""

    __slots__ = ("_exchange", "_gone", "_loop", "_task", "_timer", "_watcher")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self._loop)
        self._timer = self._loop.call_later(_WATCH_AFTER_S, self._begin)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        ours = self._gone and kind is asyncio.CancelledError
        if ours and self._task is not None and self._task.uncancel() == 0:
            raise ClientGoneError from None  # else somebody beside us wants an end too

    def _begin(self) -> None:
        self._watcher = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        if self._task is not None and not self._exchange.complete:
            self._gone = True
            self._task.cancel()
