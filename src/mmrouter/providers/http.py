"""Providers that speak HTTP in a dialect of ours: bodies pass through as they came."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import orjson

from mmrouter import errors
from mmrouter.dialects import DIALECTS, Reader
from mmrouter.dialects.base import count, mapping
from mmrouter.providers import failures
from mmrouter.providers.base import Answer, Call, Chunk, Finish, ProviderBase
from mmrouter.providers.cache_control import annotate
from mmrouter.providers.sse import EventTooLargeError, SseParser
from mmrouter.types import Dialect, Target

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A whole answer longer than this is an error, not a reason to run out of memory."""

_DRAIN_S = 0.005
"""How long the end of a finished stream is awaited so that its connection can be used again."""

_RATE_LIMIT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")

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
        self._auth = auth
        self._key = key or key_of
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, call: Call) -> Answer:
        reader = DIALECTS[call.dialect].reader(call.body)
        async with self._post(call) as response:
            key = self._key(call.target)
            if call.stream:
                async for piece in _events(response, reader, call, key):
                    yield piece
            else:
                yield await _whole(response, reader, call, key)

    async def count_tokens(self, call: Call) -> int | None:
        if call.dialect is not Dialect.MESSAGES:
            return None
        async with self._post(call, "/count_tokens") as response:
            counted = mapping(orjson.loads(await _read(response, MAX_ANSWER_BYTES)))
            return count(counted.get("input_tokens"))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _post(
        self, call: Call, below: str = ""
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """Sends the call; every failure of transport leaves as a ProviderError.

        Args:
            below: path under the dialect's own.
        """
        target = call.target
        key = self._key(target)
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            **call.forward_headers,
            **self._auth(key),
        }
        dialect = DIALECTS[call.dialect]
        sent = dialect.prepare(call.body, target.upstream, stream=call.stream)
        if target.prompt_caching and call.dialect is Dialect.MESSAGES:
            sent = annotate(sent)
        try:
            async with (
                asyncio.timeout(call.timeout_s) as deadline,
                self._client().post(
                    f"{target.base_url}{dialect.path}{below}",
                    data=orjson.dumps(sent, option=orjson.OPT_NON_STR_KEYS),
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(sock_read=None),
                ) as response,
            ):
                if response.status != 200:
                    raise await _refusal(response, target, key)
                if call.stream:
                    deadline.reschedule(None)
                yield response
        except TimeoutError:
            raise errors.ProviderTimeoutError(
                f"{target.provider} gave no answer within {call.timeout_s:g} s"
            ) from None
        except aiohttp.ClientPayloadError:
            raise errors.ProviderProtocolError(f"{target.provider} cut its answer off") from None
        except (aiohttp.ClientConnectionError, ConnectionError, OSError) as error:
            raise errors.ProviderConnectionError(
                f"{target.provider} cannot be reached ({type(error).__name__})"
            ) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise errors.ProviderProtocolError(
                f"{target.provider} sent a malformed answer ({type(error).__name__})"
            ) from None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                auto_decompress=True,
                skip_auto_headers=("user-agent",),
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=2**18,
                max_line_size=2**16,
                max_field_size=2**16,
            )
        return self._session


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


async def _refusal(
    response: aiohttp.ClientResponse, target: Target, key: str | None
) -> errors.ProviderError:
    return failures.from_status(
        response.status,
        await _read(response, 1024 * 1024),
        response.headers,
        who=target.provider,
        secret=key,
    )


async def _whole(
    response: aiohttp.ClientResponse, reader: Reader, call: Call, key: str | None
) -> Finish:
    raw = await _read(response, MAX_ANSWER_BYTES)
    answer = orjson.loads(raw)
    if not isinstance(answer, dict):
        raise errors.ProviderProtocolError(f"{call.target.provider} answered no JSON object")
    if "error" in answer and answer["error"] and len(answer) <= 2:
        raise failures.from_event(answer, who=call.target.provider, secret=key)
    fragment = reader.whole(answer)
    return Finish(
        data=raw,
        text=fragment.text,
        usage=reader.usage,
        finish_reason=reader.finish_reason,
        upstream_id=reader.upstream_id,
        rate_limits=_rate_limits(response),
    )


async def _events(
    response: aiohttp.ClientResponse, reader: Reader, call: Call, key: str | None
) -> AsyncGenerator[Chunk | Finish, None]:
    who = call.target.provider
    if response.content_type != "text/event-stream":
        raise errors.ProviderProtocolError(
            f"{who} answered {response.content_type} where a stream was asked for"
        )
    parser = SseParser()
    begun, received = False, b"open"
    try:
        while received:
            received = await _next(response, call.stall_s if begun else call.timeout_s, who)
            data, text, end = bytearray(), "", None
            for event in parser.feed(received) if received else parser.close():
                if not event.data:
                    if begun:
                        data += event.raw  # a comment that keeps the connection alive
                    continue
                begun = True
                fragment = reader.feed(event.data)
                if fragment.error is not None:
                    raise failures.from_event(fragment.error, who=who, secret=key)
                text += fragment.text
                if fragment.last:
                    end = event.raw
                    break
                if not fragment.hidden:
                    data += event.raw
            if data or text:
                yield Chunk(bytes(data), text, reader.usage)
            if end is not None:
                await _drain(response)
                yield _finish(end, reader, response)
                return
    except EventTooLargeError as error:
        raise errors.ProviderProtocolError(f"{who}: {error}") from None
    if not reader.finished:
        raise errors.ProviderProtocolError(f"{who} cut its stream off before the end")
    yield _finish(b"", reader, response)


def _finish(data: bytes, reader: Reader, response: aiohttp.ClientResponse) -> Finish:
    return Finish(
        data=data,
        usage=reader.usage,
        finish_reason=reader.finish_reason,
        upstream_id=reader.upstream_id,
        rate_limits=_rate_limits(response),
    )


async def _next(response: aiohttp.ClientResponse, wait: float, who: str) -> bytes:
    """The next bytes of a stream; empty at its end."""
    try:
        async with asyncio.timeout(wait):
            return await response.content.readany()
    except TimeoutError:
        raise errors.ProviderTimeoutError(f"{who} sent nothing for {wait:g} s") from None


async def _drain(response: aiohttp.ClientResponse) -> None:
    if not response.content.at_eof():
        try:
            async with asyncio.timeout(_DRAIN_S):
                await response.content.readany()
        except (TimeoutError, aiohttp.ClientError):
            response.close()  # what follows the end is of no interest, and the answer is whole


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    if (response.content_length or 0) > most:
        raise _too_long(most)
    first = await response.content.readany()
    if response.content.at_eof():
        return first
    parts, size = [first], len(first)
    while part := await response.content.readany():
        size += len(part)
        if size > most:
            raise _too_long(most)
        parts.append(part)
    return b"".join(parts)


def _too_long(most: int) -> errors.ProviderProtocolError:
    return errors.ProviderProtocolError(f"the answer is longer than {most} bytes")


def _rate_limits(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in response.headers.items()
        if name.lower().startswith(_RATE_LIMIT_PREFIXES)
    }
