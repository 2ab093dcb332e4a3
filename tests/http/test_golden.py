"""Nothing is lost on the way: every documented parameter and some invented ones go up unchanged,
and every byte comes down unchanged, but for what is documented here:

- the model's name, which becomes the upstream's;
- `stream_options.include_usage` on chat streams, and the event that it makes the upstream send,
  which is hidden where the client did not ask for it;
- one comment line in the stream's last event: `: x-mmrouter-cost 0.000123`;
- comments before a stream's first event: until that one comes, another model may still answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from anthropic.types.message_create_params import MessageCreateParamsBase
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from tests.support import anthropic_answers, openai_answers
from tests.support.openai_answers import Json
from tests.support.upstream import DONE, Upstream, send

_INVENTED: Json = {
    "x_nested": {"π": [[[]], {}, {"": None, 'a\u0000b"\\/': "\u2028😀\ufffe"}]},
    "x_numbers": [2**64 - 1, -(2**63), 2**53 + 1, 1e-7, 5e-324, 1.7976931348623157e308, -0.0, 1.0],
    "x_integers": [2**64, -(2**63) - 1, 10**100],
    "x_nothing": [None, [], {}, "", False, 0],
}

_CHAT: Json = {
    "messages": [
        {"role": "developer", "content": "Be brief.", "name": "ops"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Weather in Paris?"},
                {"type": "image_url", "image_url": {"url": openai_answers.PIXEL, "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": openai_answers.CALLS},
        {"role": "tool", "tool_call_id": openai_answers.CALLS[0]["id"], "content": "12"},
    ],
    "audio": {"voice": "alloy", "format": "mp3"},
    "frequency_penalty": 1e-7,
    "function_call": "none",
    "functions": [{"name": "old", "parameters": {"type": "object", "properties": {}}}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 100,
    "max_tokens": 100,
    "metadata": {"team": "blå"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni-moderation-latest"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "12 °C"},
    "presence_penalty": -2,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "minimal",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "w", "schema": openai_answers.WEATHER, "strict": None},
    },
    "safety_identifier": "s",
    "seed": 2**53 + 1,
    "service_tier": "priority",
    "stop": ["\n", "🛑"],
    "store": False,
    "stream_options": {"include_obfuscation": False},
    "temperature": 0.1,
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "tools": [openai_answers.TOOL],
    "top_logprobs": 20,
    "top_p": 1,
    "user": "u",
    "verbosity": "high",
    "web_search_options": {"search_context_size": "low"},
}

_RESPONSES: Json = {
    "background": False,
    "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    "conversation": {"id": "conv_1"},
    "include": ["reasoning.encrypted_content"],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text"}]},
        {"type": "item_reference", "id": "msg_1"},
    ],
    "instructions": "Be brief.",
    "max_output_tokens": 100,
    "max_tool_calls": 2,
    "metadata": {"team": "blå"},
    "moderation": {"model": "omni-moderation-latest"},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Paris"}},
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "reasoning": {"effort": "low", "summary": None},
    "safety_identifier": "s",
    "service_tier": "flex",
    "store": True,
    "stream_options": {"include_obfuscation": False},
    "temperature": 1e-7,
    "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    "tool_choice": "required",
    "tools": [
        {"type": "web_search"},
        {"type": "mcp", "server_label": "a", "server_url": "http://a"},
    ],
    "top_logprobs": 5,
    "top_p": 1.0,
    "truncation": "auto",
    "user": "u",
}

_MESSAGES: Json = {
    "cache_control": {"type": "ephemeral"},
    "container": "container_1",
    "diagnostics": {"previous_message_id": None},
    "inference_geo": "eu",
    "max_tokens": 100,
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "document",
                    "source": {"type": "url", "url": "https://example.org/a.pdf"},
                    "citations": {"enabled": True},
                },
                {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "…", "signature": "EqQB=="},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"é": -0.0}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]},
    ],
    "metadata": {"user_id": None},
    "output_config": {"effort": "low"},
    "service_tier": "auto",
    "speed": "fast",
    "stop_sequences": ["\n\nHuman:"],
    "system": [{"type": "text", "text": "Be brief. " * 1000}],
    "thinking": {"type": "enabled", "budget_tokens": 50},
    "tool_choice": {"type": "tool", "name": "get_weather"},
    "tools": [anthropic_answers.TOOL],
    "user_profile_id": "p",
    "workspace_id": "w",
}


def _named(event: Json) -> bytes:
    """An event as most servers write it."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _bare(event: Json) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def _chat_stream() -> list[bytes]:
    """With what some upstreams add: comments, ids, retry times, odd spaces and line ends."""
    first, *rest = (_bare(event) for event in openai_answers.texts("12 °C", "😀"))
    return [
        b"id: 1\nretry: 10\n" + first,
        b": OPENROUTER PROCESSING\n\n",
        *(event.replace(b"\n\n", b"\r\n\r\n").replace(b": ", b":", 1) for event in rest),
    ]


