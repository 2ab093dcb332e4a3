"""One HTTP/1.1 connection: a request goes out whole, its answer comes back piece by piece.

httptools (llhttp) parses the bytes; this file decides when a task wakes, when reading pauses, what
is too much, and whether the connection may carry another request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from math import inf
from typing import cast

from httptools import HttpParserError, HttpResponseParser

from mmrouter.providers.content_coding import Inflater
from mmrouter.providers.wire_errors import (
    ClosedError,
    ProtocolError,
    TimedOutError,
    TruncatedError,
    WireError,
)

MAX_HEAD_BYTES = 128 * 1024
"""Most bytes of all headers, and most that may arrive in a row without bringing any body."""

MAX_HEADER_BYTES = 64 * 1024
"""Most bytes of one header, its name included."""

HIGH_WATER_BYTES = 256 * 1024
"""The socket is not read while this much of a body waits for its reader."""

IDLE_S = 15.0
"""How long an unused connection is kept: less than what common servers and balancers allow."""

_KEEP_ALIVE = re.compile(r"\btimeout=(\d{1,6})\b", re.I)
_BODYLESS = (204, 304)


class Connection(asyncio.Protocol):
    """A transport that carries one exchange at a time.

    One timer serves for all waits: it is never moved to a later instant, but looks when it rings
    how long there still is to wait.

    Args:
        released: called when the connection may carry another request.
        lost: called once its socket is gone.

    Attributes:
        closed: done once the socket is gone.
    """

    def __init__(
        self, released: Callable[[Connection], None], lost: Callable[[Connection], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._released = released
        self._lost = lost
        self.closed = self._loop.create_future()
        self._response: Response | None = None
        self._paused = False
        self._due = self._rings = inf
        self._timer: asyncio.TimerHandle | None = None

    async def post(self, request: bytes, by: float) -> Response:
        """Sends a request; its answer as soon as the headers are here.

        Args:
            by: loop time until which the headers must be here.

        Raises:
            ClosedError, ProtocolError, TimedOutError
        """
        if self.closed.done():
            raise ClosedError(begun=False)
        response = self._response = Response(self)
        self._transport.write(request)
        try:
            await response.arrive(by)
        except BaseException:
            response.close()
            raise
        return response

    def usable(self) -> bool:
        """Idle, open, and not kept for too long."""
        return not self._transport.is_closing() and self._loop.time() < self._due

    def abort(self) -> None:
        """Closes the socket now. A graceful end of TLS would wait for the other side."""
        self._transport.abort()

    def watch(self, due: float) -> None:
        """At this loop time whoever waits is told, and the connection closed; `inf` is never."""
        self._due = due
        if due < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._rings = due
            self._timer = self._loop.call_at(due, self._ring)

    def pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def release(self, idle_s: float) -> None:
        """The exchange is over: keeps the connection for so long, unless something is left over."""
        self._response = None
        unsent = self._transport.get_write_buffer_size()
        if idle_s <= 0 or unsent or self._transport.is_closing():
            self.abort()
            return
        self.watch(self._loop.time() + idle_s)
        self._released(self)

    def linger(self, most_s: float) -> None:
        """The rest of an answer that nobody reads may come for so long."""
        self.resume()
        self.watch(self._loop.time() + most_s)

    def _ring(self) -> None:
        self._timer, self._rings = None, inf
        if self._due > self._loop.time() + 0.001:  # uvloop counts in milliseconds
            if self._due < inf:
                self.watch(self._due)
        elif self._response is not None:
            self._response.fail(TimedOutError("nothing came in time"))
        else:
            self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own class

    def data_received(self, data: bytes) -> None:
        if self._response is None:
            self.abort()  # nobody asked: what follows could be taken for the next answer
        else:
            self._response.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._response is not None:
            self._response.end(cleanly=exc is None)
        self.closed.set_result(None)
        self._lost(self)


class Response:
    """An answer: status and headers at once, the body as it arrives.

    Its `on_...` methods are httptools' to call.

    Attributes:
        status: 200 and above; interim answers (1xx) are skipped.
        headers: names in lower case; values of a repeated name are joined by a comma.
    """

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._connection = connection
        parser = HttpResponseParser(self)
        # bare LFs and a space after a chunk's size are widespread, and harm nobody in an answer
        parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parser: HttpResponseParser | None = parser
        self._waiter: asyncio.Future[None] | None = None
        self._error: WireError | None = None
        self._parts: list[bytes] = []
        self._unread = 0  # bytes in parts
        self._barren = 0  # bytes in a row that brought no body
        self._head_bytes = 0
        self._begun = self._interim = self._until_close = self._complete = self._closed = False
        self._idle_s = 0.0  # how long the connection may be kept after this answer
        self._inflater: Inflater | None = None

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def arrive(self, by: float) -> None:
        """Waits for the headers."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait(by)

    async def read(self, by: float) -> bytes:
        """The next bytes of the body; empty at its end.

        Args:
            by: loop time until which something must have come.

        Raises:
            TruncatedError, ProtocolError, TimedOutError
        """
        inflater = self._inflater
        while True:
            if self._parts or (inflater is not None and inflater.pending):
                part = self._taken() if inflater is None else self._unfolded(inflater)
                if part:
                    return part
            elif self._error is not None:
                raise self._error
            elif not self._complete:
                await self._wait(by)
            elif inflater is None or inflater.finished:
                return b""
            else:
                self._idle_s = 0
                raise TruncatedError("the compressed body is cut off")

    def close(self, linger_s: float = 0.0) -> None:
        """Ends the exchange. Only an answer that came whole leaves a connection to use again.

        Args:
            linger_s: how long the rest of the body may still come, unread, to that end.
        """
        if self._closed or self._error is not None:
            return
        self._closed = True
        if self._complete:
            self._connection.release(self._idle_s)
        elif linger_s:
            self._taken()
            self._connection.linger(linger_s)
        else:
            self._connection.abort()

    def feed(self, data: bytes) -> None:
        """Bytes from the socket."""
        self._begun = True
        if self._parser is None:
            self._idle_s = 0  # more than the answer came
            return
        self._barren += len(data)  # until `on_body` says otherwise
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self._complete:
                own = error.__context__
                self.fail(own if isinstance(own, WireError) else ProtocolError(str(error)))
                return
            self._idle_s = 0
        if self._complete:
            self._finish()
        elif self._barren > MAX_HEAD_BYTES:
            self.fail(ProtocolError(f"more than {MAX_HEAD_BYTES} bytes without any of the body"))
        elif self._unread > HIGH_WATER_BYTES:
            self._connection.pause()
        self._wake()

    def end(self, *, cleanly: bool) -> None:
        """The connection was lost."""
        if self._complete:
            self._idle_s = 0
        elif self._until_close and cleanly:
            self._complete = True
            self._finish()
            self._wake()
        elif self.status:
            self.fail(TruncatedError("the connection was closed within the body"))
        else:
            self.fail(ClosedError(begun=self._begun))

    def fail(self, error: WireError) -> None:
        """Nothing more will come; what came can still be read."""
        if self._error is None and not self._complete:
            self._error, self._parser = error, None
            self._connection.abort()
            self._wake()

    def on_message_begin(self) -> None:
        if self._complete:
            raise ProtocolError("another answer follows, which nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # a trailer
        size = len(name) + len(value)
        self._head_bytes += size
        if size > MAX_HEADER_BYTES or self._head_bytes > MAX_HEAD_BYTES:
            raise ProtocolError(f"headers of more than {self._head_bytes - 1} bytes")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self.headers.get(key)
        self.headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        parser, headers = cast(HttpResponseParser, self._parser), self.headers
        status = parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise ProtocolError(f"status {status} was not to be expected")
            self._interim = True
            headers.clear()
            return
        chunked = headers.get("transfer-encoding")
        if chunked is not None and chunked.strip().lower() != "chunked":
            raise ProtocolError("a transfer encoding other than chunked")
        sized = chunked is not None or "content-length" in headers or status in _BODYLESS
        self._until_close = not sized
        if sized and parser.should_keep_alive():
            allowed = _KEEP_ALIVE.search(headers.get("keep-alive", ""))
            # a second less than it says, for the request's way there
            self._idle_s = min(IDLE_S, float(allowed[1]) - 1) if allowed else IDLE_S
        coding = headers.get("content-encoding", "identity")
        if coding.strip().lower() != "identity":
            self._inflater = Inflater(coding)
        self.status = status

    def on_body(self, body: bytes) -> None:
        self._barren = 0
        if not self._closed:
            self._parts.append(body)
            self._unread += len(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._complete = True

    def _finish(self) -> None:
        self._parser = None  # it holds bound methods: without this every answer were garbage
        if self._closed:
            self._connection.release(self._idle_s)

    def _taken(self) -> bytes:
        """All that waits to be read."""
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._unread = 0
        self._connection.resume()
        return data

    def _unfolded(self, inflater: Inflater) -> bytes:
        try:
            return inflater.feed(b"" if inflater.pending else self._taken())
        except ProtocolError:
            self._idle_s = 0  # whoever sends such a body may be wrong about its length too
            raise

    async def _wait(self, by: float) -> None:
        self._connection.watch(by)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._connection.watch(inf)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
