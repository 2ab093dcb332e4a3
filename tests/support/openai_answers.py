"""Answers of the shapes that OpenAI's API sends, by feature: the request, the whole answer, and the
events of the streamed one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One feature of an API.

    Attributes:
        request: arguments of the SDK's method, but for model and stream.
        answer: the whole answer; None where the feature exists on streams only.
        events: the streamed answer, None where it cannot be streamed.
        headers: that the upstream must see.
    """

    name: str
    request: Json
    answer: Json | None = None
    events: Sequence[Json] | None = None
    headers: Json | None = None

    @property
    def sent(self) -> Json:
        """The JSON that the SDK makes of the request, but for model and stream."""
        own = {k: v for k, v in self.request.items() if not k.startswith("extra_")}
        return {**own, **self.request.get("extra_body", {})}


QUESTION = [{"role": "user", "content": "What is the weather in Paris, in °C?"}]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["°C", "°F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather",
        "parameters": WEATHER,
        "strict": True,
    },
}
CALLS = [
    {
        "id": f"call_{city}9NnX3kKjTqdZ",
        "type": "function",
        "function": {
            "name": "get_weather",
            "arguments": json.dumps({"city": city, "unit": "°C"}, ensure_ascii=False),
        },
    }
    for city in ("Paris", "Oslo")
]
USAGE = {
    "prompt_tokens": 1131,
    "completion_tokens": 87,
    "total_tokens": 1218,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 64,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_HEAD = {
    "id": "chatcmpl-BvXj2Qp7mVtL8sYw",
    "created": 1753000000,
    "model": "gpt-5-mini-2025-08-07",
    "service_tier": "default",
    "system_fingerprint": "fp_560af6e559",
}
LOGPROBS: Json = {
    "content": [
        {
            "token": "Par",
            "logprob": -0.0012345678,
            "bytes": [80, 97, 114],
            "top_logprobs": [
                {"token": "Par", "logprob": -0.0012345678, "bytes": [80, 97, 114]},
                {"token": "…", "logprob": -9999.0, "bytes": [226, 128, 166]},
            ],
        }
    ],
    "refusal": None,
}


def whole(message: Json | None = None, finish: str = "stop", **changes: Any) -> Json:
    """A `chat.completion` with one choice."""
    said: Json = {"role": "assistant", "content": "12 °C.", "refusal": None, "annotations": []}
    choice = {
        "index": 0,
        "message": {**said, **(message or {})},
        "logprobs": None,
        "finish_reason": finish,
    }
    return {
        **_HEAD,
        "object": "chat.completion",
        "choices": [choice],
        "usage": USAGE,
        **changes,
    }


def chunk(choices: list[Json], **changes: Any) -> Json:
    """A `chat.completion.chunk`."""
    return {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **changes}


def chunks(*deltas: Json, finish: str = "stop", index: int = 0) -> list[Json]:
    """The chunks of one choice, from the role to the reason why it ended."""
    first = {"role": "assistant", "content": "", "refusal": None}
    rows: list[tuple[Json, str | None]] = [
        (first, None),
        *((d, None) for d in deltas),
        ({}, finish),
    ]
    return [
        chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": end}])
        for delta, end in rows
    ]


def texts(*words: str, finish: str = "stop", index: int = 0) -> list[Json]:
    """The chunks of a text."""
    return chunks(*({"content": word} for word in words), finish=finish, index=index)


_CALL_DELTAS = [
    delta
    for index, call in enumerate(CALLS)
    for delta in (
        {
            "tool_calls": [
                {
                    "index": index,
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": ""},
                }
            ]
        },
        *(
            {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
            for part in ('{"ci', 'ty": "Par', 'is"}')
        ),
    )
]
_CITATION = {
    "type": "url_citation",
    "url_citation": {
        "start_index": 0,
        "end_index": 6,
        "title": "Météo",
        "url": "https://example.org/",
    },
}
_VOICE = {
    "id": "audio_68a",
    "data": SOUND,
    "expires_at": 1753003600,
    "transcript": "Twelve degrees.",
}


def ask(*parts: Json) -> list[Json]:
    """A question about these parts."""
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}]


