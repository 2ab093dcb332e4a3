"""Each official SDK with a model of the other kind, over real sockets: what works, what is refused.

LiteLLM translates. What it cannot carry is answered with a 400 that names the field, and nothing is
sent: nothing is dropped in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.support import anthropic_answers as ant
from tests.support import openai_answers as oai
from tests.support.openai_answers import Json
from tests.support.tables import Page
from tests.support.upstream import DONE, Handler, Upstream, send

_TO_ANTHROPIC = "Translated: the `openai` SDK and a Claude model"
_TO_OPENAI = "Translated: the `anthropic` SDK and an OpenAI-compatible model"
_REFUSED = "refused by name: 400"

Call = tuple[str, Json]
"""A tool's name and its arguments."""


@dataclass(frozen=True)
class Translated:
    """One feature.

    Attributes:
        request: for the SDK's method.
        answer: what the upstream answers, in its own dialect.
        arrived: says of the upstream's request that the feature is in it.
    """

    name: str
    request: Json
    answer: Json
    arrived: Callable[[Json], bool]


def _anthropic_upstream(answer: Json) -> Handler:
    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response(answer)
        lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in ant.events(answer))
        return await send(request, [line.encode() for line in lines])

    return handler


def _openai_upstream(answer: Json) -> Handler:
    message = answer["choices"][0]["message"]
    deltas = [{"content": part} for part in (message["content"] or "").partition(" ") if part]
    deltas += [
        {"tool_calls": [{"index": index, **call}]}
        for index, call in enumerate(message.get("tool_calls") or ())
    ]
    events = oai.chunks(*deltas, finish=answer["choices"][0]["finish_reason"])
    events.append(oai.chunk([], usage=answer["usage"]))

    async def handler(request: web.Request, body: Json) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response(answer)
        lines = (f"data: {json.dumps(event)}\n\n" for event in events)
        return await send(request, [*(line.encode() for line in lines), DONE])

    return handler


def _last(body: Json) -> Any:
    return body["messages"][-1]["content"]


_TOOL_CALLS = [("get_weather", {"city": city, "unit": "°C"}) for city in ("Paris", "Oslo")]
_ANT_CALLS = next(c for c in ant.MESSAGES if c.name.startswith("tools")).answer or {}
_OAI_CALLS = oai.whole({"content": None, "tool_calls": oai.CALLS}, "tool_calls")


def _chat(prefix: str) -> Json:
    return next(case for case in oai.CHAT if case.name.startswith(prefix)).request


def _messages(prefix: str) -> Json:
    return next(case for case in ant.MESSAGES if case.name.startswith(prefix)).request


TO_ANTHROPIC = [
    Translated("text", _chat("text"), ant.whole(), lambda b: b["model"] == "up-claude"),
    Translated(
        "system prompt",
        {"messages": [{"role": "system", "content": "Be brief."}, *oai.QUESTION]},
        ant.whole(),
        lambda b: b["system"][0]["text"] == "Be brief.",
    ),
    Translated(
        "tools, parallel calls",
        _chat("tools, parallel"),
        _ANT_CALLS,
        lambda b: b["tools"][0]["name"] == "get_weather",
    ),
    Translated(
        "tool results",
        _chat("tool results"),
        ant.whole(),
        lambda b: {block["type"] for block in _last(b)} == {"tool_result"} and len(_last(b)) == 2,
    ),
    Translated(
        "images inline",
        {"messages": oai.ask({"type": "image_url", "image_url": {"url": oai.PIXEL}})},
        ant.whole(),
        lambda b: _last(b)[1]["source"]["type"] == "base64",
    ),
    Translated(
        "stop, temperature, max_completion_tokens",
        {
            "messages": oai.QUESTION,
            "stop": ["END"],
            "temperature": 0.5,
            "max_completion_tokens": 7,
        },
        ant.whole(),
        lambda b: (b["stop_sequences"], b["temperature"], b["max_tokens"]) == (["END"], 0.5, 7),
    ),
]

TO_OPENAI = [
    Translated("text", _messages("text"), oai.whole(), lambda b: b["model"] == "up-gpt"),
    Translated(
        "system prompt",
        {**_messages("text"), "system": [{"type": "text", "text": "Be brief."}]},
        oai.whole(),
        lambda b: b["messages"][0]["role"] == "system" and "Be brief." in str(b["messages"][0]),
    ),
    Translated(
        "tools, parallel calls",
        {**_messages("text"), "tools": [ant.TOOL], "tool_choice": {"type": "any"}},
        _OAI_CALLS,
        lambda b: b["tools"][0]["function"]["name"] == "get_weather",
    ),
    Translated(
        "tool results",
        {
            **_messages("tool results"),
            "messages": [
                *ant.QUESTION,
                {"role": "assistant", "content": _ANT_CALLS["content"]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": call["id"], "content": "12"}
                        for call in _ANT_CALLS["content"][1:]
                    ],
                },
            ],
        },
        oai.whole(),
        lambda b: [m["role"] for m in b["messages"]] == ["user", "assistant", "tool", "tool"],
    ),
    Translated(
        "images inline",
        {
            **_messages("text"),
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": ant.PIXEL,
                            },
                        },
                        {"type": "text", "text": "What is this?"},
                    ],
                }
            ],
        },
        oai.whole(),
        lambda b: any(part["type"] == "image_url" for part in _last(b)),
    ),
    Translated(
        "stop_sequences, temperature, top_k, max_tokens",
        {
            **_messages("text"),
            "max_tokens": 7,
            "stop_sequences": ["END"],
            "extra_body": {"temperature": 0.5, "top_k": 5},
        },
        oai.whole({"content": "12 °"}, "length"),
        lambda b: (b["stop"], b["temperature"], b["top_k"]) == (["END"], 0.5, 5),
    ),
]

