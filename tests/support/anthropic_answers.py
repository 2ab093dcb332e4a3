"""Answers of the shapes that Anthropic's API sends, by feature, as in `openai_answers`."""

from __future__ import annotations

from typing import Any

from tests.support.openai_answers import WEATHER, Case, Json

QUESTION = [{"role": "user", "content": "What is the weather in Paris, in °C?"}]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
)
TOOL = {"name": "get_weather", "description": "Current weather", "input_schema": WEATHER}
USAGE = {
    "input_tokens": 107,
    "cache_creation_input_tokens": 2051,
    "cache_read_input_tokens": 8000,
    "cache_creation": {"ephemeral_5m_input_tokens": 2000, "ephemeral_1h_input_tokens": 51},
    "output_tokens": 87,
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    "service_tier": "standard",
}
_CALLS = [
    {
        "type": "tool_use",
        "id": f"toolu_01{city}D7FLrfh4GYq7yT1ULFeyMV",
        "name": "get_weather",
        "input": {"city": city, "unit": "°C"},
    }
    for city in ("Paris", "Oslo")
]
_THOUGHT = {
    "type": "thinking",
    "thinking": "Paris in winter…",
    "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds",
}
_HIDDEN = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIw"}
_CACHED = {"type": "ephemeral", "ttl": "1h"}


def text(words: str = "12 °C.", **changes: Any) -> Json:
    """A text block."""
    return {"type": "text", "text": words, **changes}


def whole(*content: Json, stop: str = "end_turn", **changes: Any) -> Json:
    """A `message`."""
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": list(content) or [text()],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": USAGE,
        **changes,
    }


def events(message: Json) -> list[Json]:
    """The events that spell this message out."""
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**message["usage"], "output_tokens": 1},
    }
    listed: list[Json] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(message["content"]):
        empty, deltas = _spelled(block)
        listed.append({"type": "content_block_start", "index": index, "content_block": empty})
        listed += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        listed.append({"type": "content_block_stop", "index": index})
    ended = {k: message[k] for k in ("stop_reason", "stop_sequence")}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    return [
        *listed,
        {"type": "message_delta", "delta": ended, "usage": usage},
        {"type": "message_stop"},
    ]


