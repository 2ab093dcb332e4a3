"""Providers that speak HTTP in a dialect of ours: bodies pass through as they came."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import orjson

from mmrouter import errors
from mmrouter.dialects import DIALECTS, Reader, exact
from mmrouter.dialects.base import count, mapping
from mmrouter.providers import failures
from mmrouter.providers.base import Answer, Call, Chunk, Finish, ProviderBase
from mmrouter.providers.cache_control import annotate
from mmrouter.providers.connection import Response
from mmrouter.providers.rate_limits import allowances
from mmrouter.providers.sse import EventTooLargeError, SseParser
from mmrouter.providers.wire import Client, Endpoint, UnsendableError
from mmrouter.providers.wire import endpoint as endpoint_of
from mmrouter.providers.wire_errors import (
    ClosedError,
    ConnectError,
    ProtocolError,
    TimedOutError,
    TruncatedError,
    WireError,
)
from mmrouter.types import Dialect, Target

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A whole answer longer than this is an error, not a reason to run out of memory."""

_MAX_REFUSAL_BYTES = 1024 * 1024
_MOST_ENDPOINTS = 256

_LINGER_S = 0.05
"""How long the end of a finished stream may take to come, for its connection to be used again."""

Auth = Callable[[str | None], Mapping[str, str]]


def bearer(key: str | None) -> Mapping[str, str]:
    """OpenAI's way to send a key."""
    return {"authorization": f"Bearer {key}"} if key else {}


def x_api_key(key: str | None) -> Mapping[str, str]:
    """Anthropic's way, with the API version that every call must name."""
    version = {"anthropic-version": "2023-06-01"}
    return {**version, "x-api-key": key} if key else version


class HttpProvider(ProviderBase):
    """Any upstream whose API is one of our dialects.

    Args:
        auth: turns the key into headers.
        key: finds the target's key; None needs none.
    """

    def __init__(self, auth: Auth, key: Callable[[Target], str | None] | None = None) -> None:
        self._key = key or key_of
        self._endpoint = lru_cache(_MOST_ENDPOINTS)(partial(_endpoint, auth))
        self._client = Client()

    async def stream(self, call: Call) -> Answer:
        who, key = call.target.provider, self._key(call.target)
        reader = DIALECTS[call.dialect].reader(call.body)
        clock = asyncio.get_running_loop().time
        began = clock()
        by, last = began + call.timeout_s, began + call.total_s
        with _InOurTerms(call) as terms, await self._post(call, key, by) as response:
            if not call.stream:
                raw = await _read(response, MAX_ANSWER_BYTES, by)
                yield _whole(raw, response, reader, who, key)
                return
            events = _Events(response, reader, who, key)
            while events.end is None:
                now = clock()
                if events.begun:
                    by = min(now + call.stall_s, last)
                    terms.silence_s, terms.total = call.stall_s, by == last
                if now >= by:
                    raise TimedOutError  # bytes come without end, but nothing in them
                chunk = events.feed(await response.read(by))
                if chunk is not None:
                    yield chunk
            if not (events.end or reader.finished):
                raise errors.ProviderProtocolError(f"{who} cut its stream off before the end")
            response.close(_LINGER_S)
            yield _finish(events.end, "", response, reader)

    async def count_tokens(self, call: Call) -> int | None:
        if call.dialect is not Dialect.MESSAGES:
            return None
        by = asyncio.get_running_loop().time() + call.timeout_s
        sent = self._post(call, self._key(call.target), by, "/count_tokens")
        with _InOurTerms(call), await sent as response:
            counted = mapping(orjson.loads(await _read(response, MAX_ANSWER_BYTES, by)))
            return count(counted.get("input_tokens"))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _post(self, call: Call, key: str | None, by: float, below: str = "") -> Response:
        """Sends the call; the answer, if its status is 200.

        Args:
            by: loop time until which the headers must be here.
            below: path under the dialect's own.
        """
        target, dialect = call.target, DIALECTS[call.dialect]
        endpoint = self._endpoint(f"{target.base_url}{dialect.path}{below}", key)
        sent = dialect.prepare(call.body, target.upstream, stream=call.stream)
        if target.prompt_caching and call.dialect is Dialect.MESSAGES:
            sent = annotate(sent)
        body = exact.dumps(sent)
        response = await self._client.post(endpoint, body, by, call.forward_headers)
        if response.status == 200:
            return response
        with response:
            raise failures.from_status(
                response.status,
                await _read(response, _MAX_REFUSAL_BYTES, by),
                response.headers,
                who=target.provider,
                secret=key,
            )


