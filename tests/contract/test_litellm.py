"""The LiteLLM provider against upstreams on real sockets that answer in the documented shapes."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from aiohttp import web

from mmrouter import errors
from mmrouter.providers.base import Call, Chunk, Finish
from mmrouter.providers.litellm import LiteLLMProvider
from mmrouter.types import Dialect, Target, Usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "sk-very-secret-0123456789"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


@dataclass
class Upstream:
    """Answers every POST with what a test laid down; keeps what it was sent."""

    status: int = 200
    body: Any = None
    events: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    reset: bool = False
    paths: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    sent_headers: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    root: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        self.sent.append(json.loads(await request.read()))
        self.sent_headers.append(dict(request.headers))
        self.asked.set()
        if self.reset:
            assert request.transport is not None
            request.transport.abort()
        if not self.sent[-1].get("stream") or self.status != 200:
            if self.hang:
                await self._wait()
            return web.json_response(self.body, status=self.status, headers=self.headers)
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **self.headers})
        await response.prepare(request)
        for event in self.events:
            await response.write(event)
        if self.hang:
            await self._wait()
        return response

    async def _wait(self) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.left.set()
            raise


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_post("/{path:.*}", upstream.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield upstream
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[LiteLLMProvider]:
    provider = LiteLLMProvider()
    yield provider
    await provider.aclose()


@pytest.fixture
def upstream(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("UPSTREAM_KEY", KEY)
    vars(server).update(vars(replace(Upstream(), root=server.root)))
    return server


def claude(server: Upstream, /, **fields: Any) -> Target:
    return Target(
        **{
            "name": "claude",
            "provider": "anthropic",
            "kind": "anthropic",
            "upstream": "claude-sonnet-4-5",
            "base_url": f"{server.root}/v1",
            "api_key_env": "UPSTREAM_KEY",
            **fields,
        }
    )


def corp(server: Upstream, /, **fields: Any) -> Target:
    own = {"name": "small", "provider": "corp", "kind": "openai", "upstream": "their-small-1"}
    return claude(server, **own | fields)


def call(target: Target, dialect: Dialect, body: dict[str, Any], **fields: Any) -> Call:
    defaults: dict[str, Any] = {"stream": body.get("stream", False), "timeout_s": 30, "stall_s": 30}
    return Call(target=target, dialect=dialect, body=body, **defaults | fields)


def chat(upstream: Upstream, **fields: Any) -> Call:
    body = {"model": "x", "messages": [{"role": "user", "content": "hi"}], **fields}
    return call(claude(upstream), Dialect.CHAT, body)


def messages(upstream: Upstream, **fields: Any) -> Call:
    user = {"role": "user", "content": "hi"}
    body = {"model": "x", "max_tokens": 64, "messages": [user], **fields}
    return call(corp(upstream), Dialect.MESSAGES, body)


async def run(provider: LiteLLMProvider, made: Call) -> tuple[list[Chunk], Finish]:
    pieces = [piece async for piece in provider.stream(made)]
    finish = pieces.pop()
    assert isinstance(finish, Finish)
    chunks = [piece for piece in pieces if isinstance(piece, Chunk)]
    assert len(chunks) == len(pieces)
    return chunks, finish


def payloads(chunks: list[Chunk], finish: Finish) -> list[Any]:
    raw = b"".join([*(c.data for c in chunks), finish.data]).decode()
    lines = [line[6:] for line in raw.splitlines() if line.startswith("data: ")]
    return [json.loads(line) if line != "[DONE]" else line for line in lines]


# Anthropic's shapes (https://docs.anthropic.com/en/api/messages-streaming)

CACHED = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "output_tokens": 25,
}
CACHED_USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "cache_read_tokens": 100,
    "cache_write_tokens": 30,
}


def message(*content: Any, stop: str = "end_turn", usage: dict[str, int] = CACHED) -> Any:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def block(index: int, start: Any, *deltas: Any) -> list[bytes]:
    return [
        event("content_block_start", index=index, content_block=start),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


MESSAGE_START = event("message_start", message=message(usage={**CACHED, "output_tokens": 1}))
CLAUDE_TALKS = [
    MESSAGE_START,
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "signature_delta", "signature": "c2ln"},
    ),
    event("ping"),
    *block(
        1,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Hel"},
        {"type": "text_delta", "text": "lo"},
    ),
    *block(
        2,
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"city":'},
        {"type": "input_json_delta", "partial_json": ' "Oslo"}'},
    ),
    event(
        "message_delta",
        delta={"stop_reason": "tool_use", "stop_sequence": None},
        usage={"output_tokens": 25},
    ),
    event("message_stop"),
]
TEXT = {"type": "text", "text": "Hello"}
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}

# OpenAI's shapes (https://platform.openai.com/docs/api-reference/chat/streaming)

OPENAI_USAGE = {
    "prompt_tokens": 140,
    "completion_tokens": 25,
    "total_tokens": 165,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def piece(delta: Any, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return chunk(choices=[choice])


def chunk(**fields: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: %b\n\n" % json.dumps({**head, **fields}).encode()


def called(name: str, arguments: str, **fields: Any) -> Any:
    return {"index": 0, "function": {"name": name, "arguments": arguments}, **fields}


CORP_TALKS = [
    piece({"role": "assistant", "content": ""}),
    piece({"content": "Hel"}),
    piece({"content": "lo"}),
    piece({"tool_calls": [called("weather", "", id="call_1", type="function")]}),
    piece({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":"Oslo"}'}}]}),
    piece({}, "tool_calls"),
    chunk(choices=[], usage=OPENAI_USAGE),
    b"data: [DONE]\n\n",
]


def completion(content: str | None, finish: str = "stop", **fields: Any) -> Any:
    answer = {"role": "assistant", "content": content, **fields}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": answer, "finish_reason": finish}],
        "usage": OPENAI_USAGE,
    }


class TestChatToAnthropic:
    async def test_an_answer_in_openais_shape(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.body = message(TEXT)
        upstream.headers = {
            "anthropic-ratelimit-requests-remaining": "9",
            "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
        }
        chunks, finish = await run(provider, chat(upstream, temperature=0.5, n=1, stop=["END"]))
        assert chunks == []
        answer = json.loads(finish.data)
        assert answer["object"] == "chat.completion"
        assert answer["choices"][0]["message"]["content"] == "Hello"
        assert answer["choices"][0]["finish_reason"] == finish.finish_reason == "stop"
        assert "cost" not in answer["usage"]
        assert finish.text == "Hello"
        assert finish.usage == Usage(**CACHED_USAGE, output_tokens=25)
        assert [(one.kind, one.left) for one in finish.allowances] == [("requests", 9)]
        sent = upstream.sent[0]
        assert upstream.paths == ["/v1/messages"]
        assert (sent["temperature"], sent["stop_sequences"]) == (0.5, ["END"])
        assert upstream.sent_headers[0]["x-api-key"] == KEY

    async def test_a_stream_in_openais_shape(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.events = CLAUDE_TALKS
        made = chat(upstream, stream=True, tools=[CHAT_TOOL])
        chunks, finish = await run(provider, made)
        assert finish.data == b"data: [DONE]\n\n"
        assert finish.finish_reason == "tool_calls"
        assert finish.usage is not None
        assert replace(finish.usage, reasoning_tokens=0) == Usage(**CACHED_USAGE, output_tokens=25)
        said = payloads(chunks, finish)[:-1]
        assert all(c["object"] == "chat.completion.chunk" and c["choices"] for c in said)
        assert not any("usage" in c for c in said)
        deltas = [c["choices"][0]["delta"] for c in said]
        assert "".join(d.get("content") or "" for d in deltas) == "Hello"
        calls = [t for d in deltas for t in d.get("tool_calls", [])]
        assert calls[0]["function"]["name"] == "weather"
        written = "".join(t["function"]["arguments"] for t in calls)
        assert json.loads(written) == {"city": "Oslo"}
        assert "".join(c.text for c in chunks) == "Hm.Helloweather" + written

    async def test_usage_is_shown_to_those_who_ask(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.events = CLAUDE_TALKS
        made = chat(upstream, stream=True, stream_options={"include_usage": True})
        said = payloads(*await run(provider, made))
        assert said[-2]["choices"] == []
        assert said[-2]["usage"]["prompt_tokens"] == 140
        assert "cost" not in said[-2]["usage"]

    async def test_tools_images_and_results_reach_it(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.body = message(TEXT, TOOL_USE, stop="tool_use")
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        function = {"name": "weather", "arguments": '{"city": "Bergen"}'}
        conversation = [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "Where is this?"}, image]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_0", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "call_0", "content": "rain"},
        ]
        made = chat(
            upstream,
            messages=conversation,
            tools=[CHAT_TOOL],
            tool_choice="required",
            parallel_tool_calls=False,
        )
        before = json.dumps(made.body)
        _, finish = await run(provider, made)
        assert json.dumps(made.body) == before
        function = json.loads(finish.data)["choices"][0]["message"]["tool_calls"][0]["function"]
        assert json.loads(function["arguments"]) == {"city": "Oslo"}
        sent = upstream.sent[0]
        assert sent["system"] == [{"type": "text", "text": "Be short."}]
        assert sent["messages"][0]["content"][1]["source"]["data"] == PIXEL
        assert sent["messages"][1]["content"][0]["input"] == {"city": "Bergen"}
        assert sent["messages"][2]["content"][0]["tool_use_id"] == "call_0"
        assert sent["tools"][0]["input_schema"] == WEATHER
        assert sent["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}

    async def test_json_answers(self, provider: LiteLLMProvider, upstream: Upstream) -> None:
        upstream.body = message({"type": "text", "text": '{"city": "Oslo"}'})
        schema = {"name": "place", "strict": True, "schema": WEATHER}
        made = chat(upstream, response_format={"type": "json_schema", "json_schema": schema})
        _, finish = await run(provider, made)
        content = json.loads(finish.data)["choices"][0]["message"]["content"]
        assert json.loads(content) == {"city": "Oslo"}
        assert '"city"' in json.dumps({k: v for k, v in upstream.sent[0].items() if k != "model"})

    async def test_a_long_system_prompt_is_marked_for_the_cache(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.body = message(TEXT)
        made = chat(
            upstream,
            messages=[
                {"role": "system", "content": "rules " * 1_000},
                {"role": "user", "content": "hi"},
            ],
        )
        await run(provider, replace(made, target=claude(upstream, prompt_caching=True)))
        assert upstream.sent[0]["system"][0]["cache_control"] == {"type": "ephemeral"}

    async def test_openais_sdk_reads_the_stream(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.events = CLAUDE_TALKS
        chunks, finish = await run(provider, chat(upstream, stream=True))
        async with replayed(chunks, finish) as root:
            client = openai.AsyncOpenAI(base_url=root, api_key="x", max_retries=0)
            stream = client.chat.completions.stream(
                model="x", messages=[{"role": "user", "content": "hi"}]
            )
            async with stream as events:
                answer = await events.get_final_completion()
            await client.close()
        assert answer.choices[0].message.content == "Hello"
        assert answer.choices[0].finish_reason == "tool_calls"


class TestResponsesToAnthropic:
    async def test_a_whole_answer(self, provider: LiteLLMProvider, upstream: Upstream) -> None:
        upstream.body = message(TEXT, TOOL_USE, stop="tool_use")
        made = self.made(upstream, input="hi", instructions="Be short.", store=False)
        _, finish = await run(provider, made)
        answer = json.loads(finish.data)
        assert answer["object"] == "response"
        assert [item["type"] for item in answer["output"]] == ["message", "function_call"]
        assert finish.finish_reason == "completed"
        assert finish.usage is not None
        assert finish.usage.prompt_tokens == 140
        assert finish.usage.cache_read_tokens == 100
        assert upstream.sent[0]["system"][0]["text"] == "Be short."

    async def test_a_stream(self, provider: LiteLLMProvider, upstream: Upstream) -> None:
        upstream.events = CLAUDE_TALKS
        chunks, finish = await run(provider, self.made(upstream, input="hi", stream=True))
        said = payloads(chunks, finish)
        assert said[0]["type"] == "response.created"
        assert said[-1]["type"] == "response.completed"
        assert [e["sequence_number"] for e in said] == list(range(len(said)))
        text = [e["delta"] for e in said if e["type"] == "response.output_text.delta"]
        assert "".join(text) == "Hello"
        assert finish.usage is not None
        assert finish.usage.output_tokens == 25

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("previous_response_id", "resp_1"),
            ("background", True),
            ("store", True),
            ("tools", [{"type": "web_search"}]),
            ("input", [{"type": "item_reference", "id": "msg_1"}]),
            ("text", {"verbosity": "high"}),
        ],
    )
    async def test_what_cannot_be_carried_is_refused(
        self, provider: LiteLLMProvider, upstream: Upstream, field: str, value: Any
    ) -> None:
        with pytest.raises(errors.InvalidRequestError, match=field):
            await run(provider, self.made(upstream, **{"input": "hi", field: value}))
        assert upstream.sent == []

    @staticmethod
    def made(upstream: Upstream, **fields: Any) -> Call:
        tool = {"type": "function", "name": "weather", "parameters": WEATHER}
        body = {"model": "x", "tools": [tool], **fields}
        return call(claude(upstream), Dialect.RESPONSES, body)


class TestMessagesToOpenAI:
    async def test_an_answer_in_anthropics_shape(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.body = completion("Hello")
        made = messages(
            upstream,
            system="Be short.",
            stop_sequences=["END"],
            top_k=5,
            metadata={"user_id": "u-1"},
        )
        _, finish = await run(provider, made)
        answer = json.loads(finish.data)
        assert answer["type"] == "message"
        assert answer["content"] == [{"type": "text", "text": "Hello"}]
        assert answer["stop_reason"] == finish.finish_reason == "end_turn"
        assert finish.usage == Usage(input_tokens=40, cache_read_tokens=100, output_tokens=25)
        sent = upstream.sent[0]
        assert upstream.paths == ["/v1/chat/completions"]
        assert upstream.sent_headers[0]["Authorization"] == f"Bearer {KEY}"
        assert sent["messages"][0] == {"role": "system", "content": "Be short."}
        assert (sent["stop"], sent["top_k"], sent["user"]) == (["END"], 5, "u-1")
        assert (sent["model"], sent["max_tokens"]) == ("their-small-1", 64)

    async def test_a_stream_in_anthropics_shape(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.events = CORP_TALKS
        tool = {"name": "weather", "input_schema": WEATHER}
        chunks, finish = await run(provider, messages(upstream, stream=True, tools=[tool]))
        said = payloads(chunks, finish)
        assert said[0]["type"] == "message_start"
        assert finish.data.startswith(b"event: message_stop\n")
        assert finish.usage == Usage(input_tokens=40, cache_read_tokens=100, output_tokens=25)
        assert finish.finish_reason == "tool_use"
        assert "".join(c.text for c in chunks) == 'Hello{"city":"Oslo"}'
        async with replayed(chunks, finish) as root:
            client = anthropic.AsyncAnthropic(
                base_url=root.removesuffix("/v1"), api_key="x", max_retries=0
            )
            stream = client.messages.stream(
                model="x", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            )
            async with stream as events:
                answer = await events.get_final_message()
            await client.close()
        assert [b.type for b in answer.content] == ["text", "tool_use"]
        assert answer.content[1].to_dict()["input"] == {"city": "Oslo"}
        assert answer.usage.output_tokens == 25

    async def test_tools_images_and_results_reach_it(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        call_back = {"name": "weather", "arguments": '{"city":"Oslo"}'}
        tool_call = {"id": "call_1", "type": "function", "function": call_back}
        upstream.body = completion(None, "tool_calls", tool_calls=[tool_call])
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "storm"}
        made = messages(
            upstream,
            messages=[
                {"role": "user", "content": [{"type": "image", "source": source}, TEXT]},
                {"role": "assistant", "content": [TOOL_USE]},
                {"role": "user", "content": [{**result, "is_error": True}]},
            ],
            tools=[{"name": "weather", "input_schema": WEATHER}],
            tool_choice={"type": "any", "disable_parallel_tool_use": True},
            thinking={"type": "enabled", "budget_tokens": 4_096},
        )
        _, finish = await run(provider, made)
        content = json.loads(finish.data)["content"]
        assert next(b for b in content if b["type"] == "tool_use")["input"] == {"city": "Oslo"}
        sent = upstream.sent[0]
        assert upstream.paths == ["/v1/chat/completions"]
        image = sent["messages"][0]["content"][0]["image_url"]["url"]
        assert image == f"data:image/png;base64,{PIXEL}"
        assert sent["messages"][1]["tool_calls"][0]["function"]["name"] == "weather"
        assert sent["messages"][2]["content"] == "Error: storm"
        assert sent["tools"][0]["function"]["parameters"] == WEATHER
        assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)
        assert sent["reasoning_effort"] == "medium"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("context_management", {"edits": []}),
            ("mcp_servers", [{"type": "url", "url": "http://127.0.0.1/", "name": "x"}]),
            ("tools", [{"type": "bash_20250124", "name": "bash"}]),
            ("metadata", {"user_id": "u", "team": "x"}),
            ("invented", 1),
        ],
    )
    async def test_what_cannot_be_carried_is_refused(
        self, provider: LiteLLMProvider, upstream: Upstream, field: str, value: Any
    ) -> None:
        with pytest.raises(errors.InvalidRequestError, match=field) as caught:
            await run(provider, messages(upstream, **{field: value}))
        assert caught.value.param == field
        assert upstream.sent == []

    @pytest.mark.parametrize("kind", ["thinking", "document", "search_result"])
    async def test_blocks_that_it_cannot_read_are_refused(
        self, provider: LiteLLMProvider, upstream: Upstream, kind: str
    ) -> None:
        turn = {"role": "user", "content": [{"type": kind}]}
        with pytest.raises(errors.InvalidRequestError, match=kind):
            await run(provider, messages(upstream, messages=[turn]))

    async def test_a_target_without_a_key_never_gets_the_real_openais(
        self,
        provider: LiteLLMProvider,
        upstream: Upstream,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        upstream.body = completion("Hello")
        made = messages(upstream)
        await run(provider, replace(made, target=corp(upstream, api_key_env=None)))
        assert KEY not in json.dumps(upstream.sent_headers)

    async def test_no_proxy_server_is_imported(
        self, provider: LiteLLMProvider, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sought: list[str] = []

        class Watch:
            def find_spec(self, name: str, *_: object) -> None:
                sought.append(name)

        monkeypatch.setattr(sys, "meta_path", [Watch(), *sys.meta_path])
        upstream.body = completion("Hello")
        await run(provider, messages(upstream))
        assert "litellm.proxy.proxy_server" not in sought


class TestKindLiteLLM:
    async def test_unknown_fields_reach_what_speaks_openai(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.body = {**completion("Hello"), "service_tier": "on_demand"}
        made = replace(
            chat(upstream, seed=7, metadata={"a": "b"}, invented={"x": 1}, api_base="http://0/"),
            target=corp(upstream, kind="litellm", upstream="groq/llama-3.3-70b-versatile"),
        )
        _, finish = await run(provider, made)
        assert finish.text == "Hello"
        sent = upstream.sent[0]
        assert (sent["seed"], sent["metadata"], sent["invented"]) == (7, {"a": "b"}, {"x": 1})
        assert sent["api_base"] == "http://0/"  # a field like any other: it steers nothing

    async def test_embeddings(self, provider: LiteLLMProvider, upstream: Upstream) -> None:
        upstream.body = {
            "object": "list",
            "model": "m",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }
        body = {"model": "x", "input": ["hi"], "encoding_format": "float"}
        target = corp(upstream, kind="litellm", upstream="openai/text-embedding-3-small")
        _, finish = await run(provider, call(target, Dialect.EMBEDDINGS, body))
        assert json.loads(finish.data)["data"][0]["embedding"] == [0.5, 1.0]
        assert finish.usage == Usage(input_tokens=3)

    async def test_a_model_of_no_known_provider(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        target = corp(upstream, kind="litellm", upstream="nothing-of-the-kind", base_url=None)
        with pytest.raises(errors.InvalidRequestError, match="provider/model"):
            await run(provider, replace(chat(upstream), target=target))


class TestRefusals:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("seed", 7),
            ("n", 2),
            ("logprobs", True),
            ("metadata", {"a": "b"}),
            ("user", "jo@example.org"),
            ("invented", {"x": 1}),
            ("api_base", "http://127.0.0.1:1/"),
            ("mock_response", "free"),
            ("extra_headers", {"x": "y"}),
            ("tools", [{"type": "custom", "custom": {"name": "x"}}]),
        ],
    )
    async def test_fields_that_anthropic_has_not(
        self, provider: LiteLLMProvider, upstream: Upstream, field: str, value: Any
    ) -> None:
        with pytest.raises(errors.InvalidRequestError, match=field) as caught:
            await run(provider, chat(upstream, **{field: value}))
        assert caught.value.param == field
        assert "litellm" not in str(caught.value).lower()
        assert upstream.sent == []

    async def test_parts_that_would_vanish(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        audio = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
        with pytest.raises(errors.InvalidRequestError, match="input_audio"):
            await run(provider, chat(upstream, messages=[{"role": "user", "content": [audio]}]))
        with pytest.raises(errors.InvalidRequestError, match=r"messages\[0\]\.name"):
            turn = {"role": "user", "content": "hi", "name": "jo"}
            await run(provider, chat(upstream, messages=[turn]))

    async def test_a_clients_url_is_not_fetched_from_here(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        image = {"type": "image_url", "image_url": {"url": f"{upstream.root}/secret.png"}}
        with pytest.raises(errors.InvalidRequestError, match="data URL"):
            await run(provider, chat(upstream, messages=[{"role": "user", "content": [image]}]))
        assert upstream.paths == []
        # LiteLLM refuses loopback by itself; this is what keeps it from the rest of the world
        assert sys.modules["litellm"].constants.MAX_IMAGE_URL_DOWNLOAD_SIZE_MB == 0


FAILURES = [
    (400, "max_tokens: too large", errors.BadUpstreamRequestError),
    (400, "prompt is too long: 250000 tokens > 200000 maximum", errors.ContextLengthError),
    (401, f"invalid x-api-key {KEY}", errors.ProviderAuthError),
    (404, "model: claude-none", errors.UpstreamModelError),
    (429, "slow down", errors.RateLimitedError),
    (500, "internal", errors.ProviderServerError),
    (529, "Overloaded", errors.ProviderServerError),
]


class TestFailures:
    @pytest.mark.parametrize(("status", "words", "kind"), FAILURES)
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES])
    async def test_what_the_provider_says(
        self,
        provider: LiteLLMProvider,
        upstream: Upstream,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
        dialect: Dialect,
        stream: bool,
        status: int,
        words: str,
        kind: type[errors.ProviderError],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        upstream.status = status
        upstream.body = {"type": "error", "error": {"type": "some_error", "message": words}}
        upstream.headers = {"retry-after": "7"}
        with pytest.raises(errors.ProviderError) as caught:
            await run(provider, self.made(upstream, dialect, stream))
        error = caught.value
        assert type(error) is kind
        assert error.upstream_status == status
        assert error.retry_after_s == 7
        assert words.replace(KEY, "[key]") in str(error)
        assert error.body is not None
        printed = "".join(capfd.readouterr())
        for told in (str(error), repr(error.body), caplog.text, printed):
            assert KEY not in told
        assert "litellm" not in (str(error) + printed).lower()
        assert "Exception" not in str(error)
        assert len(upstream.sent) == 1

    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES])
    async def test_a_stream_that_breaks_off(
        self, provider: LiteLLMProvider, upstream: Upstream, dialect: Dialect
    ) -> None:
        upstream.events = (CORP_TALKS if dialect is Dialect.MESSAGES else CLAUDE_TALKS)[:3]
        with pytest.raises(errors.ProviderProtocolError, match="cut its stream off"):
            await run(provider, self.made(upstream, dialect, True))

    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES])
    async def test_a_failure_told_inside_the_stream(
        self, provider: LiteLLMProvider, upstream: Upstream, dialect: Dialect
    ) -> None:
        words = "Overloaded just now"
        if dialect is Dialect.MESSAGES:
            told: dict[str, Any] = {"error": {"message": words, "type": "server_error"}}
            upstream.events = [*CORP_TALKS[:2], b"data: %b\n\n" % json.dumps(told).encode()]
        else:
            told = {"type": "overloaded_error", "message": words}
            upstream.events = [MESSAGE_START, *CLAUDE_TALKS[1:3], event("error", error=told)]
        with pytest.raises(errors.ProviderServerError, match=words) as caught:
            await run(provider, self.made(upstream, dialect, True))
        assert "litellm" not in str(caught.value).lower()
        assert "Error:" not in str(caught.value)

    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.MESSAGES])
    async def test_a_connection_that_is_reset(
        self, provider: LiteLLMProvider, upstream: Upstream, dialect: Dialect
    ) -> None:
        upstream.reset = True
        with pytest.raises(errors.ProviderConnectionError):
            await run(provider, self.made(upstream, dialect, False))

    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.MESSAGES])
    async def test_nobody_listens(
        self, provider: LiteLLMProvider, upstream: Upstream, dialect: Dialect
    ) -> None:
        made = self.made(upstream, dialect, True)
        target = replace(made.target, base_url="http://127.0.0.1:9/v1")
        with pytest.raises(errors.ProviderConnectionError):
            await run(provider, replace(made, target=target))

    async def test_no_key(
        self, provider: LiteLLMProvider, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("UPSTREAM_KEY")
        with pytest.raises(errors.MissingKeyError, match="UPSTREAM_KEY"):
            await run(provider, chat(upstream))
        assert upstream.sent == []

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES])
    async def test_no_answer_in_time(
        self, provider: LiteLLMProvider, upstream: Upstream, dialect: Dialect, stream: bool
    ) -> None:
        upstream.hang = True
        made = replace(self.made(upstream, dialect, stream), timeout_s=0.1)
        with pytest.raises(errors.ProviderTimeoutError, match=r"0\.1 s"):
            await run(provider, made)
        await asyncio.wait_for(upstream.left.wait(), 5)

    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES])
    async def test_a_stall(
        self, provider: LiteLLMProvider, upstream: Upstream, dialect: Dialect
    ) -> None:
        upstream.events = self.begun(dialect)
        upstream.hang = True
        made = replace(self.made(upstream, dialect, True), stall_s=0.1)
        with pytest.raises(errors.ProviderTimeoutError, match=r"nothing for 0\.1 s"):
            await run(provider, made)
        await asyncio.wait_for(upstream.left.wait(), 5)

    @pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES])
    async def test_closing_cancels_the_upstream(
        self, provider: LiteLLMProvider, upstream: Upstream, dialect: Dialect
    ) -> None:
        upstream.events = self.begun(dialect)
        upstream.hang = True
        async with aclosing(provider.stream(self.made(upstream, dialect, True))) as answer:
            async for got in answer:
                if "Hel" in got.text:
                    break
        await asyncio.wait_for(upstream.left.wait(), 5)

    async def test_a_cancelled_task_cancels_the_upstream(
        self, provider: LiteLLMProvider, upstream: Upstream
    ) -> None:
        upstream.hang = True
        task = asyncio.create_task(run(provider, chat(upstream)))
        await asyncio.wait_for(upstream.asked.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(upstream.left.wait(), 5)

    @staticmethod
    def begun(dialect: Dialect) -> list[bytes]:
        talk = [e for e in CLAUDE_TALKS if b"thinking" not in e and b"signature" not in e]
        return CORP_TALKS[:2] if dialect is Dialect.MESSAGES else talk[:5]

    @staticmethod
    def made(upstream: Upstream, dialect: Dialect, stream: bool) -> Call:
        if dialect is Dialect.MESSAGES:
            return messages(upstream, stream=stream)
        if dialect is Dialect.CHAT:
            return chat(upstream, stream=stream)
        body = {"model": "x", "input": "hi", "stream": stream}
        return call(claude(upstream), dialect, body)


async def test_importing_the_provider_imports_no_litellm() -> None:
    code = (
        "import sys, mmrouter.bootstrap, mmrouter.providers.litellm; "
        "sys.exit('litellm' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


class replayed:  # noqa: N801 - used like a function
    """A server that answers with these pieces, for the official SDKs to read."""

    def __init__(self, chunks: list[Chunk], finish: Finish) -> None:
        self._raw = b"".join([*(c.data for c in chunks), finish.data])

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(body=self._raw, content_type="text/event-stream")