def _spelled(block: Json) -> tuple[Json, list[Json]]:
    """A block's empty start, and the deltas that fill it."""
    kind = block["type"]
    if kind == "text":
        half = len(block["text"]) // 2
        halves = (block["text"][:half], block["text"][half:])
        cited = [{"type": "citations_delta", "citation": c} for c in block.get("citations") or ()]
        return {**block, "text": ""}, [*cited, *({"type": "text_delta", "text": p} for p in halves)]
    if kind == "thinking":
        return {**block, "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    if kind in ("tool_use", "server_tool_use"):
        parts = ("", '{"city": "Pa', 'ris", "unit": "°C"}')
        return {**block, "input": {}}, [
            {"type": "input_json_delta", "partial_json": p} for p in parts
        ]
    return block, []


def _case(name: str, request: Json, message: Json, headers: Json | None = None) -> Case:
    given = {"max_tokens": 1024, "messages": QUESTION, **request}
    return Case(name, given, message, events(message), headers)


def _ask(*parts: Json) -> Json:
    return {"messages": [{"role": "user", "content": [*parts, text("What is this?")]}]}


MESSAGES = [
    _case("text", {}, whole()),
    _case(
        "conversation: system, blocks, prefill",
        {
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": [text("Hi")]},
                {"role": "assistant", "content": "Oui ?"},
                *QUESTION,
                {"role": "assistant", "content": "It is"},
            ],
        },
        whole(text(" 12 °C.")),
    ),
    _case(
        "tools, parallel calls",
        {
            "tools": [TOOL, {"type": "bash_20250124", "name": "bash"}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": False},
        },
        whole(text("Looking."), *_CALLS, stop="tool_use"),
    ),
    _case(
        "tool results, with errors and images",
        {
            "tools": [TOOL],
            "messages": [
                *QUESTION,
                {"role": "assistant", "content": _CALLS},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": _CALLS[0]["id"],
                            "content": [
                                text("12"),
                                {
                                    "type": "image",
                                    "source": {
                                        "type": "base64",
                                        "media_type": "image/png",
                                        "data": PIXEL,
                                    },
                                },
                            ],
                        },
                        {
                            "type": "tool_result",
                            "tool_use_id": _CALLS[1]["id"],
                            "content": "no such city",
                            "is_error": True,
                        },
                    ],
                },
            ],
        },
        whole(),
    ),
    _case(
        "thinking with signatures, redacted thinking",
        {"thinking": {"type": "enabled", "budget_tokens": 1000}, "max_tokens": 4096},
        whole(_THOUGHT, _HIDDEN, text()),
    ),
    _case(
        "thinking blocks sent back",
        {
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "max_tokens": 4096,
            "tools": [TOOL],
            "messages": [
                *QUESTION,
                {"role": "assistant", "content": [_THOUGHT, _HIDDEN, _CALLS[0]]},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": _CALLS[0]["id"]}],
                },
            ],
        },
        whole(_THOUGHT, text()),
    ),
    _case(
        "images inline and by URL",
        _ask(
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
            },
            {"type": "image", "source": {"type": "url", "url": "https://example.org/é.png"}},
        ),
        whole(text("A pixel.")),
    ),
    _case(
        "documents, citations",
        _ask(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "12 °C today."},
                "title": "Météo",
                "citations": {"enabled": True},
            }
        ),
        whole(
            text(
                citations=[
                    {
                        "type": "char_location",
                        "cited_text": "12 °C today.",
                        "document_index": 0,
                        "document_title": "Météo",
                        "start_char_index": 0,
                        "end_char_index": 12,
                        "file_id": None,
                    }
                ]
            )
        ),
    ),
    _case(
        "cache_control on system, tools and messages; cache usage",
        {
            "system": [text("Be brief."), text("Long rules… " * 500, cache_control=_CACHED)],
            "tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": [text("Hi", cache_control=_CACHED)]}],
        },
        whole(),
        {"anthropic-beta": "extended-cache-ttl-2025-04-11"},
    ),
    _case(
        "stop_sequences, sampling, metadata, service tier",
        {
            "stop_sequences": ["\n\nHuman:", "🛑"],
            "metadata": {"user_id": "13803d75-b4b5"},
            "service_tier": "standard_only",
            "extra_body": {"temperature": 1e-7, "top_k": 5, "top_p": 0.7},
        },
        whole(stop="stop_sequence", stop_sequence="🛑"),
    ),
    _case(
        "max_tokens reached",
        {"max_tokens": 1},
        whole(text("12"), stop="max_tokens"),
    ),
    _case(
        "structured output: JSON schema",
        {"output_config": {"format": {"type": "json_schema", "schema": WEATHER}}},
        whole(text('{"city": "Paris", "unit": "°C"}')),
    ),
    _case(
        "server tools: web search, pause_turn",
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
        whole(
            {
                "type": "server_tool_use",
                "id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE",
                "name": "web_search",
                "input": {"query": "météo Paris"},
            },
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE",
                "content": [
                    {
                        "type": "web_search_result",
                        "url": "https://example.org/",
                        "title": "Météo",
                        "encrypted_content": "EqgfCioIARgBIiQ3YTAwMjY1Mi1mZjM5LTQ1NGUt",
                        "page_age": None,
                    }
                ],
            },
            text(),
            stop="pause_turn",
        ),
    ),
    _case("stop_reason refusal", {}, whole(text(""), stop="refusal")),
    _case(
        "beta headers",
        {},
        whole(),
        {"anthropic-beta": "context-1m-2025-08-07,interleaved-thinking-2025-05-14"},
    ),
    _case(
        "unknown fields, in and out (extra_body)",
        {
            "messages": [{**QUESTION[0], "x_note": {"a": [None, {}]}}],
            "extra_body": {"x_hint": {"π": [1e-7, None, [], 12345678901234567]}, "nothing": None},
        },
        whole(text(x_mark="π"), x_timings={"π": [1e-7, None, []]}),
    ),
]
