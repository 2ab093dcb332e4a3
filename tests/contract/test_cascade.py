"""The cascade over real sockets: what is turned down, what is given all the same, who judges."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from mmrouter import AsyncRouter, Config
from mmrouter.tracker.store import Filter, Store, open_store
from tests.support.configs import PRICE, one_route
from tests.support.upstream import Upstream, chunk, completion, failing, send, stream_of

REFUSAL = "I'm sorry, but I can't help with that."
GOOD = "Paris."
ASKED = "What is the capital of France?"


@pytest.fixture
def books(db: str) -> Iterator[Store]:
    store = open_store(db)
    yield store
    store.close()


def config(upstream: Upstream, *, fallbacks: tuple[str, ...] = (), **cascade: Any) -> Config:
    """`cheap`, then `strong`; `judge` for those who want one."""
    names = ("cheap", "middle", "strong", "judge")
    chain = cascade.pop("chain", ("cheap", "strong"))
    return Config.model_validate(
        {
            "routes": one_route("strong", *fallbacks, cascade=chain),
            "classifier": {"strategy": "rules", "threshold": 0},
            "provider": {"max_retries": 0, "timeout_ms": 3000, "stall_timeout_ms": 3000},
            "providers": {"here": {"base_url": upstream.base_url}},
            "models": {n: {"provider": "here", "price": PRICE} for n in names},
            "cascade": {"enabled": True, **cascade},
        }
    )


def saying(**texts: Any) -> Any:
    """Each model's text, or the handler that answers for it."""

    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        said = texts[body["model"]]
        if callable(said):
            answer: web.StreamResponse = await said(request, body)
            return answer
        if body.get("stream"):
            return await send(request, stream_of(re.findall(r"\S+\s*", said)))
        return web.json_response(completion(said))

    return handler


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_goes_on_to_the_stronger_model_unseen(
    upstream: Upstream, db: str, books: Store, stream: bool
) -> None:
    upstream.handler = saying(cheap=REFUSAL, strong=GOOD)
    async with AsyncRouter(config(upstream), db=db) as router:
        if stream:
            answer = router.stream(ASKED)
            assert "".join([text async for text in answer]) == GOOD
            assert answer.result is not None
            result = answer.result
        else:
            result = await router.route(ASKED)
    assert (result.content, result.model) == (GOOD, "strong")
    assert [(a.target.name, a.status) for a in result.attempts] == [
        ("cheap", "rejected"),
        ("strong", "ok"),
    ]
    assert result.attempts[0].detail
    assert (result.cascade_used, result.models_tried) == (True, 2)
    assert not result.fallback_used
    (row,) = books.page(Filter())
    assert (row["rejected"], row["cascade"]) == (1, True)
    assert books.verify() == []


async def test_a_good_short_answer_is_kept(upstream: Upstream, db: str) -> None:
    upstream.handler = saying(cheap=GOOD)
    async with AsyncRouter(config(upstream), db=db) as router:
        result = await router.route(ASKED)
    assert (result.content, result.model, result.models_tried) == (GOOD, "cheap", 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_when_the_stronger_fail_the_best_that_was_turned_down_is_given(
    upstream: Upstream, db: str, books: Store, stream: bool
) -> None:
    cut = "The three causes were the grain price, the"

    async def cut_off(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body.get("stream"):
            return await send(request, [chunk({"content": cut}), chunk({}, "length")])
        whole = completion(cut)
        whole["choices"][0]["finish_reason"] = "length"
        return web.json_response(whole)

    upstream.handler = saying(cheap=cut_off, middle=REFUSAL, strong=failing(500))
    wanted = config(upstream, chain=("cheap", "middle", "strong"))
    async with AsyncRouter(wanted, db=db) as router:
        if stream:
            answer = router.stream(ASKED)
            assert "".join([text async for text in answer]) == cut
            assert answer.result is not None
            result = answer.result
        else:
            result = await router.route(ASKED)
    assert (result.content, result.model) == (cut, "cheap"), "cut off is better than refused"
    assert [a.status for a in result.attempts] == ["ok", "rejected", "failed"]
    assert "for want of a better answer" in (result.attempts[0].detail or "")
    (row,) = books.page(Filter())
    assert (row["status"], row["answered_model"]) == ("ok", "cheap")
    assert books.verify() == []


async def test_a_judge_turns_down_what_reads_well_and_its_call_is_booked(
    upstream: Upstream, db: str, books: Store
) -> None:
    upstream.handler = saying(
        cheap="Lyon.", strong=GOOD, judge='{"score": 1, "why": "it is Paris"}'
    )
    wanted = config(upstream, strategy="llm_judge", judge_model="judge")
    async with AsyncRouter(wanted, db=db) as router:
        result = await router.route(ASKED)
    assert (result.content, result.models_tried) == (GOOD, 2)
    assert [(a.role, a.status) for a in result.attempts] == [
        ("cascade", "rejected"),
        ("judge", "ok"),
        ("cascade", "ok"),
    ]
    assert result.attempts[0].detail == "the judge gives 1 of 5: it is Paris"
    assert result.cost_nanos == 3 * (12 * 1000 + 3 * 2000)
    assert books.verify() == []


async def test_a_judge_that_fails_leaves_it_to_the_heuristic(upstream: Upstream, db: str) -> None:
    upstream.handler = saying(cheap=GOOD, judge=failing(500))
    wanted = config(upstream, strategy="llm_judge", judge_model="judge")
    async with AsyncRouter(wanted, db=db) as router:
        result = await router.route(ASKED)
    assert (result.content, result.model) == (GOOD, "cheap")
    assert not result.fallback_used, "a judge's failure is no fallback"


async def test_a_slow_stream_flows_once_the_wait_is_over(upstream: Upstream, db: str) -> None:
    more = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk({"content": "It is "}))
        waiting = asyncio.run_coroutine_threadsafe(more.wait(), loop)
        await asyncio.wrap_future(waiting)
        for event in stream_of(["Paris."]):
            await response.write(event)
        return response

    upstream.handler = saying(cheap=slow)
    seen = []
    async with AsyncRouter(config(upstream, max_buffer_ms=50), db=db) as router:
        answer = router.stream(ASKED)
        async for text in answer:
            seen.append(text)
            more.set()  # only once the first words have reached us
    assert "".join(seen) == "It is Paris."


async def test_a_stream_with_nothing_to_show_in_time_is_given_up(
    upstream: Upstream, db: str, books: Store
) -> None:
    async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    upstream.handler = saying(cheap=silent, strong=GOOD)
    async with AsyncRouter(config(upstream, max_buffer_ms=50), db=db) as router:
        answer = router.stream(ASKED)
        assert "".join([text async for text in answer]) == GOOD
    assert answer.result is not None
    assert answer.result.attempts[0].detail == "empty after 50 ms"
    assert answer.result.attempts[0].status == "rejected"
    assert books.verify() == []