CHAT = [
    Case("text", {"messages": QUESTION}, whole(), texts("12", " °C", ".")),
    Case(
        "conversation: system, developer, names",
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "In French."}]},
                {"role": "user", "name": "ann", "content": "Hi"},
                {"role": "assistant", "content": "Oui ?", "refusal": None},
                *QUESTION,
            ]
        },
        whole({"content": "12 °C !"}),
        texts("12 °C", " !"),
    ),
    Case(
        "tools, parallel calls",
        {
            "messages": QUESTION,
            "tools": [TOOL],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
        },
        whole({"content": None, "tool_calls": CALLS}, "tool_calls"),
        chunks(*_CALL_DELTAS, finish="tool_calls"),
    ),
    Case(
        "tool results",
        {
            "messages": [
                *QUESTION,
                {"role": "assistant", "content": None, "tool_calls": CALLS},
                {"role": "tool", "tool_call_id": CALLS[0]["id"], "content": '{"t": 12}'},
                {
                    "role": "tool",
                    "tool_call_id": CALLS[1]["id"],
                    "content": [{"type": "text", "text": "error: no such city"}],
                },
            ],
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        },
        whole(),
        texts("12 °C."),
    ),
    Case(
        "custom tools, allowed tools",
        {
            "messages": QUESTION,
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "sql",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "regex", "definition": "SELECT .*"},
                        },
                    },
                }
            ],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "custom", "custom": {"name": "sql"}}],
                },
            },
        },
        whole(
            {
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_c1",
                        "type": "custom",
                        "custom": {"name": "sql", "input": "SELECT 1"},
                    }
                ],
            },
            "tool_calls",
        ),
        chunks(
            {
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "call_c1",
                        "type": "custom",
                        "custom": {"name": "sql", "input": ""},
                    }
                ]
            },
            {"tool_calls": [{"index": 0, "custom": {"input": "SELECT 1"}}]},
            finish="tool_calls",
        ),
    ),
    Case(
        "functions (the older form)",
        {
            "messages": QUESTION,
            "functions": [TOOL["function"]],
            "function_call": {"name": "get_weather"},
        },
        whole({"content": None, "function_call": CALLS[0]["function"]}, "function_call"),
        chunks(
            {"function_call": {"name": "get_weather", "arguments": ""}},
            {"function_call": {"arguments": "{}"}},
            finish="function_call",
        ),
    ),
    Case(
        "images by URL and inline",
        {
            "messages": ask(
                {
                    "type": "image_url",
                    "image_url": {"url": "https://example.org/é.png", "detail": "high"},
                },
                {"type": "image_url", "image_url": {"url": PIXEL}},
            )
        },
        whole({"content": "A pixel."}),
        texts("A pixel."),
    ),
    Case(
        "audio parts in",
        {"messages": ask({"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}})},
        whole({"content": "Silence."}),
        texts("Silence."),
    ),
    Case(
        "audio out",
        {
            "messages": QUESTION,
            "modalities": ["text", "audio"],
            "audio": {"voice": "alloy", "format": "pcm16"},
        },
        whole({"content": None, "audio": _VOICE}),
        chunks(
            {"audio": {"id": "audio_68a", "transcript": "Twelve"}},
            {"audio": {"data": SOUND}},
            {"audio": {"expires_at": 1753003600}},
        ),
    ),
    Case(
        "files",
        {
            "messages": ask(
                {
                    "type": "file",
                    "file": {
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0=",
                    },
                },
                {"type": "file", "file": {"file_id": "file-6F2ksmvXxt4VdoqmHRw6kL"}},
            )
        },
        whole({"content": "A report."}),
        texts("A report."),
    ),
    Case(
        "response_format: JSON schema",
        {
            "messages": QUESTION,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "weather", "schema": WEATHER, "strict": True},
            },
        },
        whole({"content": '{"city": "Paris", "unit": "°C"}'}),
        texts('{"city": ', '"Paris", "unit": "°C"}'),
    ),
    Case(
        "logprobs, top_logprobs",
        {"messages": QUESTION, "logprobs": True, "top_logprobs": 2},
        whole(
            choices=[
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Par", "refusal": None},
                    "logprobs": LOGPROBS,
                    "finish_reason": "stop",
                }
            ]
        ),
        [
            chunk(
                [
                    {
                        "index": 0,
                        "delta": {"content": "Par"},
                        "logprobs": LOGPROBS,
                        "finish_reason": None,
                    }
                ]
            ),
            *texts(),
        ],
    ),
    Case(
        "n: several choices",
        {"messages": QUESTION, "n": 2},
        whole(
            choices=[
                {**whole({"content": text})["choices"][0], "index": index}
                for index, text in enumerate(("12 °C.", "Twelve."))
            ]
        ),
        [
            event
            for pair in zip(texts("12", " °C."), texts("Twel", "ve.", index=1), strict=True)
            for event in pair
        ],
    ),
    Case(
        "seed, system_fingerprint",
        {"messages": QUESTION, "seed": 9_007_199_254_740_993},
        whole(system_fingerprint="fp_ünïcode"),
        [{**event, "system_fingerprint": "fp_ünïcode"} for event in texts("12")],
    ),
    Case(
        "stop, sampling, bias",
        {
            "messages": QUESTION,
            "stop": ["\n\n", "END", "🛑", "</s>"],
            "temperature": 1e-7,
            "top_p": 0.95,
            "presence_penalty": -2.0,
            "frequency_penalty": 0.1,
            "logit_bias": {"50256": -100, "1734": 5},
        },
        whole(),
        texts("12 °C."),
    ),
    Case(
        "max_completion_tokens, finish_reason length",
        {"messages": QUESTION, "max_completion_tokens": 2},
        whole({"content": "12 °"}, "length"),
        texts("12", " °", finish="length"),
    ),
    Case(
        "reasoning_effort, verbosity, reasoning_content",
        {"messages": QUESTION, "reasoning_effort": "high", "verbosity": "low"},
        whole({"reasoning_content": "Paris in winter…"}),
        chunks({"reasoning_content": "Paris in winter…"}, {"content": "12 °C."}),
    ),
    Case(
        "stream_options: usage asked for",
        {"messages": QUESTION, "stream_options": {"include_usage": True}},
        None,
        [*({**e, "usage": None} for e in texts("12", " °C.")), chunk([], usage=USAGE)],
    ),
    Case(
        "metadata, store, user, service tier, cache key",
        {
            "messages": QUESTION,
            "metadata": {"team": "blå", "empty": ""},
            "store": True,
            "user": "user-123",
            "safety_identifier": "hash-1",
            "service_tier": "flex",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
        },
        whole(service_tier="flex"),
        texts("12 °C."),
    ),
    Case(
        "predicted outputs",
        {"messages": QUESTION, "prediction": {"type": "content", "content": "12 °C."}},
        whole(
            usage={
                **USAGE,
                "completion_tokens_details": {
                    "accepted_prediction_tokens": 7,
                    "rejected_prediction_tokens": 1,
                },
            }
        ),
        texts("12 °C."),
    ),
    Case(
        "web search, annotations",
        {
            "messages": QUESTION,
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"country": "FR"}},
            },
        },
        whole({"annotations": [_CITATION]}),
        chunks({"content": "12 °C."}, {"annotations": [_CITATION]}),
    ),
    Case(
        "unknown fields, in and out (extra_body)",
        {
            "messages": [{**QUESTION[0], "x_note": {"a": [None, {}]}}],
            "extra_body": {
                "top_k": 40,
                "guided_json": {"$ref": "#", "π": [1e-7, -0.0, 12345678901234567]},
                "nothing": None,
                "none": [],
            },
        },
        whole({"x_safety": [{"π": 1e-7}]}, x_timings={"queue_s": 0.001, "n": [None, []]}),
        [{**event, "x_timings": {"π": [None, 1e-7]}} for event in texts("12 °C.")],
    ),
    Case(
        "refusals",
        {"messages": QUESTION},
        whole({"content": None, "refusal": "I can't help with that."}),
        chunks({"refusal": "I can't "}, {"refusal": "help with that."}),
    ),
    Case(
        "finish_reason content_filter",
        {"messages": QUESTION},
        whole({"content": ""}, "content_filter"),
        texts(finish="content_filter"),
    ),
]


