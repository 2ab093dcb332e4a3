"""What `HttpProvider` makes of what happens on the wire."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from mmrouter.errors import (
    BadUpstreamRequestError,
    ProviderConnectionError,
    ProviderError,
    ProviderProtocolError,
    ProviderServerError,
    ProviderTimeoutError,
)
from mmrouter.providers.base import Call, Finish
from mmrouter.providers.http import MAX_ANSWER_BYTES, HttpProvider, bearer
from mmrouter.types import Dialect, Target
from tests.contract.wire.scripted import LAST, Peer, Script, answering, leave, ok, serving
from tests.support.upstream import DONE, chunk

pytestmark = [
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
WORD = chunk({"content": "Paris"})


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(bearer, key=lambda _: "sk-secret")
    yield provider
    await provider.aclose()


def call(url: str, *, stream: bool = True, dialect: Dialect = Dialect.CHAT, **more: Any) -> Call:
    target = Target(
        name="a",
        provider="at-a",
        kind="openai",
        upstream="up-a",
        base_url=url,
        api_key_env=None,
        price=None,
        context_window=None,
        max_output=None,
        capabilities=None,
    )
    waits = {"timeout_s": 0.3, "stall_s": 0.2, **more}
    return Call(target=target, dialect=dialect, body={"messages": []}, stream=stream, **waits)


async def _abort(peer: Peer) -> None:
    peer.reset()


FAILURES: dict[str, tuple[Script, type[ProviderError], str]] = {
    "closed": (answering(b"", then=leave), ProviderConnectionError, "cannot be reached"),
    "reset": (answering(b"", then=_abort), ProviderConnectionError, "cannot be reached"),
    "half a header": (answering(b"HTTP/1.1 2", then=leave), ProviderConnectionError, "reached"),
    "silent": (answering(b"", then=Peer.until_gone), ProviderTimeoutError, r"within 0\.3 s"),
    "malformed": (answering(b"SSH-2.0\r\n\r\n"), ProviderProtocolError, "malformed"),
    "cut": (
        answering(EVENTS + b"\r\n" + chunked(WORD), then=leave),
        ProviderProtocolError,
        "cut its answer off",
    ),
    "stalled": (
        answering(EVENTS + b"\r\n" + chunked(WORD), then=Peer.until_gone),
        ProviderTimeoutError,
        r"for 0\.2 s|within 0\.3 s",
    ),
    "moved": (
        answering(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"),
        ProviderProtocolError,
        "answered 302",
    ),
    "busy": (
        answering(b"HTTP/1.1 503 Busy\r\ncontent-length: 9\r\n\r\nsk-secret"),
        ProviderServerError,
        r"answered 503: \[key\]",
    ),
    "error cut off": (
        answering(b"HTTP/1.1 503 Busy\r\ncontent-length: 9\r\n\r\nno", then=leave),
        ProviderProtocolError,
        "cut its answer off",
    ),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", FAILURES)
async def test_failures_leave_in_our_terms(provider: HttpProvider, name: str, stream: bool) -> None:
    script, kind, words = FAILURES[name]
    async with serving(script) as server:
        with pytest.raises(ProviderError, match=words) as caught:
            async for _ in provider.stream(call(server.url, stream=stream)):
                pass
        assert type(caught.value) is kind
        assert "sk-secret" not in f"{caught.value} {caught.value.body}"


async def test_an_answer_that_says_it_is_too_long_is_not_read(provider: HttpProvider) -> None:
    raw = f"HTTP/1.1 200 OK\r\ncontent-length: {MAX_ANSWER_BYTES + 1}\r\n\r\n".encode()
    async with serving(answering(raw, then=Peer.until_gone)) as server:
        with pytest.raises(ProviderProtocolError, match="longer than"):
            async for _ in provider.stream(call(server.url, stream=False)):
                pass
        await asyncio.wait_for(server.gone.wait(), 1)


async def test_a_key_that_cannot_be_sent_is_not_sent_and_not_shown() -> None:
    provider = HttpProvider(bearer, key=lambda _: "sk-1\r\nx-evil: 1")
    async with serving(answering(ok())) as server:
        with pytest.raises(BadUpstreamRequestError, match="'authorization'") as caught:
            async for _ in provider.stream(call(server.url)):
                pass
        assert "sk-1" not in str(caught.value)
        assert server.connections == 0
    await provider.aclose()


@pytest.mark.parametrize("url", ["nonsense", "http://"])
async def test_a_base_url_that_is_none_is_a_failure_of_that_provider(
    provider: HttpProvider, url: str
) -> None:
    with pytest.raises(ProviderError, match="URL"):
        async for _ in provider.stream(call(url)):
            pass


async def test_a_stream_is_over_with_its_last_event_and_its_connection_is_used_again(
    provider: HttpProvider,
) -> None:
    """The end of the HTTP message may come later: nobody waits for it."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(EVENTS + b"\r\n", chunked(WORD), chunked(DONE))
            await peer.server.signal.wait()
            await peer.send(LAST)

    async with serving(script) as server:
        for _ in range(3):
            pieces = [piece async for piece in provider.stream(call(server.url))]
            assert [piece.data for piece in pieces] == [WORD, DONE]
            server.signal.set()
            await asyncio.sleep(0.02)
            server.signal.clear()
        assert server.connections == 1


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_who_leaves_a_stream_hangs_up_at_once(provider: HttpProvider, how: str) -> None:
    script = answering(EVENTS + b"\r\n" + chunked(WORD), then=Peer.until_gone)
    async with serving(script) as server:
        begun = asyncio.Event()

        async def reading() -> None:
            async with aclosing(provider.stream(call(server.url, stall_s=9))) as pieces:
                async for piece in pieces:
                    assert piece.data == WORD
                    begun.set()
                    if how == "close":
                        return

        task = asyncio.create_task(reading())
        await begun.wait()
        if how == "cancel":
            await asyncio.sleep(0.01)
            task.cancel()
        await asyncio.wait_for(server.gone.wait(), 1)
        await asyncio.wait([task])


async def test_a_compressed_stream_is_read_as_it_comes(provider: HttpProvider) -> None:
    packed = gzip.compress(WORD + DONE)
    pieces = [chunked(packed[i : i + 5]) for i in range(0, len(packed), 5)]
    raw = EVENTS + b"content-encoding: gzip\r\n\r\n" + b"".join(pieces) + LAST
    async with serving(answering(raw)) as server:
        got = [piece async for piece in provider.stream(call(server.url))]
    assert b"".join(piece.data for piece in got) == WORD + DONE
    assert isinstance(got[-1], Finish)


async def test_tokens_are_counted_below_the_messages(provider: HttpProvider) -> None:
    async with serving(answering(ok(b'{"input_tokens": 7}'))) as server:
        messages, chat = (call(server.url, dialect=d) for d in (Dialect.MESSAGES, Dialect.CHAT))
        assert await provider.count_tokens(messages) == 7
        assert await provider.count_tokens(chat) is None
    (request,) = server.requests
    assert request.startswith(b"POST /v1/chat/messages/count_tokens HTTP/1.1\r\n")
