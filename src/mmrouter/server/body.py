"""A request's body: read within limits, and JSON."""

from __future__ import annotations

from typing import Any

import orjson

from mmrouter.config.schema import ServerConfig
from mmrouter.dialects import exact
from mmrouter.errors import InvalidRequestError
from mmrouter.server.http import ClientGoneError, Exchange
from mmrouter.server.refusals import BodyTooLargeError, UnsupportedMediaError

_MOST_DISCARDED = 128 * 1024 * 1024
"""Bytes of a body too long that are still read, so that its sender gets to read the refusal."""


async def read_json(exchange: Exchange, limits: ServerConfig) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        InvalidRequestError, BodyTooLargeError, UnsupportedMediaError
    """
    _check_type(exchange)
    raw = await _read(exchange, limits.max_body_bytes)
    try:
        body = exact.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"The body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequestError("The body must be a JSON object")
    if deeper_than(limits.max_json_depth, body, raw):
        raise InvalidRequestError(f"The JSON is nested deeper than {limits.max_json_depth} levels")
    return body


def deeper_than(most: int, body: Any, raw: bytes) -> bool:
    """The JSON has more than `most` levels. `raw` is its text."""
    if raw.count(b"{") + raw.count(b"[") <= most:
        return False  # too few brackets to be deep: no need to look
    level = [body]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _check_type(exchange: Exchange) -> None:
    kind = exchange.headers.get(b"content-type", b"application/json")
    if kind != b"application/json":
        media = kind.partition(b";")[0].strip().lower()
        if media != b"application/json" and not media.endswith(b"+json"):
            raise UnsupportedMediaError(
                "Send the body as JSON, with Content-Type: application/json"
            )
    coding = exchange.headers.get(b"content-encoding", b"identity")
    if coding.strip().lower() != b"identity":
        raise UnsupportedMediaError("Send the body without Content-Encoding")


async def _read(exchange: Exchange, most: int) -> bytes:
    length = exchange.headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > most:
        if b"expect" not in exchange.headers:  # who asked first has not begun to send
            await _discard(exchange)
        raise _too_large(most)
    data, more = await _next(exchange)
    parts = bytearray()
    while more or len(data) > most:
        parts += data
        if len(parts) > most:
            parts.clear()
            await _discard(exchange, more)
            raise _too_large(most)
        data, more = await _next(exchange)
    return bytes(parts + data) if parts else data


async def _next(exchange: Exchange) -> tuple[bytes, bool]:
    """The next piece, and whether more follow. `Protocol` hangs up on who sends none."""
    message = await exchange.receive()
    if message["type"] != "http.request":
        raise ClientGoneError
    return message["body"], message["more_body"]


async def _discard(exchange: Exchange, more: bool = True) -> None:
    """Reads on without keeping anything: a client that is still sending would not read."""
    size = 0
    while more and size < _MOST_DISCARDED:
        data, more = await _next(exchange)
        size += len(data)


def _too_large(most: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is longer than {most} bytes (server.max_body_bytes)")