class _InOurTerms:
    """Whatever goes wrong inside leaves as a ProviderError.

    Attributes:
        silence_s: inside a stream, how long nothing may come; None before its first event.
        total: it is the request's time that a wait ends with.
    """

    def __init__(self, call: Call) -> None:
        self.silence_s: float | None = None
        self.total = False
        self._who = call.target.provider
        self._timeout_s = call.timeout_s

    def __enter__(self) -> _InOurTerms:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, WireError | ValueError):
            raise self._translated(error) from None

    def _translated(self, error: WireError | ValueError) -> errors.ProviderError:
        who = self._who
        match error:
            case TimedOutError() if self.total:
                return errors.TotalTimeoutError()
            case TimedOutError() if self.silence_s is not None:
                return errors.ProviderTimeoutError(f"{who} sent nothing for {self.silence_s:g} s")
            case TimedOutError():
                return errors.ProviderTimeoutError(
                    f"{who} gave no answer within {self._timeout_s:g} s"
                )
            case ConnectError() | ClosedError():
                return errors.ProviderConnectionError(f"{who} cannot be reached ({error})")
            case TruncatedError():
                return errors.ProviderProtocolError(f"{who} cut its answer off")
            case ProtocolError() | EventTooLargeError():
                return errors.ProviderProtocolError(f"{who} sent a malformed answer: {error}")
            case UnsendableError():
                return errors.BadUpstreamRequestError(f"{who} cannot be called: {error}")
        return errors.ProviderProtocolError(
            f"{who} sent a malformed answer ({type(error).__name__})"
        )


def key_of(target: Target) -> str | None:
    """The key from the environment.

    Raises:
        MissingKeyError: the target needs one and the variable is empty.
    """
    if target.api_key_env is None:
        return None
    key = os.environ.get(target.api_key_env, "").strip()
    if not key:
        raise errors.MissingKeyError(target.provider, target.api_key_env)
    return key


def _endpoint(auth: Auth, url: str, key: str | None) -> Endpoint:
    return endpoint_of(url, {"content-type": "application/json", **auth(key)})


async def _read(response: Response, most: int, by: float) -> bytes:
    if int(response.headers.get("content-length", "0")) > most:
        raise _too_long(most)
    parts, size = [], 0
    while part := await response.read(by):
        size += len(part)
        if size > most:
            raise _too_long(most)
        parts.append(part)
    return b"".join(parts)


def _too_long(most: int) -> errors.ProviderProtocolError:
    return errors.ProviderProtocolError(f"the answer is longer than {most} bytes")


def _whole(raw: bytes, response: Response, reader: Reader, who: str, key: str | None) -> Finish:
    answer = orjson.loads(raw)
    if not isinstance(answer, dict):
        raise errors.ProviderProtocolError(f"{who} answered no JSON object")
    if "error" in answer and answer["error"] and len(answer) <= 2:
        raise failures.from_event(answer, who=who, secret=key)
    return _finish(raw, reader.whole(answer).text, response, reader)


class _Events:
    """The pieces of a stream, from its bytes.

    Attributes:
        begun: the first event has come.
        end: once the stream is over the bytes of its end marker, empty where it has none.
    """

    def __init__(self, response: Response, reader: Reader, who: str, key: str | None) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            raise errors.ProviderProtocolError(
                f"{who} answered {kind or 'no content type'} where a stream was asked for"
            )
        self.begun = False
        self.end: bytes | None = None
        self._parser = SseParser()
        self._reader, self._who, self._key = reader, who, key

    def feed(self, received: bytes) -> Chunk | None:
        """What these bytes complete, if anything; no bytes are the end."""
        data, text, reader = bytearray(), "", self._reader
        for event in self._parser.feed(received) if received else self._parser.close():
            if not event.data:
                if self.begun:
                    data += event.raw  # a comment that keeps the connection alive
                continue
            self.begun = True
            fragment = reader.feed(event.data)
            if fragment.error is not None:
                raise failures.from_event(fragment.error, who=self._who, secret=self._key)
            text += fragment.text
            if fragment.last:
                self.end = event.raw
                break
            if not fragment.hidden:
                data += event.raw
        if not received and self.end is None:
            self.end = b""
        return Chunk(bytes(data), text, reader.usage) if data or text else None


def _finish(data: bytes, text: str, response: Response, reader: Reader) -> Finish:
    return Finish(
        data=data,
        text=text,
        usage=reader.usage,
        finish_reason=reader.finish_reason,
        upstream_id=reader.upstream_id,
        allowances=allowances(response.headers, time.time()),
    )