# --- Responses ------------------------------------------------------------

_RESPONSE_USAGE = {
    "input_tokens": 1131,
    "input_tokens_details": {"cached_tokens": 1024},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 1218,
}


def message_item(text: str = "12 °C.", **changes: Any) -> Json:
    """An output message."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": "msg_67ccd2bf17f0",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{**part, **changes}],
    }


def response(*output: Json, **changes: Any) -> Json:
    """A `response` object."""
    return {
        "id": "resp_67ccd2bed1ec8190",
        "object": "response",
        "created_at": 1753000000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-5-2025-08-07",
        "output": list(output) or [message_item()],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "medium", "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _RESPONSE_USAGE,
        "user": None,
        "metadata": {},
        **changes,
    }


def response_events(whole: Json, *deltas: Json, last: str = "completed") -> list[Json]:
    """The events that lead to a response."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index}
        started = {**item, **({"content": []} if "content" in item else {})}
        events.append({"type": "response.output_item.added", **place, "item": started})
        events += [{**d, **place} for d in deltas if d["item_id"] == item["id"]]
        events.append({"type": "response.output_item.done", **place, "item": item})
    events.append({"type": f"response.{last}", "response": whole})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _text_events(*words: str) -> list[Json]:
    place = {"item_id": "msg_67ccd2bf17f0", "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    done = {**part, "text": "".join(words)}
    return [
        {"type": "response.content_part.added", **place, "part": part},
        *(
            {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
            for word in words
        ),
        {"type": "response.output_text.done", **place, "text": done["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": done},
    ]


def _responses_case(name: str, request: Json, whole: Json, *deltas: Json, last: str = "") -> Case:
    return Case(name, request, whole, response_events(whole, *deltas, last=last or "completed"))


_FUNCTION = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather",
    "parameters": WEATHER,
    "strict": True,
}
_CALL_ITEM = {
    "id": "fc_67ca09c6bedc",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_unLAR8MvFNptuiZK",
    "name": "get_weather",
    "arguments": '{"city":"Paris","unit":"°C"}',
}
_REASONING_ITEM = {
    "id": "rs_6876cf02",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "**Looking at** winter"}],
    "encrypted_content": "gAAAAABoISQ24OyVRYbkYfukdJoqdzWT-3uiErKInHDC",
}
_SEARCH_ITEM = {
    "id": "ws_67c9",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "météo Paris"},
}