@dataclass(frozen=True)
class Golden:
    """One surface over an upstream of its own dialect.

    Attributes:
        documented: the SDK's parameters.
        events: what the upstream streams.
        hidden: what it streams that the client must not see.
        end: the stream's end marker.
    """

    path: str
    model: str
    documented: type
    body: Json
    answer: Json
    events: Callable[[], list[bytes]]
    hidden: bytes = b""
    end: bytes = b""


_WHOLE_MESSAGE = anthropic_answers.MESSAGES[4].answer or {}
GOLDEN = {
    "chat": Golden(
        "/v1/chat/completions",
        "gpt",
        CompletionCreateParamsBase,
        _CHAT,
        openai_answers.whole(x_new={"π": 1e-7}),
        _chat_stream,
        hidden=_bare(openai_answers.chunk([], usage=openai_answers.USAGE)),
        end=DONE,
    ),
    "responses": Golden(
        "/v1/responses",
        "gpt",
        ResponseCreateParamsBase,
        _RESPONSES,
        openai_answers.response(x_new={"π": 1e-7}),
        lambda: [_named(e) for e in openai_answers.RESPONSES[0].events or ()],
    ),
    "messages": Golden(
        "/v1/messages",
        "claude",
        MessageCreateParamsBase,
        _MESSAGES,
        _WHOLE_MESSAGE,
        lambda: [_named(e) for e in anthropic_answers.events(_WHOLE_MESSAGE)],
    ),
}


def _exact(value: Any) -> str:
    """JSON as text, so that 1 and 1.0, or 0.0 and -0.0, are not the same."""
    return json.dumps(value, sort_keys=True)


async def _post(url: str, body: bytes) -> bytes:
    headers = {"content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        return await response.read()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("surface", GOLDEN)
async def test_every_parameter_goes_up_and_every_byte_comes_down(
    surface: str, stream: bool, server: str, recorder: Upstream
) -> None:
    golden = GOLDEN[surface]
    odd = json.dumps(golden.answer, indent=1, ensure_ascii=False).replace("\n", "\r\n").encode()

    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        if not body.get("stream"):
            return web.Response(body=odd, content_type="application/json")
        waiting = b": still thinking\n\n"
        return await send(request, [waiting, *golden.events(), golden.hidden, golden.end])

    recorder.handler = handler
    sent = {**golden.body, **_INVENTED, "model": golden.model, "stream": stream}
    got = await _post(server + golden.path, json.dumps(sent).encode())

    expected = {**sent, "model": f"up-{golden.model}"}
    if stream and surface == "chat":
        expected["stream_options"] = {**golden.body["stream_options"], "include_usage": True}
    assert _exact(recorder.seen[0].body) == _exact(expected)
    if stream:
        ours = re.compile(rb": x-mmrouter-cost \d+\.\d{9}\n")
        assert len(ours.findall(got)) == 1
        assert ours.sub(b"", got) == b"".join(golden.events()) + golden.end
    else:
        assert got == odd


@pytest.mark.parametrize("surface", GOLDEN)
def test_every_documented_parameter_is_there(surface: str) -> None:
    golden = GOLDEN[surface]
    assert set(golden.documented.__annotations__) - {"model"} == set(golden.body)


async def test_a_chat_client_that_asks_for_usage_gets_the_upstreams_own(
    server: str, recorder: Upstream
) -> None:
    golden = GOLDEN["chat"]
    events = [*golden.events(), golden.hidden, golden.end]

    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        return await send(request, events)

    recorder.handler = handler
    options = {"include_usage": True}
    sent = {**golden.body, "model": "gpt", "stream": True, "stream_options": options}
    got = await _post(server + golden.path, json.dumps(sent).encode())
    assert recorder.seen[0].body["stream_options"] == options
    assert re.sub(rb": x-mmrouter-cost .*\n", b"", got) == b"".join(events)


@pytest.mark.parametrize("surface", GOLDEN)
async def test_an_answer_that_was_not_foreseen_comes_down_as_it_is(
    surface: str, server: str, recorder: Upstream
) -> None:
    odd = b' {"id": 7, "choices": "none", "content": null, "output": {}, "usage": [1], "n": 1e300}'

    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        return web.Response(body=odd, content_type="application/json")

    recorder.handler = handler
    golden = GOLDEN[surface]
    body = {**golden.body, "model": golden.model}
    assert await _post(server + golden.path, json.dumps(body).encode()) == odd
