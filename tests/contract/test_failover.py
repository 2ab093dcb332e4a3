"""Who is asked next, and who is passed over, over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from mmrouter import AsyncRouter, errors
from mmrouter.tracker.store import Filter, open_store
from tests.support.configs import PRICE, config_for
from tests.support.upstream import (
    DONE,
    Upstream,
    chunk,
    completion,
    failing,
    running,
    send,
    stream_of,
)

OVERFLOW = failing(400, "This model's maximum context length is 8192 tokens.")
REFUSED = failing(400, "The response was filtered (content_filter)")


@pytest.fixture
def third() -> Iterator[Upstream]:
    """One more."""
    with running() as up:
        yield up


def with_windows(config: dict[str, Any], **windows: int) -> dict[str, Any]:
    """`models` of a config, with these context windows."""
    rows = {
        name: {"provider": f"at-{name}", "upstream": f"up-{name}", "price": PRICE}
        for name in config
    }
    for name, window in windows.items():
        rows[name]["context_window"] = window
    return {"models": rows}


async def answer_of(router: AsyncRouter, *, stream: bool) -> Any:
    """The result, streamed or not."""
    if not stream:
        return await router.route("hi")
    answer = router.stream("hi")
    async for _ in answer:
        pass
    return answer.result


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overflow_goes_on_to_a_larger_window_only(
    upstream: Upstream, second: Upstream, third: Upstream, db: str, stream: bool
) -> None:
    upstream.handler = OVERFLOW
    urls = {"a": upstream.base_url, "b": second.base_url, "c": third.base_url}
    config = config_for(urls, **with_windows(urls, a=8192, b=8192, c=100_000))
    async with AsyncRouter(config, db=db) as router:
        result = await answer_of(router, stream=stream)
    assert result.model == "c"
    assert second.seen == []


async def test_an_overflow_may_leave_the_route_for_a_model_that_can(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    upstream.handler = OVERFLOW
    urls = {"a": upstream.base_url, "b": second.base_url}
    plain = config_for(urls, **with_windows(urls, a=8192, b=100_000)).model_dump(mode="json")
    for category in plain["routes"]["simple"].values():
        category["fallbacks"] = []
    config = type(config_for(urls)).model_validate(plain)
    async with AsyncRouter(config, db=db) as router:
        result = await router.route("What is 2+2?")
        assert (result.model, result.fallback_used) == ("b", True)
        with pytest.raises(errors.ContextLengthError):
            await router.route_messages([{"role": "user", "content": "hi"}], model="a")


async def test_an_overflow_ends_the_request_where_config_says_so(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    upstream.handler = OVERFLOW
    config = config_for(
        {"a": upstream.base_url, "b": second.base_url}, provider={"on_context_overflow": "fail"}
    )
    async with AsyncRouter(config, db=db) as router:
        with pytest.raises(errors.ContextLengthError):
            await router.route("hi")
    assert second.seen == []


async def _filtered(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A provider's filter stops the answer before a word of it."""
    if not body.get("stream"):
        answer = completion("")
        answer["choices"][0]["finish_reason"] = "content_filter"
        return web.json_response(answer)
    opening = chunk({"role": "assistant", "content": ""})
    return await send(request, [opening, chunk({}, "content_filter"), DONE], pause_s=0.01)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("handler", [REFUSED, _filtered], ids=["400", "200"])