RESPONSES = [
    _responses_case(
        "text",
        {"input": "What is the weather in Paris, in °C?"},
        response(),
        *_text_events("12", " °C", "."),
    ),
    _responses_case(
        "conversation: instructions, items, previous response",
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "developer", "content": "In French."},
                {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                message_item("Oui ?"),
                {"role": "user", "content": "Paris ?"},
            ],
            "previous_response_id": "resp_1",
        },
        response(instructions="Be brief.", previous_response_id="resp_1"),
        *_text_events("12 °C."),
    ),
    _responses_case(
        "tools, parallel calls",
        {
            "input": "Weather?",
            "tools": [_FUNCTION],
            "tool_choice": {"type": "function", "name": "get_weather"},
            "parallel_tool_calls": True,
            "max_tool_calls": 3,
        },
        response(_CALL_ITEM, {**_CALL_ITEM, "id": "fc_2", "call_id": "call_2"}, tools=[_FUNCTION]),
        {
            "type": "response.function_call_arguments.delta",
            "item_id": "fc_67ca09c6bedc",
            "delta": '{"city":',
        },
        {
            "type": "response.function_call_arguments.done",
            "item_id": "fc_67ca09c6bedc",
            "name": "get_weather",
            "arguments": _CALL_ITEM["arguments"],
        },
    ),
    _responses_case(
        "tool results",
        {
            "input": [
                {"role": "user", "content": "Weather?"},
                _REASONING_ITEM,
                _CALL_ITEM,
                {
                    "type": "function_call_output",
                    "call_id": "call_unLAR8MvFNptuiZK",
                    "output": "12",
                },
            ],
            "tools": [_FUNCTION],
        },
        response(),
        *_text_events("12 °C."),
    ),
    _responses_case(
        "built-in tools: web search",
        {
            "input": "Weather?",
            "tools": [{"type": "web_search", "search_context_size": "low"}],
            "include": ["web_search_call.action.sources"],
        },
        response(_SEARCH_ITEM, message_item()),
        {"type": "response.web_search_call.searching", "item_id": "ws_67c9"},
        *_text_events("12 °C."),
    ),
    _responses_case(
        "reasoning: effort, summary, encrypted content",
        {
            "input": "Weather?",
            "reasoning": {"effort": "high", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        },
        response(_REASONING_ITEM, message_item()),
        {
            "type": "response.reasoning_summary_text.delta",
            "item_id": "rs_6876cf02",
            "summary_index": 0,
            "delta": "**Looking at** winter",
        },
        *_text_events("12 °C."),
    ),
    _responses_case(
        "images, files",
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is this?"},
                        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
                        {"type": "input_file", "file_id": "file-6F2ksmvXxt4VdoqmHRw6kL"},
                    ],
                }
            ]
        },
        response(message_item("A pixel.")),
        *_text_events("A pixel."),
    ),
    _responses_case(
        "structured output: JSON schema",
        {
            "input": "Weather?",
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "weather",
                    "schema": WEATHER,
                    "strict": True,
                },
                "verbosity": "low",
            },
        },
        response(message_item('{"city":"Paris","unit":"°C"}')),
        *_text_events('{"city":"Paris",', '"unit":"°C"}'),
    ),
    _responses_case(
        "max_output_tokens, incomplete",
        {"input": "Weather?", "max_output_tokens": 16, "truncation": "auto"},
        response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        *_text_events("12 °C."),
        last="incomplete",
    ),
    _responses_case(
        "sampling, logprobs, metadata, service tier, cache key",
        {
            "input": "Weather?",
            "temperature": 1e-7,
            "top_p": 0.9,
            "top_logprobs": 2,
            "metadata": {"team": "blå"},
            "user": "u",
            "safety_identifier": "s",
            "service_tier": "flex",
            "prompt_cache_key": "k",
        },
        response(
            message_item(logprobs=[{**LOGPROBS["content"][0], "top_logprobs": []}]),
            metadata={"team": "blå"},
        ),
        *_text_events("12 °C."),
    ),
    _responses_case(
        "unknown fields, in and out (extra_body)",
        {
            "input": "Weather?",
            "extra_body": {"x_hint": {"π": [1e-7, None, [], 12345678901234567]}, "nothing": None},
        },
        response(x_timings={"π": [1e-7, None, []]}),
        *_text_events("12 °C."),
    ),
]

EMBEDDING_WHOLE = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0023064255, -1e-07, 1.0]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
    "x_unknown": {"π": None},
}
