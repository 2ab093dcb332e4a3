"""uvicorn's HTTP/1.1 protocol on httptools, with what it lacks: a limit on a request's head, an end
to patience with clients that stop in the middle of a request, and refusals in JSON."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together."""

ENDLESS = frozenset({"/dashboard/api/live"})
"""Paths whose answers go on until the client leaves."""


SILENCE_S = 30.0
"""Longest wait for a request to begin on a new connection, or to go on."""


class _HeadTooLongError(ValueError):
    """Ends the parsing."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _in_head = False
    _arrived = 0
    """Bytes that may belong to the head that is being read."""
    _too_long = False
    _patience: asyncio.TimerHandle | None = None
    """Runs while the client owes us something."""

    silence_s: ClassVar[float] = SILENCE_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._patience is not None:
            self._stop_waiting()
        self._arrived = self._arrived + len(data) if self._in_head else len(data)
        super().data_received(data)
        cycle = self.cycle
        if self._in_head or (cycle and cycle.more_body and not cycle.response_complete):
            self._wait_for_more()
        if self._in_head and self._arrived > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._too_long = True
            self.send_400_response("")

    def shutdown(self) -> None:
        """Ends streams that have no end of their own, so that nothing waits for them."""
        super().shutdown()
        if self.cycle is not None and self.scope["path"] in ENDLESS:
            self.transport.close()

    def _wait_for_more(self) -> None:
        self._patience = self.loop.call_later(self.silence_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._arrived > MAX_HEAD_BYTES:  # much came at once: how much of it was the head?
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                self._too_long = True
                raise _HeadTooLongError
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to what it cannot parse, as JSON."""
        status, message = 400, "This is not a valid HTTP request"
        if self._too_long:
            status, message = 431, f"The request's head is longer than {MAX_HEAD_BYTES} bytes"
        kind = {"type": "invalid_request_error", "param": None, "code": None}
        body = orjson.dumps({"error": {"message": message, **kind}})
        head = (
            STATUS_LINE[status],
            b"content-type: application/json\r\nconnection: close\r\n",
            b"content-length: %d\r\n\r\n" % len(body),
        )
        self.transport.write(b"".join((*head, body)))
        self.transport.close()
