"""Conversations through the server: every surface, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.http.serving import Answer, Served, serving
from tests.support import anthropic_answers
from tests.support.upstream import Upstream, completion, failing, send, stream_of

SYSTEM = "You fix bugs. " * 2_000  # long enough for any cache
HARD = (
    "Prove that the scheduler cannot deadlock, step by step, and derive the bound on its latency."
)
EASY = "What is the capital of France?"
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}
CALL = {"type": "tool_use", "id": "t1", "name": "ls", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "a b"}


def _row(provider: str, usd: float) -> dict[str, Any]:
    price = {"input": usd, "output": usd, "cache_read": usd / 10, "cache_write": usd * 1.25}
    return {"provider": provider, "price": price}


def _config(base_url: str, **changes: Any) -> Any:
    """Simple prompts go to `small`, medium to `mid`, complex to `big`; all at one upstream."""
    from mmrouter.config import Config

    route = {
        level: {
            category: {"model": model, "fallbacks": [other]}
            for category in ("factual", "reasoning", "creative", "code")
        }
        for level, model, other in (
            ("simple", "small", "mid"),
            ("medium", "mid", "big"),
            ("complex", "big", "mid"),
        )
    }
    kind = changes.pop("kind", "openai")
    return Config.model_validate(
        {
            "routes": route,
            "classifier": {"strategy": "rules", "threshold": 0},
            "provider": {"max_retries": 0, "circuit_breaker_threshold": 1},
            "providers": {"here": {"kind": kind, "base_url": base_url}},
            "models": {
                "small": _row("here", 1.0),
                "mid": _row("here", 3.0),
                "big": _row("here", 5.0),
            },
            **changes,
        }
    )


USAGE = {
    "prompt_tokens": 9_000,
    "completion_tokens": 10,
    "total_tokens": 9_010,
    "prompt_tokens_details": {"cached_tokens": 8_000},
}


async def chat_upstream(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if not body.get("stream"):
        return web.json_response(completion("It cannot.", usage=USAGE))
    last = b"data: " + json.dumps({"id": "c", "choices": [], "usage": USAGE}).encode() + b"\n\n"
    *events, done = stream_of(["It ", "cannot."], usage=False)
    return await send(request, [*events, last, done])


async def messages_upstream(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    message = anthropic_answers.whole()
    if not body.get("stream"):
        return web.json_response(message)
    return await send(
        request,
        [
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            for event in anthropic_answers.events(message)
        ],
    )


async def responses_upstream(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    usage = {
        "input_tokens": 9_000,
        "input_tokens_details": {"cached_tokens": 8_000},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    text = {"type": "output_text", "text": "It cannot."}
    whole = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": [{"type": "message", "role": "assistant", "content": [text]}],
        "usage": usage,
    }
    if not body.get("stream"):
        return web.json_response(whole)
    events = [
        {"type": "response.created", "response": {**whole, "status": "in_progress"}},
        {"type": "response.completed", "response": whole},
    ]
    return await send(request, [b"data: " + json.dumps(e).encode() + b"\n\n" for e in events])


@pytest.fixture
def chats(upstream: Upstream, db: str) -> Iterator[Served]:
    upstream.handler = chat_upstream
    with serving(_config(upstream.base_url), db) as served:
        yield served


@pytest.fixture
def claudes(upstream: Upstream, db: str) -> Iterator[Served]:
    upstream.handler = messages_upstream
    with serving(_config(upstream.base_url, kind="anthropic"), db) as served:
        yield served


def story(served: Served, answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.raw
    row = served.row(answer.headers["x-mmrouter-request-id"])
    assert row is not None
    return row


SPOKEN = [
    {"role": "user", "content": HARD},
    {"role": "assistant", "content": "It cannot."},
    {"role": "user", "content": EASY},
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("surface", ["chat", "messages", "responses"])
def test_a_cached_conversation_stays_where_it_is_and_the_books_say_at_what_price(
    surface: str, stream: bool, upstream: Upstream, db: str
) -> None:
    handlers = {
        "chat": chat_upstream,
        "messages": messages_upstream,
        "responses": responses_upstream,
    }
    upstream.handler = handlers[surface]
    kind = "anthropic" if surface == "messages" else "openai"
    config = _config(upstream.base_url, kind=kind, sessions={"switch_horizon": 1})
    with serving(config, db) as served:

        def ask(messages: list[dict[str, Any]]) -> dict[str, Any]:
            body: dict[str, Any] = {"model": "auto", "stream": stream}
            if surface == "chat":
                path = "/v1/chat/completions"
                body["messages"] = [{"role": "system", "content": SYSTEM}, *messages]
                body["max_tokens"] = 20
            elif surface == "messages":
                path = "/v1/messages"
                body |= {"system": SYSTEM, "messages": messages, "max_tokens": 20}
            else:
                path = "/v1/responses"
                body |= {"instructions": SYSTEM, "input": messages, "max_output_tokens": 20}
            return story(served, served.ask("POST", path, body))

        first = ask(SPOKEN[:1])
        assert (first["answered_model"], first["continuation"]) == ("big", None)
        then = ask(SPOKEN)
        assert (then["answered_model"], then["continuation"]) == ("big", "stayed")
        assert then["wanted_model"] == "small"
        assert then["switch_nanos"] > then["switch_saving_nanos"] > 0
        assert "cached prompt" in str(then["reasons"])
        assert [call["role"] for call in then["attempts"]] == ["session"]
        other = ask([{"role": "user", "content": EASY}])
        assert (other["answered_model"], other["continuation"]) == ("small", None)


def test_without_a_cache_the_cheaper_model_takes_over(upstream: Upstream, db: str) -> None:
    with serving(_config(upstream.base_url), db) as served:  # its usage tells of no cache
        first = story(served, served.chat(messages=SPOKEN[:1]))
        then = story(served, served.chat(messages=SPOKEN))
    assert [first["answered_model"], then["answered_model"]] == ["big", "small"]
    assert then["continuation"] == "switched"
    assert then["switch_nanos"] == 0


def test_a_header_names_the_conversation_and_other_keys_have_none_of_it(chats: Served) -> None:
    named = {"x-mmrouter-session": "s1"}
    assert story(chats, chats.chat(named, messages=SPOKEN[:1]))["answered_model"] == "big"
    loop = [
        {"role": "user", "content": EASY},
        {"role": "assistant", "tool_calls": [{"id": "t", "type": "function",
                                              "function": {"name": "ls", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "t", "content": "a"},
    ]  # fmt: skip
    mine = story(chats, chats.chat(named, messages=loop))
    assert (mine["answered_model"], mine["continuation"]) == ("big", "pinned")
    assert mine["session"] == "s1"
    other = story(chats, chats.chat({"x-mmrouter-session": "s2"}, messages=loop))
    assert other["answered_model"] == "small"


def test_an_answer_that_a_provider_keeps_is_continued_at_that_provider(
    upstream: Upstream, db: str
) -> None:
    upstream.handler = responses_upstream
    config = _config(upstream.base_url)
    with serving(config, db) as served:
        first = {"model": "auto", "input": HARD}
        story(served, served.ask("POST", "/v1/responses", first))
        then = {"model": "auto", "input": EASY, "previous_response_id": "resp_1"}
        row = story(served, served.ask("POST", "/v1/responses", then))
    assert row["continuation"] == "tied"


def test_signed_thinking_in_a_tools_turn_is_never_given_to_another_model(
    claudes: Served, upstream: Upstream
) -> None:
    def ask(*messages: dict[str, Any]) -> Answer:
        body = {"model": "auto", "max_tokens": 50, "messages": list(messages)}
        return claudes.ask("POST", "/v1/messages", body)

    begun = {"role": "user", "content": HARD}
    story(claudes, ask(begun))
    loop = [
        begun,
        {"role": "assistant", "content": [THOUGHT, CALL]},
        {"role": "user", "content": [RESULT]},
    ]
    upstream.handler = failing(503)
    failed = ask(*loop)
    assert failed.status == 502, "its fallback cannot read the thinking, and is not asked"
    assert upstream.seen[-1].body["model"] == "big"
    assert upstream.seen[-1].body["messages"] == loop
    assert ask(*loop).status == 502, "the breaker is open, and still nobody else is asked"
    upstream.handler = messages_upstream
    row = story(claudes, ask(*loop))
    assert (row["answered_model"], row["continuation"]) == ("big", "tied")


def test_a_new_turn_may_move_and_leaves_the_thinking_of_earlier_ones_behind(
    claudes: Served, upstream: Upstream
) -> None:
    spoken = [
        {"role": "user", "content": EASY},
        {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "Paris."}]},
        {"role": "user", "content": HARD},
    ]
    body = {"model": "auto", "max_tokens": 9}
    story(claudes, claudes.ask("POST", "/v1/messages", {**body, "messages": spoken[:1]}))
    assert upstream.seen[-1].body["model"] == "small"
    story(claudes, claudes.ask("POST", "/v1/messages", {**body, "messages": spoken}))
    sent = upstream.seen[-1].body
    assert sent["model"] == "big"
    assert sent["messages"][1]["content"] == [{"type": "text", "text": "Paris."}]