_STOPS = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@STREAMED
@pytest.mark.parametrize("case", TO_ANTHROPIC, ids=lambda case: case.name)
async def test_the_openai_sdk_and_a_claude_model(
    case: Translated, stream: bool, server: str, recorder: Upstream, compatibility: Page
) -> None:
    recorder.handler = _anthropic_upstream(case.answer)
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        got: Any
        if stream:
            async with client.chat.completions.stream(model="claude", **case.request) as events:
                got = await events.get_final_completion()
        else:
            got = await client.chat.completions.create(model="claude", **case.request)
    body = recorder.seen[0].body
    assert recorder.seen[0].path == "/v1/messages"
    assert case.arrived(body), body
    blocks = case.answer["content"]
    message = got.choices[0].message
    assert (message.content or "") == "".join(b.get("text", "") for b in blocks)
    assert [
        (c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()
    ] == [("get_weather", _spelled(b, stream)) for b in blocks if b["type"] == "tool_use"]
    assert got.choices[0].finish_reason == _STOPS[case.answer["stop_reason"]]
    compatibility.note(_TO_ANTHROPIC, case.name, "streamed" if stream else "whole", "✓")


def _spelled(block: Json, stream: bool) -> Json:
    """A call's arguments; `anthropic_answers.events` spells all of them as the first one's."""
    return {"city": "Paris", "unit": "°C"} if stream else block["input"]


@STREAMED
@pytest.mark.parametrize("case", TO_OPENAI, ids=lambda case: case.name)
async def test_the_anthropic_sdk_and_an_openai_model(
    case: Translated, stream: bool, server: str, recorder: Upstream, compatibility: Page
) -> None:
    recorder.handler = _openai_upstream(case.answer)
    async with AsyncAnthropic(base_url=server, api_key="none", max_retries=0) as client:
        got: Any
        if stream:
            async with client.messages.stream(model="gpt", **case.request) as events:
                got = await events.get_final_message()
        else:
            got = await client.messages.create(model="gpt", **case.request)
    body = recorder.seen[0].body
    assert recorder.seen[0].path == "/v1/chat/completions"
    assert case.arrived(body), body
    choice = case.answer["choices"][0]
    texts = [block.text for block in got.content if block.type == "text"]
    assert "".join(texts) == (choice["message"]["content"] or "")
    calls = [(block.name, block.input) for block in got.content if block.type == "tool_use"]
    assert calls == (_TOOL_CALLS if choice["message"].get("tool_calls") else [])
    assert _STOPS[str(got.stop_reason)] == choice["finish_reason"]
    usage = got.usage
    assert usage.output_tokens == oai.USAGE["completion_tokens"]
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0)
    assert prompt == oai.USAGE["prompt_tokens"]
    compatibility.note(_TO_OPENAI, case.name, "streamed" if stream else "whole", "✓")


_CHAT_REFUSED: dict[str, Json] = {
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "seed": {"seed": 1},
    "prediction": {"prediction": {"type": "content", "content": "12"}},
    "audio": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}},
    "x_unknown": {"extra_body": {"x_unknown": {"π": 1}}},
}
_MESSAGES_REFUSED: dict[str, Json] = {
    "container": {"container": "container_1"},
    "x_unknown": {"extra_body": {"x_unknown": {"π": 1}}},
}


@STREAMED
@pytest.mark.parametrize("field", _CHAT_REFUSED)
async def test_what_a_claude_model_cannot_be_told_is_refused_by_name(
    field: str, stream: bool, server: str, recorder: Upstream, compatibility: Page
) -> None:
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match=field) as caught:
            given: Json = {"messages": oai.QUESTION, "stream": stream, **_CHAT_REFUSED[field]}
            await client.chat.completions.create(model="claude", **given)
    assert caught.value.param in (field, "modalities")
    assert not recorder.seen
    row = f"`{field}`"
    compatibility.note(_TO_ANTHROPIC, row, "streamed" if stream else "whole", _REFUSED)


@STREAMED
@pytest.mark.parametrize("field", _MESSAGES_REFUSED)
async def test_what_an_openai_model_cannot_be_told_is_refused_by_name(
    field: str, stream: bool, server: str, recorder: Upstream, compatibility: Page
) -> None:
    async with AsyncAnthropic(base_url=server, api_key="none", max_retries=0) as client:
        with pytest.raises(anthropic.BadRequestError, match=field):
            given: Json = {"messages": ant.QUESTION, "stream": stream, **_MESSAGES_REFUSED[field]}
            await client.messages.create(model="gpt", max_tokens=9, **given)
    assert not recorder.seen
    row = f"`{field}`"
    compatibility.note(_TO_OPENAI, row, "streamed" if stream else "whole", _REFUSED)
