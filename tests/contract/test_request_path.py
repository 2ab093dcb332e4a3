"""The request path over real sockets: answers, failures, what the books say of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from mmrouter import AsyncRouter, Config, Router, errors
from mmrouter.errors import (
    BadUpstreamRequestError,
    MissingKeyError,
    ProviderConnectionError,
    ProviderError,
    ProviderProtocolError,
    ProviderServerError,
    ProviderTimeoutError,
    RateLimitedError,
)
from mmrouter.tracker.store import Filter, Store, open_store
from tests.support.configs import PRICE, config_for
from tests.support.upstream import (
    DONE,
    Upstream,
    chunk,
    completion,
    failing,
    send,
    stream_of,
    usage_chunk,
)


@pytest.fixture
def books(db: str) -> Iterator[Store]:
    store = open_store(db)
    yield store
    store.close()


def only(books: Store) -> dict[str, Any]:
    """The one request in the books, with its attempts."""
    (row,) = books.page(Filter())
    found = books.request(row["id"])
    assert found is not None
    return dict(found)


async def test_an_answer_comes_back_with_its_decision_and_its_price(
    upstream: Upstream, db: str, books: Store
) -> None:
    async with AsyncRouter(config_for({"a": upstream.base_url}), db=db) as router:
        result = await router.route("What is the capital of France?", temperature=0.5, seed=7)
    assert result.content == "Paris."
    assert (result.model, result.provider) == ("a", "at-a")
    assert (result.usage.input_tokens, result.usage.output_tokens) == (12, 3)
    assert result.cost_nanos == 12 * 1000 + 3 * 2000
    assert result.finish_reason == "stop"
    assert result.decision.reasons
    (seen,) = upstream.seen
    assert seen.body["model"] == "up-a"
    assert (seen.body["temperature"], seen.body["seed"]) == (0.5, 7)
    row = only(books)
    assert row["id"] == result.request_id
    assert row["cost_nanos"] == result.cost_nanos
    assert row["status"] == "ok"
    assert row["prompt"] is None, "prompts are stored only when config says so"
    assert row["prompt_hash"]


async def test_a_stream_yields_as_it_arrives_and_hides_the_usage_we_asked_for(
    upstream: Upstream, db: str, books: Store
) -> None:
    async with AsyncRouter(config_for({"a": upstream.base_url}), db=db) as router:
        stream = router.stream("hi")
        words = [text async for text in stream]
    assert "".join(words) == "Paris."
    assert stream.result is not None
    assert stream.result.usage.output_tokens == 3
    assert upstream.seen[0].body["stream_options"] == {"include_usage": True}
    assert only(books)["cost_nanos"] == 12 * 1000 + 3 * 2000


def test_sync_and_async_agree(upstream: Upstream, db: str) -> None:
    config = config_for({"a": upstream.base_url})
    with Router(config, db=db) as router:
        result = router.route("hi")
        stream = router.stream("hi")
        assert "".join(stream) == result.content == "Paris."
        assert stream.result is not None
        assert stream.result.cost_nanos == result.cost_nanos
        assert router.decide("hi") == result.decision


def test_leaving_a_sync_stream_early_cancels_the_call_and_prices_it(
    upstream: Upstream, db: str, books: Store
) -> None:
    async def endless(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await send(request, [chunk({"content": "word "})] * 10_000, pause_s=0.01)

    upstream.handler = endless
    with Router(config_for({"a": upstream.base_url}), db=db) as router:
        for _ in router.stream("hi"):
            break
    row = only(books)
    assert row["status"] == "cancelled"
    assert row["cost_nanos"] > 0
    assert upstream.gone == 1


FAILURES: dict[str, tuple[Any, type[ProviderError]]] = {
    "400": (failing(400), BadUpstreamRequestError),
    "429": (failing(429), RateLimitedError),
    "500": (failing(500), ProviderServerError),
    "503": (failing(503), ProviderServerError),
}


async def _reset(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _cut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"content-type": "text/event-stream" if body.get("stream") else "application/json"}
    )
    await response.prepare(request)
    if not body.get("stream"):
        await response.write(b'{"id": "chatcmpl-1", "choi')
    assert request.transport is not None
    request.transport.abort()
    return response


async def _html(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(text="<html>login</html>", content_type="text/html")


async def _malformed(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if body.get("stream"):
        return await send(request, [b"data: {not json}\n\n"])
    return web.Response(text="{not json}", content_type="application/json")


FAILURES |= {
    "reset": (_reset, ProviderError),
    "hang": (_hang, ProviderTimeoutError),
    "cut": (_cut, ProviderProtocolError),
    "wrong content type": (_html, ProviderProtocolError),
    "malformed": (_malformed, ProviderProtocolError),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_falls_back_while_nothing_has_been_sent(
    name: str, stream: bool, upstream: Upstream, second: Upstream, db: str, books: Store
) -> None:
    upstream.handler, kind = FAILURES[name]
    config = config_for(
        {"bad": upstream.base_url, "good": second.base_url},
        provider={"max_retries": 0, "timeout_ms": 300, "stall_timeout_ms": 300},
    )
    async with AsyncRouter(config, db=db) as router:
        if stream:
            answer = router.stream("hi")
            assert "".join([t async for t in answer]) == "Paris."
            result = answer.result
        else:
            result = await router.route("hi")
    assert result is not None
    assert (result.model, result.fallback_used) == ("good", True)
    assert [a.status.value for a in result.attempts] == ["failed", "ok"]
    error_class = result.attempts[0].error_class
    assert error_class is not None
    assert issubclass(getattr(errors, error_class), kind)
    assert only(books)["fallback_used"]


async def test_a_refused_connection_falls_back(second: Upstream, db: str) -> None:
    config = config_for({"dead": "http://127.0.0.1:9/v1", "good": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        result = await router.route("hi")
    assert result.model == "good"
    assert result.attempts[0].error_class == ProviderConnectionError.__name__
    assert result.attempts[0].cost_nanos == 0


async def test_after_the_first_byte_a_cut_stream_ends_with_an_error_not_a_fallback(
    upstream: Upstream, second: Upstream, db: str, books: Store
) -> None:
    async def cut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await send(request, [chunk({"content": "Par"})])

    upstream.handler = cut
    config = config_for({"bad": upstream.base_url, "good": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        got = ""
        with pytest.raises(ProviderProtocolError, match="cut its stream off"):
            async for text in router.stream("hi"):
                got += text
    assert got == "Par"
    assert not second.seen
    row = only(books)
    assert row["status"] == "failed"
    assert row["cost_nanos"] > 0, "what was generated is billed"


async def test_a_stall_after_the_first_byte_ends_within_the_stall_timeout(
    upstream: Upstream, db: str
) -> None:
    async def stall(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk({"content": "Par"}))
        await asyncio.Event().wait()
        return response

    upstream.handler = stall
    config = config_for({"a": upstream.base_url}, provider={"stall_timeout_ms": 200})
    async with AsyncRouter(config, db=db) as router:
        with pytest.raises(ProviderTimeoutError, match=r"nothing for 0\.2 s"):
            async for _ in router.stream("hi"):
                pass


async def test_a_retry_honours_retry_after_and_every_attempt_is_in_the_books(
    upstream: Upstream, db: str, books: Store
) -> None:
    limited = failing(429, headers={"retry-after": "0.01"})
    waiting = [limited, limited]

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if waiting:
            return await waiting.pop()(request, body)
        return web.json_response(completion())

    upstream.handler = handler
    config = config_for({"a": upstream.base_url}, provider={"max_retries": 2})
    async with AsyncRouter(config, db=db) as router:
        result = await router.route("hi")
    assert [a.status.value for a in result.attempts] == ["failed", "failed", "ok"]
    assert not result.fallback_used, "it was the same model"
    assert len(only(books)["attempts"]) == 3


async def test_when_all_fail_the_error_counts_the_attempts_and_the_books_have_them(
    upstream: Upstream, second: Upstream, db: str, books: Store
) -> None:
    upstream.handler, second.handler = failing(503), failing(500)
    config = config_for({"a": upstream.base_url, "b": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        with pytest.raises(ProviderServerError, match="at-a answered 503") as caught:
            await router.route("hi")
    assert caught.value.attempts == 2
    row = only(books)
    assert (row["status"], row["cost_nanos"]) == ("failed", 0)


async def test_a_dead_model_is_not_called_again_until_its_breaker_lets_it(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    upstream.handler = failing(500)
    config = config_for(
        {"bad": upstream.base_url, "good": second.base_url},
        provider={"max_retries": 0, "circuit_breaker_threshold": 3},
    )
    async with AsyncRouter(config, db=db) as router:
        for _ in range(10):
            assert (await router.route("hi")).model == "good"
    assert len(upstream.seen) == 3


async def test_a_cancelled_request_is_priced_and_recorded(
    upstream: Upstream, db: str, books: Store
) -> None:
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        loop.call_soon_threadsafe(arrived.set)
        return await _hang(request, body)

    upstream.handler = hang
    async with AsyncRouter(config_for({"a": upstream.base_url}), db=db) as router:
        task = asyncio.create_task(router.route("hi"))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    row = only(books)
    assert (row["status"], row["answered_model"]) == ("cancelled", "a")
    assert row["cost_nanos"] > 0, "the provider had the prompt"


async def test_cached_and_reasoning_tokens_have_their_own_rates(
    upstream: Upstream, db: str, books: Store
) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 900},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(completion(usage=usage))

    upstream.handler = handler
    price = {**PRICE, "cache_read": 0.1, "reasoning": 4.0}
    config = config_for({"a": upstream.base_url})
    models = {"a": {"provider": "at-a", "price": price}}
    config = Config.model_validate({**config.model_dump(), "models": models})
    async with AsyncRouter(config, db=db) as router:
        result = await router.route("hi")
    assert result.cost_nanos == 100 * 1000 + 900 * 100 + 10 * 2000 + 40 * 4000


async def test_a_missing_key_is_named_and_nothing_is_sent(
    upstream: Upstream, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    providers = {"at-a": {"base_url": upstream.base_url, "api_key_env": "CORP_KEY"}}
    config = Config.model_validate(
        {**config_for({"a": upstream.base_url}).model_dump(), "providers": providers}
    )
    async with AsyncRouter(config, db=db) as router:
        with pytest.raises(MissingKeyError, match="export CORP_KEY=your-key"):
            await router.route("hi")
        assert not upstream.seen
        monkeypatch.setenv("CORP_KEY", "sk-secret")
        await router.route("hi")
    assert upstream.seen[0].headers["Authorization"] == "Bearer sk-secret"


async def test_a_key_that_a_provider_echoes_reaches_neither_error_nor_books(
    upstream: Upstream, db: str, books: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORP_KEY", "sk-secret-123")
    upstream.handler = failing(401, "Incorrect API key provided: sk-secret-123")
    providers = {"at-a": {"base_url": upstream.base_url, "api_key_env": "CORP_KEY"}}
    config = Config.model_validate(
        {**config_for({"a": upstream.base_url}).model_dump(), "providers": providers}
    )
    async with AsyncRouter(config, db=db) as router:
        with pytest.raises(ProviderError) as caught:
            await router.route("hi")
    seen = f"{caught.value!r} {caught.value.body!r} {json.dumps(only(books), default=str)}"
    assert "sk-secret-123" not in seen
    assert "[key]" in seen


async def test_a_stream_of_odd_pieces_is_read_the_same(upstream: Upstream, db: str) -> None:
    """Events split anywhere, CRLF, comments, an end without [DONE]."""
    whole = b": ping\n\n" + b"".join(stream_of(["Par", "is", "."])).replace(DONE, b"")
    odd = whole.replace(b"\n", b"\r\n")

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await send(request, [odd[i : i + 7] for i in range(0, len(odd), 7)])

    upstream.handler = handler
    async with AsyncRouter(config_for({"a": upstream.base_url}), db=db) as router:
        stream = router.stream("hi")
        assert "".join([t async for t in stream]) == "Paris."
    assert stream.result is not None
    assert stream.result.usage.output_tokens == 3


async def test_a_stream_that_never_tells_its_usage_is_estimated(
    upstream: Upstream, db: str, books: Store
) -> None:
    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        events = [e for e in stream_of(["word "] * 50) if e != usage_chunk(output=50)]
        return await send(request, events)

    upstream.handler = handler
    async with AsyncRouter(config_for({"a": upstream.base_url}), db=db) as router:
        stream = router.stream("hi")
        async for _ in stream:
            pass
    assert stream.result is not None
    assert stream.result.usage.estimated
    assert 30 < stream.result.usage.output_tokens < 150


async def test_a_hundred_requests_at_once_all_have_their_rows(
    upstream: Upstream, db: str, books: Store
) -> None:
    async with AsyncRouter(config_for({"a": upstream.base_url}), db=db) as router:
        results = await asyncio.gather(*(router.route(f"question {n}") for n in range(100)))
    rows = books.page(Filter(), limit=200)
    assert {r["id"] for r in rows} == {r.request_id for r in results}