async def test_what_a_filter_refuses_goes_on_to_the_next(
    upstream: Upstream, second: Upstream, db: str, stream: bool, handler: Any
) -> None:
    upstream.handler = handler
    config = config_for({"a": upstream.base_url, "b": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        result = await answer_of(router, stream=stream)
    assert (result.model, result.content) == ("b", "Paris.")
    store = open_store(db)
    row = store.request(store.page(Filter())[0]["id"])
    store.close()
    assert row is not None
    assert [a["status"] for a in row["attempts"]] in (["failed", "ok"], ["rejected", "ok"])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_filtered_answer_is_given_where_nobody_else_answers(
    upstream: Upstream, second: Upstream, db: str, stream: bool
) -> None:
    upstream.handler, second.handler = _filtered, failing(503)
    config = config_for({"a": upstream.base_url, "b": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        result = await answer_of(router, stream=stream)
    assert (result.model, result.finish_reason) == ("a", "content_filter")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_filter_has_the_last_word_where_config_says_so(
    upstream: Upstream, second: Upstream, db: str, stream: bool
) -> None:
    config = config_for(
        {"a": upstream.base_url, "b": second.base_url}, provider={"on_content_filter": "fail"}
    )
    async with AsyncRouter(config, db=db) as router:
        upstream.handler = _filtered
        assert (await answer_of(router, stream=stream)).finish_reason == "content_filter"
        upstream.handler = REFUSED
        with pytest.raises(errors.ContentFilterError):
            await answer_of(router, stream=stream)
    assert second.seen == []


async def test_a_filter_that_strikes_after_the_first_word_ends_a_stream_as_it_is(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    async def late(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await send(request, [chunk({"content": "Pa"}), chunk({}, "content_filter"), DONE])

    upstream.handler = late
    config = config_for({"a": upstream.base_url, "b": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        result = await answer_of(router, stream=True)
    assert (result.content, result.finish_reason) == ("Pa", "content_filter")
    assert second.seen == []


async def test_a_model_near_its_rate_limit_is_passed_over_and_the_decision_says_so(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    async def last_one(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m0s"}
        return web.json_response(completion(), headers=told)

    upstream.handler = last_one
    config = config_for({"a": upstream.base_url, "b": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        assert (await router.route("hi")).model == "a"
        passed = await router.route("hi")
        second.handler = failing(503)
        assert (await router.route("hi")).model == "a", "asked all the same if nobody else answers"
    assert passed.model == "b"
    assert not passed.fallback_used
    assert "a has too few requests left for 60 s: asked last" in passed.decision.reasons


async def test_a_model_that_answered_429_is_left_alone_for_as_long_as_it_asks(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    upstream.handler = failing(429, headers={"retry-after": "60"})
    config = config_for({"a": upstream.base_url, "b": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        for _ in range(5):
            assert (await router.route("hi")).model == "b"
    assert len(upstream.seen) == 1


async def test_an_outage_is_not_multiplied_by_retries(upstream: Upstream, db: str) -> None:
    upstream.handler = failing(503, headers={"retry-after": "0"})
    provider = {"max_retries": 10, "retry_budget": 0.2, "retry_budget_floor": 0}
    config = config_for({"a": upstream.base_url}, provider=provider)
    async with AsyncRouter(config, db=db) as router:
        for _ in range(50):
            with pytest.raises(errors.ProviderServerError):
                await router.route("hi")
    assert len(upstream.seen) == 60, "a fifth more than was asked for; not eleven times as much"


async def test_a_stream_that_breaks_before_its_first_word_is_answered_by_the_next(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    async def opens(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await send(request, stream_of(["Par"])[:1])

    upstream.handler = opens
    config = config_for({"a": upstream.base_url, "b": second.base_url})
    async with AsyncRouter(config, db=db) as router:
        result = await answer_of(router, stream=True)
    assert (result.model, result.content) == ("b", "Paris.")


async def test_of_many_requests_at_once_one_tries_whether_a_model_is_back(
    upstream: Upstream, second: Upstream, db: str
) -> None:
    upstream.handler = failing(503)
    config = config_for(
        {"a": upstream.base_url, "b": second.base_url},
        provider={
            "max_retries": 0,
            "circuit_breaker_threshold": 1,
            "circuit_breaker_reset_ms": 300,
        },
    )
    others_done = threading.Event()

    async def slowly(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.to_thread(others_done.wait, 5)
        return web.json_response(completion())

    async with AsyncRouter(config, db=db) as router:
        assert (await router.route("hi")).model == "b"
        upstream.handler = slowly
        await asyncio.sleep(0.31)
        asked = [asyncio.create_task(router.route("hi")) for _ in range(20)]
        models = []
        for answer in asyncio.as_completed(asked):
            models.append((await answer).model)
            if len(models) == 19:
                others_done.set()
    assert (models.count("a"), models.count("b")) == (1, 19)
    assert len(upstream.seen) == 2
