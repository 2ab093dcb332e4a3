"""Each endpoint works, through the official SDK where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web

from mmrouter.server.app import ROUTES
from tests.http import anthropic_upstream
from tests.http.serving import CHAT, HELLO, Served, serving
from tests.support.configs import config_for
from tests.support.upstream import Upstream, send


@pytest.fixture
def server(upstream: Upstream, db: str) -> Iterator[Served]:
    """Without a key, over one OpenAI-compatible upstream."""
    with serving(config_for({"m": upstream.base_url}), db) as served:
        yield served


@pytest.fixture
def messages_server(
    upstream: Upstream, db: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    monkeypatch.setenv("TEST_ANTHROPIC_KEY", "sk-ant-test")
    upstream.handler = anthropic_upstream.answer
    with serving(anthropic_upstream.config(upstream.base_url), db) as served:
        yield served


def openai_client(server: Served, **changes: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, **changes)


def anthropic_client(server: Served) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0)


def test_chat_passes_both_ways_unchanged_and_is_in_the_books(
    server: Served, upstream: Upstream
) -> None:
    sent = {**HELLO, "temperature": 0.3, "invented": {"a": [1, None]}}
    answer = server.ask("POST", CHAT, sent)
    assert answer.status == 200
    assert upstream.seen[0].body == {**sent, "model": "up-m"}
    assert answer.json["choices"][0]["message"]["content"] == "Paris."
    headers = {k[11:]: v for k, v in answer.headers.items() if k.startswith("x-mmrouter-")}
    row = server.row(headers["request-id"])
    assert row is not None
    assert float(headers.pop("overhead-ms")) > 0
    assert headers.pop("confidence") == f"{row['confidence']:.4f}"
    assert headers == {
        "request-id": row["id"],
        "model": "m",
        "provider": "at-m",
        "complexity": row["complexity"],
        "category": row["category"],
        "fallback": "false",
        "escalated": "false",
        "budget-downgraded": "false",
        "adaptive-reranked": "false",
        "attempts": "1",
        "decision": f"{row['complexity']}/{row['category']}",
        "cost": "0.000018000",
        "cache-read-tokens": "0",
        "cache-creation-tokens": "0",
    }
    assert row["cost_nanos"] == 18_000
    assert row["surface"] == "chat"


def test_a_chat_stream_ends_with_its_cost_and_hides_the_usage_nobody_asked_for(
    server: Served,
) -> None:
    answer = server.chat(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-mmrouter-model"] == "m"
    assert answer.raw.endswith(b"\n\n: x-mmrouter-cost 0.000018000\ndata: [DONE]\n\n")
    assert b"usage" not in answer.raw
    chunks = list(
        openai_client(server).chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "hi"}], stream=True
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Paris."


def test_a_stream_whose_events_have_ids_is_read_by_the_sdk(
    server: Served, upstream: Upstream
) -> None:
    async def with_ids(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        delta = {"index": 0, "delta": {"content": "Paris."}, "finish_reason": "stop"}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "u"}
        event = f"id: 7\ndata: {json.dumps({**chunk, 'choices': [delta]})}\n\n".encode()
        return await send(request, [event, b"data: [DONE]\n\n"])

    upstream.handler = with_ids
    chunks = list(
        openai_client(server).chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
    )
    assert [c.choices[0].delta.content for c in chunks] == ["Paris."]


def test_messages(messages_server: Served, upstream: Upstream) -> None:
    raw = anthropic_client(messages_server).messages.with_raw_response.create(
        model="auto",
        max_tokens=100,
        messages=[{"role": "user", "content": "What is 2+2?"}],
        extra_headers={"anthropic-beta": "some-beta"},
    )
    said = raw.parse()
    assert said.content[0].text == "Four."  # type: ignore[union-attr]
    assert raw.headers["x-mmrouter-cache-read-tokens"] == "5"
    assert raw.headers["request-id"] == raw.headers["x-mmrouter-request-id"]
    seen = upstream.seen[0]
    assert seen.path == "/v1/messages"
    assert seen.headers["anthropic-beta"] == "some-beta"
    assert seen.headers["x-api-key"] == "sk-ant-test"


def test_a_messages_stream(messages_server: Served) -> None:
    with anthropic_client(messages_server).messages.stream(
        model="auto", max_tokens=100, messages=[{"role": "user", "content": "What is 2+2?"}]
    ) as stream:
        assert "".join(stream.text_stream) == "Four."
        assert stream.get_final_message().usage.output_tokens == 3
        assert stream.response.headers["x-mmrouter-model"] == "m"


def test_tokens_are_counted_by_anthropic_where_it_can(messages_server: Served) -> None:
    counted = anthropic_client(messages_server).messages.count_tokens(
        model="auto", messages=[{"role": "user", "content": "What is 2+2?"}]
    )
    assert counted.input_tokens == 77


def test_tokens_are_estimated_elsewhere_and_the_answer_says_so(
    server: Served, upstream: Upstream
) -> None:
    answer = server.ask("POST", "/v1/messages/count_tokens", HELLO)
    assert 3 <= answer.json["input_tokens"] <= 30
    assert answer.headers["x-mmrouter-estimated"] == "true"
    assert upstream.seen == []


def test_tokens_are_estimated_without_a_key(upstream: Upstream, db: str) -> None:
    with serving(anthropic_upstream.config(upstream.base_url), db) as server:
        answer = server.ask("POST", "/v1/messages/count_tokens", HELLO)
    assert (answer.status, answer.headers["x-mmrouter-estimated"]) == (200, "true")


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "u",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Four.", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15},
}


async def respond(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if not body.get("stream"):
        return web.json_response(RESPONSE)
    begun = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}}
    delta = {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Four."}
    done = {"type": "response.completed", "response": RESPONSE}
    events = [
        f"event: {e['type']}\ndata: {json.dumps({**e, 'sequence_number': n})}\n\n".encode()
        for n, e in enumerate((begun, delta, done))
    ]
    return await send(request, events)


def test_responses(server: Served, upstream: Upstream) -> None:
    upstream.handler = respond
    client = openai_client(server)
    raw = client.responses.with_raw_response.create(model="auto", input="What is 2+2?")
    assert raw.parse().output_text == "Four."
    assert raw.headers["x-mmrouter-cost"] == "0.000018000"
    assert upstream.seen[0].path == "/v1/responses"
    kinds = [e.type for e in client.responses.create(model="auto", input="Hm?", stream=True)]
    assert kinds == ["response.created", "response.output_text.delta", "response.completed"]


def test_embeddings(server: Served, upstream: Upstream) -> None:
    async def embed(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        row = {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}
        usage = {"prompt_tokens": 4, "total_tokens": 4}
        return web.json_response({"object": "list", "data": [row], "model": "u", "usage": usage})

    upstream.handler = embed
    client = openai_client(server)
    raw = client.embeddings.with_raw_response.create(
        model="m", input="text", encoding_format="float"
    )
    assert raw.parse().data[0].embedding == [0.5, -0.25]
    assert raw.headers["x-mmrouter-cost"] == "0.000004000"
    with pytest.raises(openai.BadRequestError, match="named model"):
        client.embeddings.create(model="auto", input="text")


def test_models_in_the_shape_of_the_sdk_that_asks(server: Served) -> None:
    names = ["auto", "auto:cheap", "auto:balanced", "auto:best", "m"]
    assert [m.id for m in openai_client(server).models.list()] == names
    assert [m.id for m in anthropic_client(server).models.list()] == names
    assert openai_client(server).models.retrieve("m").owned_by == "at-m"
    with pytest.raises(openai.NotFoundError):
        openai_client(server).models.retrieve("unknown")


def test_feedback_finds_a_request_by_our_id_and_by_the_answers(server: Served) -> None:
    answer = server.chat()
    ours = answer.headers["x-mmrouter-request-id"]
    assert server.ask("POST", "/v1/feedback", {"request_id": ours, "score": 1}).status == 200
    upstreams = {"request_id": answer.json["id"], "score": 0.0, "comment": "wrong"}
    assert server.ask("POST", "/v1/feedback", upstreams).status == 200
    row = server.row(ours)
    assert row is not None
    assert [(f["score"], f["comment"]) for f in row["feedback"]] == [(1.0, None), (0.0, "wrong")]
    unknown = server.ask("POST", "/v1/feedback", {"request_id": "req_none", "score": 1})
    assert (unknown.status, unknown.json["error"]["param"]) == (400, "request_id")


def test_an_explicit_model_is_not_classified(server: Served) -> None:
    answer = server.chat(model="m")
    assert "x-mmrouter-complexity" not in answer.headers
    row = server.row(answer.headers["x-mmrouter-request-id"])
    assert row is not None
    assert (row["complexity"], row["requested_model"], row["cost_nanos"]) == (None, "m", 18_000)


def test_a_dry_run_decides_and_does_nothing_else(server: Served, upstream: Upstream) -> None:
    answer = server.chat({"X-MMRouter-Dry-Run": "true"}, stream=True)
    assert answer.json["object"] == "mmrouter.decision"
    assert [c["model"] for c in answer.json["candidates"]] == ["m"]
    assert answer.json["candidates"][0]["estimate_usd"] > 0
    assert answer.json["reasons"]
    assert upstream.seen == []
    assert server.row(answer.json["request_id"]) is None


def test_session_and_tags_reach_the_books(server: Served) -> None:
    answer = server.chat({"X-MMRouter-Session": "s1", "X-MMRouter-Tags": "a, b,a"})
    row = server.row(answer.headers["x-mmrouter-request-id"])
    assert row is not None
    assert row["session"] == "s1"
    assert json.loads(row["tags"]) == ["a", "b"]


def test_health_ready_and_root(server: Served) -> None:
    assert server.ask("GET", "/health").json["status"] == "ok"
    assert server.ask("HEAD", "/health").status == 200
    assert server.ask("GET", "/ready").json == {"status": "ready", "tracker": "ok"}
    assert server.ask("GET", "/").json["openapi"] == "/openapi.json"


def test_not_ready_without_the_books(upstream: Upstream, db: str) -> None:
    from dataclasses import replace

    from mmrouter.errors import TrackerError
    from mmrouter.router.parts import Parts

    async def lost() -> None:
        raise TrackerError("/secret/path is gone")

    def without_books(parts: Parts) -> Parts:
        return replace(parts, ready=lost)

    with serving(config_for({"m": upstream.base_url}), db, without_books) as server:
        answer = server.ask("GET", "/ready")
    assert answer.status == 503
    assert b"secret" not in answer.raw


def test_the_openapi_document_names_every_route_and_nothing_else(server: Served) -> None:
    document = server.ask("GET", "/openapi.json").json
    described = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item
    }
    served = {(path, method) for path, methods in ROUTES.items() for method in methods}
    assert described == served | {("/v1/models/{name}", "GET")}
    references = json.dumps(document).split('"#/components/')[1:]
    for reference in references:
        kind, name = reference.split('"')[0].split("/")
        assert name in document["components"][kind]
